"""Boards for the tests of the federation: they make real
messages with the device library, and learn nothing."""

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fedmote.federation.aggregator import Aggregator
from fedmote.federation.events import Event
from fedmote.federation.plan import Plan
from fedmote.federation.protocol import Outgoing
from fedmote.federation.store import Store
from mote import codec, wire

FEDERATION = "home"
LAYOUT = "0123abcd"
SIZES = (700, 30)
PLAN = Plan(LAYOUT, SIZES, 2, codec="float32", minimum=2, deadline_s=10, rounds=2)

Message = tuple[str, bytes]


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Board:
    """What one device publishes. key: its own. run: the federation's."""

    name: str
    key: bytes
    run: str
    role: str = "learn"
    layout: str = LAYOUT
    codec: str = "float32"
    sizes: tuple[int, ...] = SIZES
    protocol: int = wire.PROTOCOL
    train_ms: float = 0.0

    def status(self, state: str = "online") -> Message:
        text = f'{{"state":"{state}","role":"{self.role}","layout":"{self.layout}",'
        text += f'"protocol":{self.protocol}}}'
        return wire.topic(FEDERATION, "status", self.name), text.encode()

    def rests(self, seconds: int) -> Message:
        """Return the status with which it leaves for so long."""
        text = json.dumps({"state": "offline", "back_s": seconds})
        return wire.topic(FEDERATION, "status", self.name), text.encode()

    def update(
        self, delta: Any, samples: int = 10, number: int = 1, version: int = 0, **options: Any
    ) -> list[Message]:
        """Return the messages of an update of these values, float32 [D]."""
        report = codec.Report(version, samples, 20, 0.5, 0.75, 0.4, options.pop("ranges", (1.0, 2.0)))
        report.train_ms = self.train_ms
        local = array("f", np.asarray(delta, np.float32).tobytes())
        encoder = codec.Encoder(
            report, codec.CODECS[self.codec], local, array("f", [0.0]) * len(local), self.sizes
        )
        return self.messages(wire.UPDATE, encoder, number, **options)

    def evaluation(
        self, accuracy: float = 0.75, evaluated: int = 20, number: int = 1, version: int = 0, **options: Any
    ) -> list[Message]:
        report = codec.Report(version, 0, evaluated, 0.5, accuracy, 0.0, options.pop("ranges", (3.0, 4.0)))
        return self.messages(wire.EVALUATION, codec.Encoder(report, codec.NONE), number, **options)

    def messages(
        self, kind: int, encoder: Any, number: int, counter: int | None = None, **options: Any
    ) -> list[Message]:
        body = bytearray(encoder.total)
        for start in range(0, encoder.total, wire.PIECE_BYTES):
            encoder.read_into(memoryview(body)[start : start + wire.PIECE_BYTES], start)
        return self.send(kind, bytes(body), number, number if counter is None else counter, **options)

    def send(
        self,
        kind: int,
        body: bytes,
        number: int,
        counter: int = 1,
        key: bytes | None = None,
        sender: str | None = None,
    ) -> list[Message]:
        """Sign a body and cut it into messages. sender: whose topic it is published on."""
        tag = wire.Tag(key or self.key, FEDERATION, self.run, self.name, kind, number, counter)
        tag.update(body)
        return pieces(body + tag.digest(), kind, number, counter, sender or self.name)


def pieces(body: bytes, kind: int, number: int, counter: int, device: str) -> list[Message]:
    messages = []
    for index in range(wire.piece_count(len(body))):
        piece = body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
        message = bytearray(wire.HEADER_BYTES + len(piece))
        message[wire.HEADER_BYTES :] = piece
        wire.write_header(message, len(piece), kind, number, counter, index, len(body))
        messages.append((wire.topic(FEDERATION, "update", device, number, index), bytes(message)))
    return messages


def receipts(outgoing: list[Outgoing]) -> list[tuple[str, dict]]:
    """Return (device, receipt without its tag) of each receipt among the messages."""
    found = [(o.topic.split("/")[-1], json.loads(o.payload)) for o in outgoing if "/command/" in o.topic]
    return [(device, {k: v for k, v in receipt.items() if k != "tag"}) for device, receipt in found]


def manifests(outgoing: list[Outgoing]) -> dict[str, dict]:
    """Return by device the last manifest among the messages."""
    return {o.topic.split("/")[-1]: json.loads(o.payload) for o in outgoing if "/round/" in o.topic}


@dataclass
class Home:
    """A founded store with an aggregator on it, and boards that are provisioned there."""

    path: Path
    plan: Plan = PLAN
    names: Sequence[str] = ("attic", "cellar")
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.events: list[Event] = []
        self.open()
        self.store.found(
            "tests", self.plan.layout, np.linspace(-1, 1, sum(self.plan.sizes), dtype=np.float32)
        )
        self.boards = {name: self.board(name) for name in self.names}
        self.aggregator = self.aggregate()

    def open(self) -> None:
        self.store = Store(self.path)

    def aggregate(self) -> Aggregator:
        aggregator = Aggregator(self.store, FEDERATION, self.plan, self.clock)
        aggregator.listeners.append(self.events.append)
        return aggregator

    def board(self, name: str, **options: Any) -> Board:
        options.setdefault("codec", self.plan.codec)
        return Board(name, self.store.provision(name), self.store.run, **options)

    def kill_and_start(self) -> list[Outgoing]:
        """Leave the aggregator as kill -9 would, and start another one on what is on disk."""
        self.open()
        self.aggregator = self.aggregate()
        return self.aggregator.start()

    def begin(self) -> list[Outgoing]:
        """All boards come online, which begins round 1."""
        outgoing = self.aggregator.start()
        return outgoing + self.aggregator.handle([board.status() for board in self.boards.values()])

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def refused(self) -> dict[tuple[str, str], int]:
        return self.store.refusals()

    def untouched(self) -> bool:
        """Whether nothing counts in the open round and no body is on its way."""
        assert self.aggregator.manifest is not None
        nothing = not self.store.accepted(self.aggregator.manifest.round)
        return nothing and all(self.store.partial(name) is None for name in self.boards)
