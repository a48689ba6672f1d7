"""The aggregator without a transport: messages in, messages out,
everything that counts in the store in between."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.federation import aggregation, telemetry
from fedmote.federation.bodies import Form, is_authentic
from fedmote.federation.devices import Member
from fedmote.federation.events import (
    BoardSeen,
    EvaluationAccepted,
    Event,
    Quarantined,
    Refused,
    Telemetry,
    UpdateAccepted,
)
from fedmote.federation.guard import Guard
from fedmote.federation.intake import Intake
from fedmote.federation.manifests import Manifest, receipt_message
from fedmote.federation.operators import fulfil
from fedmote.federation.plan import Plan
from fedmote.federation.protocol import Outgoing, Reason, Refusal, Topic, parse_chunk, parse_topic
from fedmote.federation.roster import Roster
from fedmote.federation.rounds import Rounds
from fedmote.federation.store import Accepted, Model, Store
from fedmote.federation.turn import Turn
from mote import wire

_REPEAT_S = 1.0  # a body of many pieces that comes again is answered once in this time
_HEARD_S = 10.0  # how often what telemetry tells is written: it must not cost a commit each


@dataclass
class Heard:
    """What a device has told since it was last written down. seen: seconds since the epoch."""

    seen: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)


class Aggregator:
    """Runs the rounds of one federation on ``store``, which must have
    been founded (store.found) with the plan's layout.

    clock: seconds, monotonic. ``listeners`` are called with every Event, after what it tells is on
    disk. An exception out of a method leaves the store as it was before the call; the object is of
    no more use then. Raises FedmoteError where store and plan do not fit.
    """

    def __init__(
        self, store: Store, federation: str, plan: Plan, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not wire.valid_name(federation):
            raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
        if store.meta("layout") != plan.layout:
            raise FedmoteError(
                f"{store.path} learns a network of layout {store.meta('layout')}, not {plan.layout}"
            )
        self.store, self.federation, self.plan = store, federation, plan
        self.listeners: list[Callable[[Event], None]] = []
        self._clock = clock
        self._turn = Turn()
        self._intake = Intake(store)
        self._guard = Guard(plan.pieces, clock)
        self._roster = Roster(store, plan.layout, clock)
        self._rounds = Rounds(store, federation, plan, self._roster, self._turn, self._aggregate, clock)
        self._answered: dict[str, tuple[int, int, float]] = {}
        self._heard: dict[str, Heard] = {}  # what has not been written yet
        self._heard_at = clock()  # when it is to be

    @property
    def finished(self) -> bool:
        """Whether all rounds of the plan are done."""
        return self._rounds.finished

    @property
    def manifest(self) -> Manifest | None:
        """The round that is open."""
        return self._rounds.manifest

    def start(self) -> list[Outgoing]:
        """Return all that a broker must retain: for the start, and after every new connection to a broker."""
        with self.store.transaction():
            self._refresh()
            self._fulfil()
            self._rounds.advance()
            self._turn.outgoing.clear()  # all of it is among what follows
            # Boards of protocol 1 shared one manifest, which nothing else would take away.
            self._turn.outgoing.append(Outgoing(wire.topic(self.federation, "round"), b"", retained=True))
            self._rounds.announce()
            self._turn.write(self.store)
        return self._turn.finish(self.listeners)

    def handle(self, messages: Sequence[tuple[str, bytes]]) -> list[Outgoing]:
        """Take (topic, payload) pairs in one transaction and return
        what to publish; then they may be acknowledged."""
        with self.store.transaction():
            self._refresh()
            for topic, payload in messages:
                self._take(topic, payload)
            if self._clock() >= self._heard_at:
                self._note_heard()
            self._rounds.advance()
            self._turn.write(self.store)
        return self._turn.finish(self.listeners)

    def tick(self) -> list[Outgoing]:
        """Look at the clock, and at what operators want, some times a second."""
        if self._clock() >= self._heard_at:
            self.rest()
        over = self._rounds.round is not None and self._clock() >= self._rounds.deadline
        if not over and not self.store.open_wishes():
            return []
        with self.store.transaction():
            self._refresh()
            self._fulfil()
            self._rounds.advance()
            self._turn.write(self.store)
        return self._turn.finish(self.listeners)

    def rest(self) -> None:
        """Write down what is only in memory, for the end: what telemetry told of the last seconds."""
        if self._heard or self._turn.traffic:
            with self.store.transaction():
                self._note_heard()

    def _refresh(self) -> None:
        """Read again what others may have written, within a transaction."""
        if self._roster.refresh():
            self._intake.forget()
            self._rounds.read()

    def _fulfil(self) -> None:
        for wish in self.store.open_wishes():
            fulfil(wish, self.store, self._rounds, self._turn)

    def _aggregate(
        self, manifest: Manifest, base: Model, updates: list[tuple[str, int]]
    ) -> NDArray[np.float32]:
        """Return the new model, float32 [D], of the updates (device, round that it was made for)."""
        form = self.plan.form(manifest.codec)
        return aggregation.aggregate(self.store, self.plan.rule, form, base, updates)

    # One message

    def _take(self, name: str, payload: bytes) -> None:
        device = ""
        try:
            topic = parse_topic(self.federation, name)
            member = self._roster.get(topic.device)
            if member is None:
                raise Refusal(Reason.UNKNOWN_DEVICE)
            device = topic.device
            if not self._guard.admits(topic.branch, device, len(name) + len(payload)):
                raise Refusal(Reason.RATE)
            if topic.branch != "status":  # which may have been retained for long
                if device not in self._heard:
                    self._heard[device] = Heard()
                self._heard[device].seen = time.time()
            if topic.branch == "update":
                self._turn.count_up(device, len(name) + len(payload))
                self._take_chunk(topic, payload, member)
            elif topic.branch == "status":
                self._take_status(device, payload)
            else:
                line = telemetry.parse_telemetry(payload)
                self._heard[device].told.update(line)
                self._turn.tell(Telemetry(device, line))
        except Refusal as refusal:
            self._turn.refuse(refusal.reason, device)
            if refusal.reason is not Reason.REPEATED and self._guard.tells():
                self._turn.tell(Refused(device, refusal.reason))

    def _take_status(self, device: str, payload: bytes) -> None:
        status = telemetry.parse_status(payload)
        if device in self._heard:  # what came before
            heard = self._heard.pop(device)
            self.store.note_heard(device, heard.seen, heard.told)
        self._roster.note_status(device, status)
        self._turn.tell(BoardSeen(device, status))
        if status["state"] == telemetry.ONLINE:
            self._rounds.seen(device)
        else:
            self._rounds.gone()

    def _note_heard(self) -> None:
        self.store.note_all_heard((device, one.seen, one.told) for device, one in self._heard.items())
        self._heard.clear()
        self._turn.write_traffic(self.store)
        self._heard_at = self._clock() + _HEARD_S

    def _take_chunk(self, topic: Topic, payload: bytes, member: Member) -> None:
        device = topic.device
        chunk = parse_chunk(topic, payload)
        if self._rounds.has_answer(device, chunk.number):
            self._answer(device, chunk, member, None)
            raise Refusal(Reason.REPEATED)
        try:
            if member.quarantined:
                raise Refusal(Reason.QUARANTINE, answer=True)
            form, version = self._rounds.check(device, chunk.number, chunk.kind, chunk.total)
            if chunk.counter <= member.counter:
                raise Refusal(Reason.COUNTER, answer=True)
            body = self._intake.gather(device, chunk)
            if body is not None:
                self._take_body(device, chunk, form, version, body, member)
        except Refusal as refusal:
            if refusal.answer:
                self._answer(device, chunk, member, refusal.reason)
            raise

    def _take_body(
        self, device: str, chunk: Any, form: Form, version: int, body: bytes, member: Member
    ) -> None:
        kind, number, counter = chunk.kind, chunk.number, chunk.counter
        if not is_authentic(body, member.key, self.federation, self.store.run, device, kind, number, counter):
            raise Refusal(Reason.TAG)
        body = body[: -wire.TAG_BYTES]
        try:
            report, _ = form.decode(kind, body, version)
        except Refusal as refusal:
            self._rounds.settled(device, number)  # there will be no better one
            if self._guard.convicts(device, refusal.reason, counter):
                self._roster.quarantine(device, refusal.reason)
                self._turn.tell(Quarantined(device, refusal.reason))
            raise
        up_bytes = self._up_bytes(device, chunk)
        assert self.manifest is not None
        late = self.manifest.round if number != self.manifest.round else None
        self.store.accept(number, Accepted(device, kind, counter, member.role, up_bytes, report), body, late)
        self._roster.note_answer(device, counter, report.train_ms * report.samples or None)
        self._turn.count_down(device, self._rounds.shelf.bytes_of(version))
        self._answer(device, chunk, member, None)
        self._rounds.answered(device, number, kind, report.samples)
        if kind == wire.UPDATE:
            self._turn.tell(UpdateAccepted(device, number, up_bytes, report, late is not None))
        else:
            self._turn.tell(EvaluationAccepted(device, number, up_bytes, report))

    def _up_bytes(self, device: str, chunk: Any) -> int:
        """Return the bytes of all messages of a body, by one of its chunks."""
        topic_bytes = len(wire.topic(self.federation, "update", device, chunk.number, ""))
        digits = sum(len(str(index)) for index in range(chunk.count))
        return int(chunk.count * (topic_bytes + wire.HEADER_BYTES) + digits + chunk.total)

    def _answer(self, device: str, chunk: Any, member: Member, refused: Reason | None) -> None:
        now = self._clock()
        last = self._answered.get(device)
        place = (chunk.number, chunk.counter)
        if last is not None and last[:2] == place and now - last[2] < _REPEAT_S:
            return
        self._answered[device] = (*place, now)
        self._turn.send(device, receipt_message(self.federation, device, member.key, *place, refused))
