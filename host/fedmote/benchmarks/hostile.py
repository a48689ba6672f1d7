"""Messages of somebody who wants to move the model, or to stop it: an intruder who knows the protocol, hears
everything, and has the keys of some devices but not of the victims. It sends nothing itself."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from fedmote.federation.plan import EVALUATE, TRAIN, Plan
from mote import codec, wire

Pair = tuple[str, bytes]

_HUGE_BYTES = 60_000  # what the embedded broker lets through
_WORDS = ("round", "model", "command", "update", "status", "telemetry", "offer", "release", "")


@dataclass
class Intruder:
    """victims: devices whose names it uses. insiders: keys of devices that it owns. heard: what devices sent
    in earlier rounds. run, round, version: of the open round. counter: of the last body."""

    federation: str
    plan: Plan
    random: Random
    victims: Sequence[str]
    insiders: dict[str, bytes]
    heard: Sequence[Pair] = ()
    run: str = "00000000"
    round: int = 1
    version: int = 0
    counter: int = 1 << 20

    def __post_init__(self) -> None:
        self._values = np.random.default_rng(self.random.getrandbits(32)).integers(
            -127, 128, sum(self.plan.sizes), dtype=np.int8
        )
        self._keys = [self.random.randbytes(wire.KEY_BYTES) for _ in range(8)]

    def messages(self) -> tuple[str, list[Pair]]:
        """Return some hostile messages and what kind they are: a key of KINDS."""
        kind = self.random.choice(_NAMES)
        return kind, KINDS[kind](self)

    def topic(self, *levels: object) -> str:
        """Return a topic of the federation."""
        return str(wire.topic(self.federation, *levels))

    def victim(self) -> str:
        """Return the name of an honest device."""
        return self.random.choice(self.victims)

    def insider(self) -> str:
        """Return the name of a device whose key is known."""
        return self.random.choice(list(self.insiders))

    def body(self, device: str, key: bytes, sender: str | None = None, **changes: Any) -> list[Pair]:
        """Return the messages of a whole update of ``device``, signed with ``key``.

        sender: whose topic they are published on. changes: of what is in it: report fields, ``scale``,
        ``codec``, ``tensors``, ``number``, ``run``, ``kind``.
        """
        report = codec.Report(self.version, 50, 20, 0.5, 0.75, 0.4, [1.0] * self.plan.range_count)
        for name in vars(report).keys() & changes.keys():
            setattr(report, name, changes[name])
        scale, number = changes.get("scale", 1e-3), changes.get("number", self.round)
        kind = changes.get("kind", wire.UPDATE)
        tensors = changes.get("tensors", len(self.plan.sizes))
        parts = [report.pack(changes.get("codec", codec.CODECS[self.plan.codec]), tensors)]
        start = 0
        for size in self.plan.sizes:
            parts += (struct.pack("<f", scale), self._values[start : start + size].tobytes())
            start += size
        body = b"".join(parts)
        counter = self._next_counter(sender or device)
        tag = wire.Tag(key, self.federation, changes.get("run", self.run), device, kind, number, counter)
        tag.update(body)
        return self.pieces(body + tag.digest(), kind, number, counter, sender or device)

    def _next_counter(self, device: str) -> int:
        """A counter that a device may use next: of a victim one of the next few, as far as is known."""
        if device in self.victims:
            return self.round + self.random.randrange(4)
        self.counter += 1
        return self.counter

    def pieces(self, body: bytes, kind: int, number: int, counter: int, device: str) -> list[Pair]:
        """Cut a body into messages."""
        messages = []
        for index in range(wire.piece_count(len(body))):
            piece = body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
            message = bytearray(wire.HEADER_BYTES) + piece
            wire.write_header(message, len(piece), kind, number, counter, index, len(body))
            messages.append((self.topic("update", device, number, index), bytes(message)))
        return messages


def _random(intruder: Intruder) -> list[Pair]:
    random = intruder.random
    names = (*_WORDS, *intruder.victims, "nobody", str(random.getrandbits(40)), "x" * random.randrange(200))
    levels = [random.choice(names) for _ in range(random.randrange(1, 7))]
    prefix = random.choice(["fedmote/" + intruder.federation, "fedmote", "$SYS", "fedmote/other", ""])
    return [("/".join([prefix, *levels]), random.randbytes(random.randrange(1100)))]


def _stranger(intruder: Intruder) -> list[Pair]:
    name = f"stranger-{intruder.random.getrandbits(60):x}"
    return intruder.body(name, intruder.random.choice(intruder._keys))


def _mutated(intruder: Intruder) -> list[Pair]:
    if not intruder.heard:
        return _random(intruder)
    topic, payload = intruder.random.choice(intruder.heard)
    changed = bytearray(payload)
    for _ in range(intruder.random.randrange(1, 8)):
        changed[intruder.random.randrange(len(changed))] = intruder.random.randrange(256)
    if intruder.random.random() < 0.2:
        changed = changed[: intruder.random.randrange(len(changed))]
    return [(topic, bytes(changed))]


def _mended(intruder: Intruder) -> list[Pair]:
    """Changed real messages of this round's number, whose CRC is right again."""
    if not intruder.heard:
        return _random(intruder)
    topic, payload = intruder.random.choice(intruder.heard)
    *start, device, _, index = topic.split("/")
    changed = bytearray(payload)
    struct.pack_into("<I", changed, 4, intruder.round)
    place = intruder.random.choice([3, 8, 16, intruder.random.randrange(len(changed))])
    changed[place] ^= 1 << intruder.random.randrange(8)
    head = changed[:20]
    crc = wire.crc32(changed[wire.HEADER_BYTES :], wire.crc32(head)) & 0xFFFFFFFF
    struct.pack_into("<I", changed, 20, crc)
    return [("/".join([*start, device, str(intruder.round), index]), bytes(changed))]


