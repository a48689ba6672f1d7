"""One board as the bridge sees it: what came up, what it has, what it should get next. It knows no topics.

Downlinks are dear: at most one is in the network server's queue, and none is sent again before the board has
told what it lacks.
"""

import json
import logging
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fedmote.bridges import compact
from fedmote.bridges.chirpstack.accounts import Account
from fedmote.bridges.chirpstack.models import Models
from fedmote.errors import FedmoteError
from fedmote.federation.plan import IDLE
from mote import airtime, frames, wire

logger = logging.getLogger(__name__)

_REMEMBERED = 32  # frames whose copies are known as such
_PATIENCE = 3  # uplinks after which a downlink that nobody sent is given up
_SAFE_LIMIT = 51  # bytes that every data rate takes
#: what the bridge looks at in a manifest
_NEEDED = (("round", int), ("version", int), ("phase", str))
#: what may change in a manifest without changing what the board is to do
_PASSING = ("time", "deadline_ms", "pause_ms", "tag")


@dataclass
class Upload:
    """A body that a board has sent. receipt: compact, once it came. told: whether it went down."""

    kind: int
    number: int
    counter: int
    body: bytes
    receipt: bytes | None = None
    told: bool = False


@dataclass
class Download:
    """A message on its way down. aim: what it is for. credit: frames that may go before the next look."""

    aim: tuple[Any, ...]
    sending: Any
    credit: int


@dataclass(frozen=True)
class Queued:
    """A downlink in the network server's queue."""

    identity: str
    frame: bytes


