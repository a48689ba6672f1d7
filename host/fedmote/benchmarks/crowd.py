"""A crowd of devices in one process, to load an aggregator: real messages over real connections, but no
training and no interpreter.

Every device has a key and a body of its own, signs it as a board does, sends all of it with QoS 1, and again
after a pause until it has its receipt. Many devices share a connection, and all devices send at once: each
its first piece, then each its second one.
"""

import asyncio
import hashlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fedmote.federation.broker import BrokerAddress
from fedmote.federation.mqtt import Connection, Message
from mote import codec, wire

FEDERATION = "crowd"
LAYOUT = "0c0ffee0"

_LAYERS = 8  # tensors that a model is cut into
_PER_CONNECTION = 50
_AHEAD = 100  # messages of a connection that the broker has not acknowledged
_KEEPALIVE_S = 60
_ANSWER_S = 30
_PATIENCE_S = 64.0  # without a receipt: send again
SAMPLES = 10


def sizes_of(parameters: int) -> tuple[int, ...]:
    """Return the sizes of the tensors of a model of so many parameters."""
    part = parameters // _LAYERS
    return (*[part] * (_LAYERS - 1), parameters - part * (_LAYERS - 1))


def device_names(count: int) -> list[str]:
    """Return the names of so many devices."""
    return [f"device-{number:05d}" for number in range(count)]


def key_of(device: str) -> bytes:
    """Return the key of a device. It is no secret here."""
    return hashlib.sha256(device.encode()).digest()


def noise_of(parameters: int, devices: int, seed: int = 1) -> bytes:
    """Return int8 values of which device n takes ``parameters`` from n on."""
    generator = np.random.default_rng(seed)
    return generator.integers(-127, 128, parameters + devices, dtype=np.int8).tobytes()


def scale_of(number: int) -> np.float32:
    """Return what the int8 values of device ``number`` are multiplied by."""
    return np.float32(1e-4 * (1 + number % 7))


@dataclass(frozen=True)
class Body:
    """The int8 update of one device, piece by piece: most of it is shared noise. parts: one after another."""

    parts: tuple[memoryview, ...]

    @classmethod
    def of(cls, number: int, sizes: tuple[int, ...], noise: bytes, version: int) -> "Body":
        """Return the body of device ``number``, without its tag."""
        report = codec.Report(version, SAMPLES, SAMPLES, 0.5, 0.75, 0.4, ())
        parts, start, view = [memoryview(report.pack(codec.INT8, len(sizes)))], number, memoryview(noise)
        scale = scale_of(number).tobytes()
        for size in sizes:
            parts += (memoryview(scale), view[start : start + size])
            start += size
        return cls(tuple(parts))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def sealed(self, device: str, run: str, number: int, counter: int) -> "Body":
        """Return it with its tag."""
        tag = wire.Tag(key_of(device), FEDERATION, run, device, wire.UPDATE, number, counter)
        for part in self.parts:
            tag.update(part)
        return Body((*self.parts, memoryview(tag.digest())))

    def message(self, index: int, number: int, counter: int) -> bytearray:
        """Return the message that carries a piece of a sealed body."""
        start = index * wire.PIECE_BYTES
        message = bytearray(wire.HEADER_BYTES)
        end = min(start + wire.PIECE_BYTES, len(self))
        for part in self.parts:
            if start < len(part) and end > 0:
                message += part[max(0, start) : end]
            start -= len(part)
            end -= len(part)
        wire.write_header(
            message, len(message) - wire.HEADER_BYTES, wire.UPDATE, number, counter, index, len(self)
        )
        return message


@dataclass(frozen=True)
class Sent:
    """What a crowd did. messages: pieces sent, those of second attempts included."""

    accepted: int
    messages: int
    again: int
    connections: int
    cpu_s: float


