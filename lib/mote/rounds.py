"""The device's side of a federated round: a state machine that knows no transport. See docs/protocol.md.

A driver hands it what arrives (``received``), lets it work in slices (``step``) and sends what it offers
(``next_message``).
"""

import gc
import json
from array import array

from . import codec, wire
from .memory import Memory
from .port import sha256, ticks_add, ticks_diff

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
_ASKED = ("run", "round", "version", "phase", "layout", "codec")


class Participant:
    """One board in one federation.

    federation, device: names. key: 32 bytes. local: local.Local. shuffle_of(round): returns a local.Shuffle.
    memory: memory.Memory, without one it ends with the power. ``state`` tells what it is doing, ``error`` the
    last thing that went wrong (text or None), ``round`` the round's number. ``pause_ms``: how long nothing
    will be asked of the board. ``time``: seconds since midnight UTC when the last manifest came, ``time_at``
    the ticks then; None before.
    """

    def __init__(self, federation, device, key, local, shuffle_of, memory=None):
        self.federation, self.device, self.local = federation, device, local
        self._key, self._shuffle_of = key, shuffle_of
        self._memory = memory or Memory()
        self.state = IDLE
        self.error = None
        self.round = 0
        self.pause_ms = 0
        self.time = self.time_at = None
        #: topic filter of the global model while it is wanted, else None
        self.model_filter = None
        self.round_topic = wire.topic(federation, "round", device)
        self.command_topic = wire.topic(federation, "command", device)
        self._manifest = None
        #: what the round asks for, text, and whether that is answered
        self._asked, self._told = None, False
        self._counter = 0
        self._work = None
        self._room = bytearray(4 * len(local.base))  # for models: later there might be no piece so long
        self._body = self._have = None
        self._encoder = self._tag = self._residual = None
        self._offered = self._acknowledged = None
        self._message = bytearray(wire.MESSAGE_BYTES)
        self._deadline = 0
        self._pause_ms = _RESEND_MS

    def received(self, topic, payload, now):
        """Take one message; a malformed one changes nothing but ``error``. now: milliseconds."""
        manifest = self._manifest
        try:
            self._take(topic, payload, now)
        except MemoryError:  # whoever floods a board with messages tears its memory to pieces
            self._manifest = manifest
            gc.collect()
            try:
                self._take(topic, payload, now)
            except MemoryError:
                self.error = "message on %s ignored: no memory for it" % topic

    def _take(self, topic, payload, now):
        try:
            if topic == self.round_topic:
                self._on_manifest(payload, now)
            elif topic == self.command_topic:
                self._on_receipt(payload, now)
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
                    if self.local.report is None or self._told:  # without labels there is nothing to tell
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
            self._memory.sent(self._counter, _leading(self._acknowledged))
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
        if not payload:
            return  # the broker was told to forget
        manifest = json.loads(bytes(payload))
        if manifest["protocol"] != wire.PROTOCOL:
            raise ValueError("protocol %s, this board speaks %d" % (manifest["protocol"], wire.PROTOCOL))
        if not wire.is_sealed(self._key, wire.MANIFEST_SEAL, self.federation, self.device, payload):
            raise ValueError("its tag is not of this device's key")
        run, place = manifest["run"], (manifest["round"], manifest["edition"])
        newest = self._memory.newest
        if newest is not None and newest[0] == run and place < tuple(newest[1:]):
            raise ValueError("round %d, edition %d is older than what came before" % place)
        self.pause_ms = manifest["pause_ms"]
        self.time, self.time_at = manifest["time"], now
        last = self._manifest
        if last is not None and last["run"] == run and (last["round"], last["edition"]) == place:
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
        self._memory.take(run, place[0], place[1])
        self._manifest = manifest
        self.round = manifest["round"]
        if manifest["phase"] == "idle":
            self._drop()
            self.state = IDLE
            return
        asked = " ".join([str(manifest[key]) for key in _ASKED])
        if asked != self._asked:
            self._told = False
        elif self._told or self.state != IDLE:
            return  # the same under other terms, such as a later deadline
        self._drop()
        self._asked = asked
        body = self._memory.body(asked)
        if body is None:
            self._want_model(now)
        else:
            self._resume(body, now)

    def _resume(self, body, now):
        """Go on with a body of before a loss of power."""
        self._kind, self._counter, self._tag = body.kind, body.counter, body.tag
        self._encoder, self._total = body, body.total + wire.TAG_BYTES
        if body.answered or body.counter <= self._manifest["counter"]:
            self._end_round(now)
            return
        self._start_sending()
        for index in range(min(body.sent, len(self._offered) - 1)):  # the last one brings a receipt
            self._offered[index] = self._acknowledged[index] = 1

    def _end_round(self, now):
        """The body has its receipt. A model that the board has no time to check before may go live now."""
        self._told = True
        self._encoder = self._offered = self._acknowledged = None
        if self.local.version is None:
            self._want_model(now)
        else:
            self.state = IDLE

    def _want_model(self, now):
        self._body = self._room
        self._have = self._memory.pieces(self._manifest["sha256"], self._body)
        if sum(self._have) < len(self._have) or not self._took_model():
            self._await_model(now)

    def _await_model(self, now):
        """Ask for all pieces at once; where some are there, for one after another of those that are not."""
        self.state = FETCHING
        self._deadline = ticks_add(now, _FETCH_MS)
        which = _leading(self._have) if sum(self._have) else "+"
        self.model_filter = wire.topic(self.federation, "model", self._manifest["version"], which)

    def _on_chunk(self, chunk, now):
        if (
            chunk.kind != wire.MODEL
            or chunk.number != self._manifest["version"]
            or chunk.total != len(self._body)
        ):
            return
        if not self._have[chunk.index]:
            start = chunk.index * wire.PIECE_BYTES
            self._body[start : start + len(chunk.piece)] = chunk.piece
            self._have[chunk.index] = 1
            self._memory.got(chunk.index, self._body)
        self._deadline = ticks_add(now, _FETCH_MS)
        if sum(self._have) < len(self._have):
            if self.model_filter is not None and not self.model_filter.endswith("+"):
                self._await_model(now)
        elif not self._took_model():
            raise ValueError("the model's SHA-256 is not the manifest's; it is fetched again")

    def _took_model(self):
        """Tell whether all the pieces are the model that the manifest names; then work can begin."""
        digest = sha256()
        digest.update(self._body)
        if "".join("%02x" % byte for byte in digest.digest()) != self._manifest["sha256"]:
            self._have = bytearray(len(self._have))
            self._memory.forget_model()
            return False
        base, body = self.local.base, memoryview(self._body)
        for start in range(0, len(base), 250):  # in pieces: there may be no room for it all once more
            base[start : start + 250] = array("f", bytes(body[4 * start : 4 * start + 1000]))
        self._body = self._have = self.model_filter = None
        self.state = COLLECTING
        return True

    def _start_work(self):
        m = self._manifest
        train = m["phase"] == "train" and not self._told
        self.state = TRAINING if train and self.local.learns else EVALUATING
        self._work = self.local.work(
            m["version"], train, m["epochs"], m["batch"], m["rate"], m["decay"], self._shuffle_of(m["round"])
        )

    def _start_signing(self):
        local = self.local
        learned = local.report.samples > 0
        self._kind = wire.UPDATE if learned else wire.EVALUATION
        self._counter = self._memory.counter(self._manifest["counter"])
        learner = local.learner
        form = codec.CODECS[self._manifest["codec"]] if learned else codec.NONE
        base = learner.trained(local.base)
        if form == codec.TERNARY and self._residual is None:
            self._residual = array("f", bytes(4 * len(base)))
        self._encoder = codec.Encoder(
            local.report, form, learner.trained(learner.values), base, learner.part_sizes, self._residual
        )
        self._total = self._encoder.total + wire.TAG_BYTES
        self._work = self._sign()

    def _sign(self):
        """Compute the tag piece by piece, and keep what it is of."""
        tag = wire.Tag(
            self._key,
            self.federation,
            self._manifest["run"],
            self.device,
            self._kind,
            self.round,
            self._counter,
        )
        self._memory.begin_body(self._asked, self._kind, self._counter, self._encoder.total)
        view = memoryview(self._message)[wire.HEADER_BYTES :]
        for offset in range(0, self._encoder.total, wire.PIECE_BYTES):
            piece = view[: self._encoder.read_into(view, offset)]
            tag.update(piece)
            self._memory.add(piece)
            yield
        self._tag = tag.digest()
        self._memory.end_body(self._tag)

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

    def _on_receipt(self, payload, now):
        if len(payload) > _MANIFEST_BYTES:
            raise ValueError("a receipt of %d bytes" % len(payload))
        receipt = json.loads(bytes(payload))
        if not wire.is_sealed(self._key, wire.RECEIPT_SEAL, self.federation, self.device, payload):
            raise ValueError("its tag is not of this device's key")
        if receipt.get("receipt") != self.round or receipt.get("counter") != self._counter:
            return
        if self.state in (SENDING, WAITING):
            if receipt["result"] != "accepted":
                self.error = "update of round %d refused: %s" % (self.round, receipt.get("reason"))
                self._memory.forget_body()
            self._memory.answered(self._counter)
            self._end_round(now)

    def _drop(self):
        """Forget the round under way; a model half tried does not stay."""
        if self._work is not None:
            self._work = None
            self.local.abandon()
            self._memory.close()
        self._encoder = self._offered = self._acknowledged = self._body = self._have = None
        self.model_filter = None


def _leading(flags):
    """Return how many flags are set before the first one that is not."""
    for count in range(len(flags)):
        if not flags[count]:
            return count
    return len(flags)