@dataclass
class Board:
    """eui: 16 hexadecimal digits. name: device id in the federation. region: of mote.airtime.REGIONS.
    budget: downlinks a day, 0 for any number. look: mote.frames.Look, the last one. heard: seconds since the
    epoch."""

    eui: str
    name: str
    region: str
    budget: int
    account: Account = field(default_factory=Account)
    look: Any = None
    manifest: bytes | None = None
    heard: float | None = None
    limit: int = _SAFE_LIMIT
    rssi: int | None = None
    upload: Upload | None = None
    _download: Download | None = None
    _queued: Queued | None = None
    _waited: int = 0
    _narrow: bool = False  # downlinks are slower than uplinks
    _receiving: Any = field(default_factory=frames.Receiving)
    _copies: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def is_copy(self, identity: str) -> bool:
        """Tell whether a frame was here before, and remember it."""
        if identity in self._copies:
            return True
        self._copies.append(identity)
        return False

    def take(self, frame: bytes, rate: int, models: Models) -> bool:
        """Take a frame of the board; return whether ``upload`` is to be published, for the first time or
        again.

        rate: data rate. Raises ValueError for a frame that is none of ours.
        """
        rates = airtime.REGIONS[self.region]
        self.limit = rates[rate][2] if 0 <= rate < len(rates) and not self._narrow else _SAFE_LIMIT
        if self._queued is not None:
            self._waited += 1
            if self._waited > _PATIENCE:
                self.refused(too_long=False)
        look = frames.look_of(frame)
        if look is not None:
            self._take_look(look)
            return False
        message = self._receiving.take(frame)
        if message is None:
            return False
        kind, payload = message
        if kind is None:  # more of what is complete: the receipt has not arrived
            if self.upload is not None:
                self.upload.told = False
            return self.upload is not None and self.upload.receipt is None
        return self._take_message(kind, payload, models)

    def offer(self, manifest: bytes) -> bool:
        """Take a manifest for the board; return whether it asks for something new. Raises ValueError where it
        is none."""
        fields = _fields(manifest)
        if not isinstance(fields, dict) or not all(type(fields.get(key)) is kind for key, kind in _NEEDED):
            raise ValueError("no manifest")
        if self.manifest is not None and _lasting(manifest) == _lasting(self.manifest):
            return False
        self.manifest = manifest
        return True

    def receipt(self, payload: bytes) -> bool:
        """Take a receipt for the board; return whether it is for the body that it sends."""
        receipt = json.loads(payload)
        upload = self.upload
        if (
            upload is None
            or receipt["receipt"] != upload.number
            or receipt["counter"] != upload.counter
            or upload.receipt is not None
        ):
            return False
        upload.receipt = compact.write(payload)
        return True

    def transmitted(self, identity: str) -> int:
        """Take note that a gateway has sent a downlink; return its bytes, 0 where it is none of ours."""
        queued = self._queued
        if queued is None or queued.identity != identity:
            return 0
        self._queued = None
        download, upload = self._download, self.upload
        if download and upload and download.aim[0] == frames.RECEIPT and download.credit == 0:
            upload.told = True
        return len(queued.frame)

    def refused(self, too_long: bool) -> None:
        """Take note that the network server did not send the downlink."""
        if self._queued is None:
            return
        self._queued = None
        if self._download is not None:
            self._download.credit += 1
        if too_long:
            self._narrow, self.limit = True, _SAFE_LIMIT

    def next(self, now: float, models: Models) -> Queued | None:
        """Return the downlink to put into the network server's queue, None where there is none to send.

        now: seconds since the epoch.
        """
        if self._queued is not None:
            return None
        aim = self._aim(models)
        if aim is None:
            self._download = None
            return None
        download = self._download
        if download is None or download.aim != aim or download.sending.frame_bytes > self.limit:
            download = self._begin(aim, models)
            if download is None:
                return None
        reserved = 0 if aim[0] == frames.RECEIPT else min(2, self.budget // 4)
        left = self.budget - self.account.downlinks_today(now)
        if download.credit <= 0 or (self.budget and left <= reserved):
            return None
        download.credit -= 1
        self._queued = Queued(str(uuid4()), bytes(download.sending.frame()))
        self._waited = 0
        return self._queued

    def _take_look(self, look: Any) -> None:
        self.look = look
        download = self._download
        if download is not None and self._queued is None:
            same = look.received and look.identity == download.sending.identity
            download.credit = download.sending.count - (look.received if same else 0)

    def _take_message(self, kind: int, payload: bytes, models: Models) -> bool:
        if kind not in (wire.UPDATE, wire.EVALUATION) or len(payload) <= frames.UPLOAD_BYTES:
            raise ValueError(f"a message of kind {kind}, {len(payload)} bytes")
        number, counter = struct.unpack_from(frames.UPLOAD, payload)
        last = self.upload
        if last is not None and (last.kind, last.number, last.counter) == (kind, number, counter):
            last.told = False  # cut anew because the data rate fell
            return last.receipt is None
        self.upload = Upload(kind, number, counter, payload[frames.UPLOAD_BYTES :])
        if self.manifest is not None and self.look is not None:
            fields = _fields(self.manifest)
            if fields["round"] == number:  # who answers must have what it takes
                self.look.manifest = frames.sum_of(self.manifest)
                self.look.model = frames.sum_of(models.bodies.get(fields["version"], b""))
        return True

    def _aim(self, models: Models) -> tuple[Any, ...] | None:
        """Return what the board lacks most: kind of message, and what tells it from others."""
        upload, look = self.upload, self.look
        if upload is not None and upload.receipt is not None and not upload.told:
            return frames.RECEIPT, upload.counter
        if look is None or self.manifest is None:
            return None
        wanted = frames.sum_of(self.manifest)
        if look.manifest != wanted:
            return frames.MANIFEST, wanted
        fields = _fields(self.manifest)
        body = models.bodies.get(fields["version"])
        if fields["phase"] == IDLE or body is None or look.model == frames.sum_of(body):
            return None
        return frames.BODY, frames.sum_of(body), look.model

    def _begin(self, aim: tuple[Any, ...], models: Models) -> Download | None:
        try:
            kind, payload = self._message(aim[0], models)
            sending = frames.Sending(kind, payload, self.limit)
        except (ValueError, FedmoteError) as error:
            logger.error("nothing goes down to %s: %s", self.name, error)
            return None
        self._download = Download(aim, sending, sending.count)
        logger.info("%s: %s, %d bytes, %d frames", self.name, _NAMES[kind], len(payload), sending.count)
        return self._download

    def _message(self, kind: int, models: Models) -> tuple[int, bytes]:
        if kind == frames.RECEIPT:
            assert self.upload is not None and self.upload.receipt is not None
            return kind, self.upload.receipt
        assert self.manifest is not None
        fields = _fields(self.manifest)
        steps = models.steps(self.look.model, fields["version"]) if fields["phase"] != IDLE else None
        moved = struct.pack("<I", self.look.model) + steps if steps else b""
        if kind == frames.MANIFEST:
            manifest = compact.write(self.manifest)
            return kind, struct.pack("<H", len(manifest)) + manifest + moved
        return (frames.STEPS, moved) if moved else (kind, models.bodies[fields["version"]])


_NAMES = {
    frames.MANIFEST: "manifest down",
    frames.RECEIPT: "receipt down",
    frames.BODY: "whole model down",
    frames.STEPS: "model down in steps",
}


def _fields(manifest: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(manifest.decode())
    return fields


def _lasting(manifest: bytes) -> dict[str, Any]:
    return {key: value for key, value in _fields(manifest).items() if key not in _PASSING}