class Crowd:
    """Devices 0 to ``devices`` - 1. A round of theirs is ``await run()``."""

    def __init__(self, broker: BrokerAddress, devices: int, parameters: int) -> None:
        self._broker, self._names = broker, device_names(devices)
        self._sizes = sizes_of(parameters)
        self._noise = noise_of(parameters, devices)
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._manifests: dict[str, dict[str, Any]] = {}
        self._accepted: set[str] = set()
        self._messages = self._again = 0

    async def run(self) -> Sent:
        """Come online, answer the first round, and return when every device has its receipt.

        Raises RuntimeError for a body that is refused.
        """
        listener = self._listener = await self._connect("listener", self._hear)
        await listener.subscribe([(wire.topic(FEDERATION, level, "+"), 1) for level in ("round", "command")])
        groups = [
            self._names[start : start + _PER_CONNECTION]
            for start in range(0, len(self._names), _PER_CONNECTION)
        ]
        connections = [
            await self._connect(f"crowd-{number}", lambda _: None) for number in range(len(groups))
        ]
        for connection, group in zip(connections, groups, strict=True):
            for name in group:
                status = {"state": "online", "role": "learn", "layout": LAYOUT, "protocol": wire.PROTOCOL}
                connection.publish(wire.topic(FEDERATION, "status", name), json.dumps(status).encode(), True)
            connection.flush()
        while len(self._manifests) < len(self._names):
            await asyncio.sleep(0.01)
        while len(self._accepted) < len(self._names):
            await self._attempt(connections, groups)
            self._again += len(self._names) - len(self._accepted)
        for connection in (listener, *connections):
            connection.close()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        return Sent(len(self._accepted), self._messages, self._again, 1 + len(connections), cpu_s)

    async def _attempt(self, connections: list[Connection], groups: list[list[str]]) -> None:
        """Send what has no receipt, and wait a while for the receipts."""
        streams = [self._stream([name for name in group if name not in self._accepted]) for group in groups]
        pending = list(zip(connections, streams, strict=True))
        while pending:
            pending = [one for one in pending if self._fill(*one)]
            await asyncio.sleep(0.001)
        end = time.monotonic() + _PATIENCE_S
        while len(self._accepted) < len(self._names) and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def _fill(self, connection: Connection, stream: Iterator[tuple[str, bytearray]]) -> bool:
        """Publish as much as may be on its way; return whether there is more."""
        more = True
        for _ in range(_AHEAD - connection.unsent):
            message = next(stream, None)
            if message is None:
                more = False
                break
            connection.publish(message[0], bytes(message[1]))
            self._messages += 1
        connection.flush()
        return more

    def _stream(self, names: list[str]) -> Iterator[tuple[str, bytearray]]:
        """Yield (topic, payload) of all pieces of these devices: the first ones, then the second ones."""
        bodies = {}
        for name in names:
            manifest = self._manifests[name]
            body = Body.of(self._numbers[name], self._sizes, self._noise, manifest["version"])
            bodies[name] = body.sealed(name, manifest["run"], manifest["round"], 1), manifest["round"]
        pieces = wire.piece_count(max(len(body) for body, _ in bodies.values())) if bodies else 0
        for index in range(pieces):
            for name, (body, number) in bodies.items():
                yield wire.topic(FEDERATION, "update", name, number, index), body.message(index, number, 1)

    def _hear(self, messages: list[Message]) -> None:
        for message in messages:
            name = message.topic.rpartition("/")[2]
            told = json.loads(message.payload)
            if told.get("result") == "accepted":
                self._accepted.add(name)
            elif "receipt" in told:
                raise RuntimeError(f"{name}: {told}")
            elif told.get("phase") == "train":
                self._manifests[name] = told
        self._listener.acknowledge(message.identifier for message in messages if message.qos)

    async def _connect(self, client: str, hear: Any) -> Connection:
        def lost(reason: str) -> None:
            raise RuntimeError(f"{client} has lost its connection: {reason}")

        return await Connection.connect(self._broker, client, _KEEPALIVE_S, _ANSWER_S, hear, lost)


def main() -> None:
    """Play a crowd; the arguments are the broker's URL, devices and parameters. Prints Sent as JSON."""
    crowd = Crowd(BrokerAddress.parse(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(asdict(asyncio.run(crowd.run()))))
