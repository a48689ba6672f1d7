"""What the aggregator tells each device, sealed under the device's key: manifests and receipts."""

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Self

from fedmote.federation.protocol import Outgoing, Reason
from mote import wire

MANIFEST_BYTES = 1000
_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Manifest:
    """What a round asks of all boards. Fields as in docs/protocol.md; ``layout`` and ``run`` are 8
    hexadecimal digits."""

    run: str
    round: int
    edition: int
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

    def to_json(self) -> str:
        """Return what ``from_json`` reads, for the store."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, run: str) -> Self:
        """Read back what ``to_json`` wrote. Not for what comes from elsewhere: it checks nothing.

        run: of the store, which is another one where this is a backup.
        """
        fields = {"edition": 0, **json.loads(text), "run": run}
        fields.pop("protocol", None)  # stores that spoke protocol 1 hold it, and no edition
        return cls(**fields)

    def phased(self, phase: str, edition: int) -> Self:
        """Return it with another phase."""
        return replace(self, phase=phase, edition=edition)


def manifest_message(
    federation: str, device: str, key: bytes, manifest: Manifest, epochs: int, counter: int, pause_ms: int
) -> Outgoing:
    """Return the retained message that tells one device what to do.

    counter: of its last body that counted. pause_ms: how long there will be nothing else for it.
    """
    fields = {
        "protocol": wire.PROTOCOL,
        **vars(manifest),
        "epochs": epochs,
        "counter": counter,
        "time": int(time.time()) % _DAY_S,
        "pause_ms": pause_ms,
    }
    text = json.dumps(fields, separators=(",", ":")).encode()
    payload = bytes(wire.seal(key, wire.MANIFEST_SEAL, federation, device, text))
    if len(payload) > MANIFEST_BYTES:
        raise ValueError(f"a manifest of {len(payload)} bytes, boards take {MANIFEST_BYTES}")
    return Outgoing(wire.topic(federation, "round", device), payload, retained=True)


def receipt_message(
    federation: str, device: str, key: bytes, number: int, counter: int, refused: Reason | None = None
) -> Outgoing:
    """Return the receipt for one body of a device: accepted, or refused with a reason."""
    receipt = {"receipt": number, "counter": counter, "result": "refused" if refused else "accepted"}
    if refused:
        receipt["reason"] = refused.value
    text = json.dumps(receipt, separators=(",", ":")).encode()
    payload = bytes(wire.seal(key, wire.RECEIPT_SEAL, federation, device, text))
    return Outgoing(wire.topic(federation, "command", device), payload)
