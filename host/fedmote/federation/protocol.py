"""Topics and chunks as the aggregator sees them; manifests.py has what it tells boards, bodies.py what chunks
add up to.

docs/protocol.md is the contract, mote.wire holds what both sides share.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from mote import wire

UPDATE = "update"  # the branch of what counts

_LANES = 8
_LISTED_PIECES = 256  # topic filters that every broker copes with


class Reason(StrEnum):
    """Why a message or a body is refused: the words that are counted, shown and sent back in receipts."""

    TOPIC = "topic"  # not a topic that a board publishes on
    UNKNOWN_DEVICE = "unknown device"  # never provisioned, or revoked
    OVERSIZE = "oversize"
    MALFORMED = "malformed"
    CRC = "crc"
    PROTOCOL = "protocol"  # another version of it
    ROUND = "round"  # not the open round, not one of this device's, or too late
    COUNTER = "counter"  # not above the counter of the device's last body that counted
    PHASE = "phase"  # an update where boards only evaluate
    LENGTH = "length"  # not the length that codec and network give
    TAG = "tag"  # wrong key, or changed on the way
    SHAPE = "shape"  # codec, number of tensors or of ranges
    VERSION = "version"  # not the version that the round starts from
    NOT_FINITE = "not finite"
    BOUNDS = "out of bounds"
    RATE = "rate"  # more than a device may send
    QUARANTINE = "quarantine"  # of a device that an operator has to release
    REPEATED = "repeated"  # of a device and round that is on disk already; answered, not counted twice


class Refusal(Exception):  # noqa: N818 (it is an answer, not a defect)
    """A message that is not taken. ``answer`` tells whether the board should hear of it."""

    def __init__(self, reason: Reason, answer: bool = False) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.answer = answer


@dataclass(frozen=True)
class Outgoing:
    """A message to publish with QoS 1."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(slots=True)
class Topic:
    """A topic that a board publishes on: ``branch`` is ``update``, ``status`` or ``telemetry``."""

    branch: str
    device: str
    round: int = 0
    index: int = 0


def filters(federation: str, pieces: int) -> list[list[tuple[str, int]]]:
    """Return the (topic filter, QoS) that each session of the aggregator subscribes to; statuses are first.

    pieces: of the longest body. Sessions share the pieces, unless these are too many.
    """
    statuses, telemetry = wire.topic(federation, "status", "+"), wire.topic(federation, "telemetry", "+")
    count = _LANES if pieces <= _LISTED_PIECES else 1
    lanes = [
        [(wire.topic(federation, "update", "+", "+", piece), 1) for piece in range(lane, pieces, count)]
        for lane in range(min(count, pieces))
    ]
    if count == 1:
        lanes = [[(wire.topic(federation, "update", "+", "+", "+"), 1)]]
    lanes[0] = [(statuses, 1), *lanes[0], (telemetry, 0)]
    return lanes


def parse_topic(federation: str, topic: str) -> Topic:
    """Take a topic apart. Raises Refusal(TOPIC) where no board of this federation may publish on it."""
    level = _levels(federation).fullmatch(topic)
    if level is None:
        raise Refusal(Reason.TOPIC)
    branch, device, sender, number, index = level.groups()
    return Topic(branch, device) if branch else Topic(UPDATE, sender, int(number), int(index))


@cache
def _levels(federation: str) -> re.Pattern[str]:
    name, number = "([a-z0-9_-]{1,32})", "(0|[1-9][0-9]{0,9})"
    prefix = re.escape(wire.topic(federation, ""))
    return re.compile(f"{prefix}(?:(status|telemetry)/{name}|update/{name}/{number}/{number})")


def parse_chunk(topic: Topic, payload: bytes) -> Any:
    """Return the checked ``mote.wire.Chunk`` of an update or an evaluation.

    Raises Refusal: OVERSIZE, MALFORMED, PROTOCOL, CRC, or TOPIC where topic and header disagree.
    """
    if len(payload) > wire.MESSAGE_BYTES:
        raise Refusal(Reason.OVERSIZE)
    try:
        chunk = wire.Chunk(payload)
    except wire.WireError as error:
        raise Refusal(Reason(str(error))) from None
    if chunk.kind not in (wire.UPDATE, wire.EVALUATION):
        raise Refusal(Reason.MALFORMED)
    if (chunk.number, chunk.index) != (topic.round, topic.index):
        raise Refusal(Reason.TOPIC)
    return chunk


def model_messages(federation: str, version: int, body: bytes) -> Iterator[Outgoing]:
    """Yield the retained chunks of a global model. body: all trainable values as little-endian float32."""
    for index in range(wire.piece_count(len(body))):
        piece = body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
        message = bytearray(wire.HEADER_BYTES + len(piece))
        message[wire.HEADER_BYTES :] = piece
        wire.write_header(message, len(piece), wire.MODEL, version, 0, index, len(body))
        yield Outgoing(wire.topic(federation, "model", version, index), bytes(message), retained=True)


def clearing_messages(federation: str, version: int, size: int) -> Iterator[Outgoing]:
    """Yield the empty retained messages that make a broker forget the chunks of a model of ``size`` bytes."""
    for index in range(wire.piece_count(size)):
        yield Outgoing(wire.topic(federation, "model", version, index), b"", retained=True)


def sha256_of(body: bytes) -> str:
    """Return the SHA-256 of a model's body as 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()