def _replayed(intruder: Intruder) -> list[Pair]:
    if not intruder.heard:
        return _random(intruder)
    start = intruder.random.randrange(len(intruder.heard))
    return list(intruder.heard[start : start + 4])


def _wrong_key(intruder: Intruder) -> list[Pair]:
    return intruder.body(intruder.victim(), intruder.random.choice(intruder._keys))


def _other_device(intruder: Intruder) -> list[Pair]:
    """Signed with a key that is good, for another device's name or topic."""
    insider, victim = intruder.insider(), intruder.victim()
    claimed = intruder.random.choice([insider, victim])
    return intruder.body(claimed, intruder.insiders[insider], sender=victim)


def _other_run(intruder: Intruder) -> list[Pair]:
    insider = intruder.insider()
    change: dict[str, Any] = intruder.random.choice(
        [{"run": "ffffffff"}, {"number": intruder.round + 7}, {"number": max(0, intruder.round - 1)}]
    )
    return intruder.body(insider, intruder.insiders[insider], **change)


def _shape(intruder: Intruder) -> list[Pair]:
    insider = intruder.insider()
    change: dict[str, Any] = intruder.random.choice(
        [{"codec": 1}, {"codec": 77}, {"tensors": 0}, {"tensors": 60_000}, {"ranges": [1.0] * 200}]
    )
    return intruder.body(insider, intruder.insiders[insider], **change)


def _not_finite(intruder: Intruder) -> list[Pair]:
    insider = intruder.insider()
    value = intruder.random.choice([float("nan"), float("inf"), -float("inf")])
    field = intruder.random.choice(["scale", "loss", "accuracy", "training_loss"])
    change: dict[str, Any] = {field: value}
    return intruder.body(insider, intruder.insiders[insider], **change)


def _out_of_bounds(intruder: Intruder) -> list[Pair]:
    insider = intruder.insider()
    change: dict[str, Any] = intruder.random.choice(
        [
            {"scale": 1e30},
            {"samples": 0},
            {"samples": 2**32 - 1},
            {"evaluated": 2**32 - 1},
            {"accuracy": 2.0},
            {"loss": -1.0},
            {"version": intruder.version + 1},
        ]
    )
    return intruder.body(insider, intruder.insiders[insider], **change)


def _huge(intruder: Intruder) -> list[Pair]:
    random = intruder.random
    name = random.choice([intruder.insider(), intruder.victim(), "nobody"])
    if random.random() < 0.2:
        branch = random.choice(["status", "telemetry"])
        return [(intruder.topic(branch, name), b"[" * random.randrange(_HUGE_BYTES))]
    if random.random() < 0.2:
        return [(intruder.topic("update", name, intruder.round, 0), bytes(_HUGE_BYTES))]
    total = random.choice([2**32 - 1, 65_535_000, 10**6])
    message = bytearray(wire.MESSAGE_BYTES)
    count = wire.piece_count(total) & 0xFFFF
    index = random.randrange(1 << 16)
    head = (b"fm", wire.PROTOCOL, wire.UPDATE, intruder.round, 1, index, count, total)
    struct.pack_into(wire.HEADER, message, 0, *head)
    crc = wire.crc32(message[wire.HEADER_BYTES :], wire.crc32(message[:20])) & 0xFFFFFFFF
    struct.pack_into("<I", message, 20, crc)
    return [(intruder.topic("update", name, intruder.round, index), bytes(message))]


