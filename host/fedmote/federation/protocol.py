"""Topics, manifests, receipts and chunks as the aggregator sees
them; bodies.py has what the chunks add up to.

docs/protocol.md is the contract, mote.wire holds what both sides share.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from mote import wire

LEVEL_BYTES = 10  # decimal digits of an unsigned 32-bit number
_MANIFEST_BYTES = 1000


class Reason(StrEnum):
    """Why a message or a body is refused: the words that are counted, shown and sent back in receipts."""

    TOPIC = "topic"  # not a topic that a board publishes on
    UNKNOWN_DEVICE = "unknown device"  # never provisioned, or revoked
    OVERSIZE = "oversize"
    MALFORMED = "malformed"
    CRC = "crc"
    ROUND = "round"  # not the current round
    PHASE = "phase"  # an update where boards only evaluate
    ROLE = "role"  # an update from a board that only evaluates
    LENGTH = "length"  # not the length that codec and network give
    TAG = "tag"  # wrong key, or changed on the way
    SHAPE = "shape"  # codec, number of tensors or of ranges
    VERSION = "version"  # not the version that the round starts from
    NOT_FINITE = "not finite"
    BOUNDS = "out of bounds"
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


@dataclass(frozen=True)
class Topic:
    """A topic that a board publishes on: ``branch`` is ``update``, ``status`` or ``telemetry``."""

    branch: str
    device: str
    round: int = 0
    index: int = 0


@dataclass(frozen=True)
class Manifest:
    """What a round asks of the boards. Fields as in docs/protocol.md;
    ``layout`` and ``run`` are 8 hexadecimal digits."""

    run: str
    round: int
    version: int
    phase: str
    layout: str
    size: int
    sha256: str
    codec: str
    epochs: int
    batch: int
    rate: float
    decay: float
    deadline_ms: int

    def to_json(self) -> bytes:
        """Return the payload of the ``round`` topic."""
        payload = json.dumps({"protocol": wire.PROTOCOL, **asdict(self)}, separators=(",", ":")).encode()
        if len(payload) > _MANIFEST_BYTES:
            raise ValueError(f"a manifest of {len(payload)} bytes, boards take {_MANIFEST_BYTES}")
        return payload

    @classmethod
    def from_json(cls, payload: bytes | str) -> "Manifest":
        """Read back what ``to_json`` wrote. Not for what comes from elsewhere: it checks nothing."""
        fields = json.loads(payload)
        del fields["protocol"]
        return cls(**fields)


def filters(federation: str) -> list[tuple[str, int]]:
    """Return the (topic filter, QoS) that the aggregator subscribes to; statuses are the first."""
    return [
        (wire.topic(federation, "status", "+"), 1),
        (wire.topic(federation, "update", "+", "+", "+"), 1),
        (wire.topic(federation, "telemetry", "+"), 0),
    ]


def parse_topic(federation: str, topic: str) -> Topic:
    """Take a topic apart. Raises Refusal(TOPIC) where no board of this federation may publish on it."""
    prefix = wire.topic(federation, "")
    if not topic.startswith(prefix):
        raise Refusal(Reason.TOPIC)
    match topic[len(prefix) :].split("/"):
        case ["status" | "telemetry" as branch, device] if wire.valid_name(device):
            return Topic(branch, device)
        case ["update", device, number, index] if wire.valid_name(device):
            return Topic("update", device, _number(number), _number(index))
        case _:
            raise Refusal(Reason.TOPIC)


def parse_chunk(topic: Topic, payload: bytes) -> Any:
    """Return the checked ``mote.wire.Chunk`` of an update or an evaluation.

    Raises Refusal: OVERSIZE, MALFORMED, CRC, or TOPIC where topic and header disagree.
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


def round_message(federation: str, manifest: Manifest) -> Outgoing:
    """Return the retained message that announces a round."""
    return Outgoing(wire.topic(federation, "round"), manifest.to_json(), retained=True)


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


def receipt_message(
    federation: str, device: str, number: int, counter: int, refused: Reason | None = None
) -> Outgoing:
    """Return the receipt for one body of a device: accepted, or refused with a reason."""
    receipt = {"receipt": number, "counter": counter, "result": "refused" if refused else "accepted"}
    if refused:
        receipt["reason"] = refused.value
    return Outgoing(
        wire.topic(federation, "command", device), json.dumps(receipt, separators=(",", ":")).encode()
    )


def sha256_of(body: bytes) -> str:
    """Return the SHA-256 of a model's body as 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LEVEL_BYTES) or str(int(text)) != text:
        raise Refusal(Reason.TOPIC)
    return int(text)
