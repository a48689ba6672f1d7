"""The device's side of a federated round: a state machine that knows no transport. See docs/protocol.md.

A driver hands it what arrives (``received``), lets it work in slices (``step``) and sends what it offers
(``next_message``).
"""

import json
from array import array
from struct import unpack

from . import codec, wire
from .port import random_bytes, sha256, ticks_add, ticks_diff

COLLECTING = "collecting"
IDLE = "idle"
FETCHING = "fetching"
EVALUATING = "evaluating"
TRAINING = "training"
SENDING = "sending"
WAITING = "waiting"

_IN_FLIGHT = 4
_FETCH_MS = 5000
_RESEND_MS = 4000
_RESEND_LIMIT_MS = 64000
_MANIFEST_BYTES = 1000


class Participant:
    """One board in one federation.

    federation, device: names. key: 32 bytes. local: local.Local. shuffle_of(round): returns a local.Shuffle.
    ``state`` tells what it is doing, ``error`` the last thing that went wrong (text or None), ``round`` the
    round's number.
    """

    def __init__(self, federation, device, key, local, shuffle_of):
        self.federation, self.device, self.local = federation, device, local
        self._key, self._shuffle_of = key, shuffle_of
        self.state = IDLE
        self.error = None
        self.round = 0
        #: topic filter of the global model while it is wanted, else None
        self.model_filter = None
        self.round_topic = wire.topic(federation, "round")
        self.command_topic = wire.topic(federation, "command", device)
        self._manifest = None
        self._counter = unpack("<H", random_bytes(2))[0] << 16
        self._work = None
        self._body = self._have = None
        self._encoder = self._tag = None
        self._offered = self._acknowledged = None
        self._message = bytearray(wire.MESSAGE_BYTES)
        self._deadline = 0
        self._pause_ms = _RESEND_MS

    def received(self, topic, payload, now):
        """Take one message; a malformed one changes nothing but ``error``. now: milliseconds."""
        try:
            if topic == self.round_topic:
                self._on_manifest(payload, now)
            elif topic == self.command_topic:
                self._on_receipt(payload)
            elif self.state == FETCHING:
                self._on_chunk(wire.Chunk(payload), now)
        except (ValueError, KeyError, TypeError) as error:
            self.error = "message on %s ignored: %s" % (topic, error)

    def step(self, now):
        """Do one slice of work (a row, a mini-batch). Return True while there is more to do at once."""
        if self.state == COLLECTING and self.local.ready:
            self._start_work()
        if self._work is not None:
            try:
                next(self._work)
                return True
            except StopIteration:
                self._work = None
                if self._encoder is None:
                    if self.local.report is None:  # without labels there is nothing to tell
                        self.state = IDLE
                        return False
                    self._start_signing()
                    return True
                self._start_sending()
            except ArithmeticError as error:
                self._work = None
                self.error = str(error)
                self.state = IDLE
        if self.state == FETCHING:
            if self.model_filter is None:
                self._await_model(now)
            elif ticks_diff(now, self._deadline) >= 0:
                self.model_filter = (
                    None  # set again in the next step: a new subscription brings what the broker retains
                )
        if self.state == WAITING and ticks_diff(now, self._deadline) >= 0:
            self._offered = bytearray(len(self._offered))
            self._acknowledged = bytearray(len(self._offered))
            self._pause_ms = min(2 * self._pause_ms, _RESEND_LIMIT_MS)
            self.state = SENDING
        return False

    def next_message(self):
        """Return (topic, payload) of the next piece to publish with QoS 1, or None.

        The payload is a view that is valid until the next call.
        """
        if self.state != SENDING:
            return None
        waiting = sum(self._offered) - sum(self._acknowledged)
        if waiting >= _IN_FLIGHT:
            return None
        for index in range(len(self._offered)):
            if not self._offered[index]:
                self._offered[index] = 1
                return self._topic(index), self._piece(index)
        return None

    def delivered(self, topic, now):
        """The broker has acknowledged the message that was published on ``topic``."""
        if self.state != SENDING:
            return
        index = int(topic[topic.rfind("/") + 1 :])
        if topic == self._topic(index) and index < len(self._acknowledged):
            self._acknowledged[index] = 1
        if sum(self._acknowledged) == len(self._acknowledged):
            self._deadline = ticks_add(now, self._pause_ms)
            self.state = WAITING

    def disconnected(self):
        """The link was lost: what the broker has not acknowledged is offered again."""
        if self.state == SENDING:
            self._offered[:] = self._acknowledged

    def _on_manifest(self, payload, now):
        if len(payload) > _MANIFEST_BYTES:
            raise ValueError("a manifest of %d bytes" % len(payload))
        manifest = json.loads(bytes(payload))
        if manifest["protocol"] != wire.PROTOCOL:
            raise ValueError("protocol %s, this board speaks %d" % (manifest["protocol"], wire.PROTOCOL))
        if manifest == self._manifest:
            return
        if manifest["layout"] != self.local.learner.layout:
            raise ValueError("the federation trains another network than this board has")
        if manifest["size"] != 4 * len(self.local.base) or len(manifest["sha256"]) != 64:
            raise ValueError(
                "a model of %s bytes, this board has %d" % (manifest["size"], 4 * len(self.local.base))
            )
        if manifest["codec"] not in codec.CODECS:
            raise ValueError("codec %s is unknown" % manifest["codec"])
        for key, highest in (("epochs", 1000), ("batch", 1000), ("rate", 1000), ("decay", 1000)):
            if not 0 <= manifest[key] <= highest:
                raise ValueError("%s %s" % (key, manifest[key]))
        self._drop()
        self._manifest = manifest
        self.round = manifest["round"]
        if manifest["phase"] == "idle":
            self.state = IDLE
        else:
            self._body = bytearray(manifest["size"])
            self._have = bytearray(wire.piece_count(manifest["size"]))
            self._await_model(now)

    def _await_model(self, now):
        self.state = FETCHING
        self._deadline = ticks_add(now, _FETCH_MS)
        self.model_filter = wire.topic(self.federation, "model", self._manifest["version"], "+")

    def _on_chunk(self, chunk, now):
        if (
            chunk.kind != wire.MODEL
            or chunk.number != self._manifest["version"]
            or chunk.total != len(self._body)
        ):
            return
        start = chunk.index * wire.PIECE_BYTES
        self._body[start : start + len(chunk.piece)] = chunk.piece
        self._have[chunk.index] = 1
        self._deadline = ticks_add(now, _FETCH_MS)
        if sum(self._have) < len(self._have):
            return
        digest = sha256()
        digest.update(self._body)
        if "".join("%02x" % byte for byte in digest.digest()) != self._manifest["sha256"]:
            self._have = bytearray(len(self._have))
            raise ValueError("the model's SHA-256 is not the manifest's; it is fetched again")
        self.local.base[:] = array("f", self._body)
        self._body = self._have = self.model_filter = None
        self.state = COLLECTING

    def _start_work(self):
        m = self._manifest
        train = m["phase"] == "train"
        self.state = TRAINING if train and self.local.learns else EVALUATING
        self._work = self.local.work(
            m["version"], train, m["epochs"], m["batch"], m["rate"], m["decay"], self._shuffle_of(m["round"])
        )

    def _start_signing(self):
        local = self.local
        learned = local.report.samples > 0
        self._kind = wire.UPDATE if learned else wire.EVALUATION
        self._counter = (self._counter + 1) & 0xFFFFFFFF
        self._encoder = codec.Encoder(
            local.report,
            codec.CODECS[self._manifest["codec"]] if learned else codec.NONE,
            local.learner.values,
            local.base,
            local.learner.sizes,
        )
        self._total = self._encoder.total + wire.TAG_BYTES
        self._work = self._sign()

    def _sign(self):
        """Compute the tag piece by piece."""
        tag = wire.Tag(
            self._key,
            self.federation,
            self._manifest["run"],
            self.device,
            self._kind,
            self.round,
            self._counter,
        )
        piece = memoryview(self._message)[wire.HEADER_BYTES :]
        for offset in range(0, self._encoder.total, wire.PIECE_BYTES):
            tag.update(piece[: self._encoder.read_into(piece, offset)])
            yield
        self._tag = tag.digest()

    def _start_sending(self):
        self.state = SENDING
        self._offered = bytearray(wire.piece_count(self._total))
        self._acknowledged = bytearray(len(self._offered))
        self._pause_ms = _RESEND_MS

    def _piece(self, index):
        message = memoryview(self._message)
        start = index * wire.PIECE_BYTES
        length = min(wire.PIECE_BYTES, self._total - start)
        target = message[wire.HEADER_BYTES : wire.HEADER_BYTES + length]
        filled = self._encoder.read_into(target, start)
        if filled < length:
            at = start + filled - self._encoder.total
            target[filled:] = self._tag[at : at + length - filled]
        wire.write_header(self._message, length, self._kind, self.round, self._counter, index, self._total)
        return message[: wire.HEADER_BYTES + length]

    def _topic(self, index):
        return wire.topic(self.federation, "update", self.device, self.round, index)

    def _on_receipt(self, payload):
        receipt = json.loads(bytes(payload[:_MANIFEST_BYTES]))
        if receipt.get("receipt") != self.round or receipt.get("counter") != self._counter:
            return
        if self.state in (SENDING, WAITING):
            if receipt["result"] != "accepted":
                self.error = "update of round %d refused: %s" % (self.round, receipt.get("reason"))
            self._encoder = self._offered = self._acknowledged = None
            self.state = IDLE

    def _drop(self):
        """Forget the round under way; a model half tried does not stay."""
        if self._work is not None:
            self._work = None
            self.local.abandon()
        self._encoder = self._offered = self._acknowledged = self._body = self._have = None
        self.model_filter = None