def _manifest(intruder: Intruder) -> list[Pair]:
    """To a board: another round, under no tag, a wrong one, or one of another device."""
    random, victim = intruder.random, intruder.victim()
    fields = {
        "protocol": wire.PROTOCOL,
        "run": intruder.run,
        "round": intruder.round + random.randrange(3),
        "edition": 10**6,
        "version": intruder.version,
        "phase": random.choice([TRAIN, EVALUATE, "idle"]),
        "layout": intruder.plan.layout,
        "size": 4 * sum(intruder.plan.sizes),
        "sha256": "0" * 64,
        "codec": intruder.plan.codec,
        "epochs": 1000,
        "batch": 1,
        "rate": 1000.0,
        "decay": 0.0,
        "deadline_ms": 1000,
        "counter": 0,
        "time": 0,
        "pause_ms": 86_400_000,
    }
    text = json.dumps(fields, separators=(",", ":")).encode()
    return [(intruder.topic("round", victim), _sealed(intruder, wire.MANIFEST_SEAL, victim, text))]


def _receipt(intruder: Intruder) -> list[Pair]:
    victim = intruder.victim()
    receipt = {
        "receipt": intruder.round,
        "counter": intruder.random.randrange(1, 600),
        "result": intruder.random.choice(["accepted", "refused"]),
    }
    text = json.dumps(receipt, separators=(",", ":")).encode()
    return [(intruder.topic("command", victim), _sealed(intruder, wire.RECEIPT_SEAL, victim, text))]


def _sealed(intruder: Intruder, seal: str, victim: str, text: bytes) -> bytes:
    insider = intruder.insider()
    choices: list[Callable[[], bytes]] = [
        lambda: text,
        lambda: bytes(
            wire.seal(intruder.random.choice(intruder._keys), seal, intruder.federation, victim, text)
        ),
        lambda: bytes(wire.seal(intruder.insiders[insider], seal, intruder.federation, insider, text)),
        lambda: text[:-1] + b',"tag":"' + b"0" * 64 + b'"}',
    ]
    return intruder.random.choice(choices)()


def _status(intruder: Intruder) -> list[Pair]:
    random = intruder.random
    name = random.choice([intruder.insider(), f"stranger-{random.getrandbits(60):x}"])
    status = {
        "state": random.choice(["online", "offline", "dancing", 7]),
        "role": random.choice(["learn", "evaluate", "infer", "rule", None]),
        "layout": random.choice([intruder.plan.layout, "", "\x1b[2J", "x" * 900]),
        "protocol": random.choice([wire.PROTOCOL, 1, -1, 10**30]),
        "board": "\x1b]0;hello\x07" * random.randrange(5),
    }
    return [(intruder.topic("status", name), json.dumps(status).encode())]


def _telemetry(intruder: Intruder) -> list[Pair]:
    random = intruder.random
    line = {
        "time_ms": random.choice([1, -1, 1e300, "soon"]),
        "label": "\x1b[31m" + "x" * random.randrange(900),
        "version": random.choice([1, 2**32, 10**40]),
        "battery": random.choice([3.7, 1e9, []]),
        "probabilities": [0.5] * random.randrange(300),
    }
    return [(intruder.topic("telemetry", intruder.victim()), json.dumps(line).encode())]


#: what is sent, by the name that is shown -> what makes it
KINDS: dict[str, Callable[[Intruder], list[Pair]]] = {
    "random": _random,
    "of strangers": _stranger,
    "changed real ones": _mutated,
    "changed, CRC right": _mended,
    "replayed": _replayed,
    "wrong key": _wrong_key,
    "for another device": _other_device,
    "other run or round": _other_run,
    "wrong shape": _shape,
    "NaN and infinities": _not_finite,
    "out of bounds": _out_of_bounds,
    "huge": _huge,
    "manifests to boards": _manifest,
    "receipts to boards": _receipt,
    "statuses": _status,
    "telemetry": _telemetry,
}
_NAMES = list(KINDS)
