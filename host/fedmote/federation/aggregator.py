"""The aggregator without a transport: messages in, messages out,
everything that counts in the store in between."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.federation import telemetry
from fedmote.federation.bodies import Form, is_authentic
from fedmote.federation.events import (
    BoardSeen,
    EvaluationAccepted,
    Event,
    Finished,
    Refused,
    RoundClosed,
    RoundExtended,
    RoundStarted,
    Score,
    Telemetry,
    UpdateAccepted,
)
from fedmote.federation.plan import EVALUATE, IDLE, TRAIN, Plan
from fedmote.federation.protocol import (
    Manifest,
    Outgoing,
    Reason,
    Refusal,
    Topic,
    clearing_messages,
    model_messages,
    parse_chunk,
    parse_topic,
    receipt_message,
    round_message,
)
from fedmote.federation.rules import RULES
from fedmote.federation.store import Accepted, Model, Partial, Store
from mote import wire

_REPEAT_S = 1.0  # a body of many pieces that comes again is answered once in this time


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
        self._manifest = store.open_round()
        self._deadline = self._next_deadline()
        self._settled: set[str] = (
            set()
        )  # whose authentic body of this round was refused: there will be no better one
        self._answered: dict[str, tuple[int, int, float]] = {}
        self._outgoing: list[Outgoing] = []
        self._events: list[Event] = []

    @property
    def finished(self) -> bool:
        """Whether all rounds of the plan are done."""
        return self._manifest is None and self._next_phase() is None

    @property
    def manifest(self) -> Manifest | None:
        """The round that is open."""
        return self._manifest

    def start(self) -> list[Outgoing]:
        """Return all that a broker must retain: for the start, and after every new connection to a broker."""
        with self.store.transaction():
            self._advance()
        self._outgoing.clear()  # all of it is among what follows
        model = self.store.model()
        manifest = self._manifest or self._make_manifest(self._last_round(), IDLE, model)
        base = self.store.model(manifest.version)
        self._outgoing += model_messages(self.federation, base.version, base.body)
        self._outgoing.append(round_message(self.federation, manifest))
        self._clear_old(base)
        return self._finish()

    def handle(self, messages: Sequence[tuple[str, bytes]]) -> list[Outgoing]:
        """Take (topic, payload) pairs in one transaction and return
        what to publish; then they may be acknowledged."""
        with self.store.transaction():
            for topic, payload in messages:
                self._take(topic, payload)
            self._advance()
        return self._finish()

    def tick(self) -> list[Outgoing]:
        """Look at the clock, some times a second."""
        if self._manifest is None or self._clock() < self._deadline:
            return []
        with self.store.transaction():
            self._advance()
        return self._finish()

    def _finish(self) -> list[Outgoing]:
        outgoing, self._outgoing = self._outgoing, []
        events, self._events = self._events, []
        for event in events:
            for listener in self.listeners:
                listener(event)
        return outgoing

    # One message

    def _take(self, name: str, payload: bytes) -> None:
        device = ""
        try:
            topic = parse_topic(self.federation, name)
            key = self.store.key(topic.device)
            if key is None:
                raise Refusal(Reason.UNKNOWN_DEVICE)
            device = topic.device
            if topic.branch == "update":
                self.store.add_traffic(device, up_bytes=len(name) + len(payload))
                self._take_chunk(topic, payload, key)
            elif topic.branch == "status":
                self._take_status(device, payload)
            else:
                self._events.append(Telemetry(device, telemetry.parse_telemetry(payload)))
        except Refusal as refusal:
            self.store.refuse(refusal.reason, device)
            if refusal.reason is not Reason.REPEATED:
                self._events.append(Refused(device, refusal.reason))

    def _take_status(self, device: str, payload: bytes) -> None:
        status = telemetry.parse_status(payload)
        self.store.set_presence(
            device, status["state"] == telemetry.ONLINE, status.get("role"), status.get("layout")
        )
        self._events.append(BoardSeen(device, status))

    def _take_chunk(self, topic: Topic, payload: bytes, key: bytes) -> None:
        device = topic.device
        chunk = parse_chunk(topic, payload)
        if self.store.has_accepted(chunk.number, device):
            self._answer(device, chunk.number, chunk.counter, None)
            raise Refusal(Reason.REPEATED)
        try:
            form = self._check_chunk(device, chunk.number, chunk.kind, chunk.total)
            body = self._gather(device, Partial(chunk.number, chunk.kind, chunk.counter), chunk)
            if body is not None:
                self._take_body(device, chunk, form, body, key)
        except Refusal as refusal:
            if refusal.answer:
                self._answer(device, chunk.number, chunk.counter, refusal.reason)
            raise

    def _check_chunk(self, device: str, number: int, kind: int, total: int) -> Form:
        """Refuse, before anything is stored, what can never
        count; return the form that the body must have."""
        manifest = self._manifest
        if manifest is None or number != manifest.round:
            raise Refusal(Reason.ROUND, answer=True)
        if kind == wire.UPDATE and manifest.phase != TRAIN:
            raise Refusal(Reason.PHASE, answer=True)
        if kind == wire.UPDATE and self.store.role(device) != telemetry.LEARN:
            raise Refusal(Reason.ROLE, answer=True)
        form = self.plan.form(manifest.codec)
        if total != form.length(kind):
            raise Refusal(Reason.LENGTH, answer=True)
        return form

    def _gather(self, device: str, partial: Partial, chunk: wire.Chunk) -> bytes | None:
        """Store a piece and return the body where it was the last one missing."""
        if self.store.partial(device) != partial:
            self.store.begin_partial(device, partial)
        if self.store.put_chunk(device, chunk.index, bytes(chunk.piece)) < chunk.count:
            return None
        body = self.store.body(device)
        self.store.drop_partial(device)
        return body

    def _take_body(self, device: str, chunk: wire.Chunk, form: Form, body: bytes, key: bytes) -> None:
        kind, number, counter = chunk.kind, chunk.number, chunk.counter
        if not is_authentic(body, key, self.federation, self.store.run, device, kind, number, counter):
            raise Refusal(Reason.TAG, answer=True)
        body = body[: -wire.TAG_BYTES]
        assert self._manifest is not None
        try:
            report, _ = form.decode(kind, body, self._manifest.version)
        except Refusal:
            self._settled.add(device)
            raise
        up_bytes = (
            sum(
                len(wire.topic(self.federation, "update", device, number, index)) + wire.HEADER_BYTES
                for index in range(chunk.count)
            )
            + chunk.total
        )
        accepted = Accepted(device, kind, counter, self.store.role(device), up_bytes, report)
        self.store.accept(number, accepted, body)
        self.store.add_traffic(device, down_bytes=self._download_bytes())
        self._answer(device, number, counter, None)
        event = UpdateAccepted if kind == wire.UPDATE else EvaluationAccepted
        self._events.append(event(device, number, up_bytes, report))

    def _answer(self, device: str, number: int, counter: int, refused: Reason | None) -> None:
        now = self._clock()
        last = self._answered.get(device)
        if last is not None and last[:2] == (number, counter) and now - last[2] < _REPEAT_S:
            return
        self._answered[device] = (number, counter, now)
        receipt = receipt_message(self.federation, device, number, counter, refused)
        self.store.add_traffic(device, down_bytes=len(receipt.topic) + len(receipt.payload))
        self._outgoing.append(receipt)

    def _download_bytes(self) -> int:
        """Return the bytes that a board must have fetched to answer the open round."""
        assert self._manifest is not None
        model = self.store.model(self._manifest.version)
        messages = [*model_messages(self.federation, model.version, model.body)]
        messages.append(round_message(self.federation, self._manifest))
        return sum(len(message.topic) + len(message.payload) for message in messages)

    # Rounds

    def _advance(self) -> None:
        """Close the open round where it may end, and open the next one where it may begin."""
        manifest = self._manifest
        if manifest is not None:
            accepted = self.store.accepted(manifest.round)
            if not self._may_close(manifest, accepted):
                return
            self._close(manifest, accepted)
        phase = self._next_phase()
        if phase is None:
            if manifest is not None:
                model = self.store.model()
                self._outgoing.append(
                    round_message(self.federation, self._make_manifest(manifest.round, IDLE, model))
                )
                self._events.append(Finished(model.version))
        elif phase == EVALUATE or self._learners_online() >= self.plan.minimum:
            self._open(phase)

    def _may_close(self, manifest: Manifest, accepted: list[Accepted]) -> bool:
        training = manifest.phase == TRAIN
        answers = sum(one.kind == wire.UPDATE for one in accepted) if training else len(accepted)
        minimum = self.plan.minimum if training else 1
        present = self.store.present(self.plan.layout)
        missing = set(present) - {one.device for one in accepted} - self._settled
        if answers >= minimum and present and not missing:
            return True
        if self._clock() < self._deadline:
            return False
        if answers >= minimum:
            return True
        self._deadline = self._next_deadline()
        self._events.append(RoundExtended(manifest.round, answers, minimum, tuple(sorted(missing))))
        return False

    def _close(self, manifest: Manifest, accepted: list[Accepted]) -> None:
        updates = [one for one in accepted if one.kind == wire.UPDATE]
        base = self.store.model(manifest.version)
        new_version = base.version
        if updates:
            new_version += 1
            self.store.add_model(new_version, self._aggregate(manifest, base, updates))
        self._measure_ranges(manifest.version, accepted)
        self.store.close_round(manifest.round)
        self._manifest = None
        self._events.append(
            RoundClosed(
                manifest.round,
                manifest.phase,
                manifest.version,
                new_version,
                len(updates),
                sum(one.report.samples for one in updates),
                Score.of(one.report for one in accepted if one.role == telemetry.LEARN),
                Score.of(one.report for one in accepted if one.role == telemetry.EVALUATE),
            )
        )

    def _aggregate(self, manifest: Manifest, base: Model, updates: list[Accepted]) -> NDArray[np.float32]:
        """Return the new model, float32 [D]: deltas in the order of the
        devices' names, so that arrival does not matter."""
        rule = RULES[self.plan.rule](len(base.values))
        form = self.plan.form(manifest.codec)
        samples = {one.device: one.report.samples for one in updates}
        for device, body in self.store.bodies(manifest.round, wire.UPDATE):
            _, delta = form.decode(wire.UPDATE, body, manifest.version)
            rule.add(delta, samples[device])
        return (base.values + rule.result()).astype(np.float32)

    def _measure_ranges(self, version: int, accepted: list[Accepted]) -> None:
        """Store the mean of the reported ranges, weighted by samples: one
        odd board must not stretch everybody's scales."""
        reports = [one.report for one in accepted if one.report.evaluated and one.report.ranges]
        if reports:
            weights = [report.evaluated for report in reports]
            ranges = np.average([report.ranges for report in reports], axis=0, weights=weights)
            self.store.set_ranges(version, ranges)

    def _open(self, phase: str) -> None:
        model = self.store.model()
        manifest = self._make_manifest(self._last_round() + 1, phase, model)
        self.store.add_round(manifest)
        self._manifest = manifest
        self._deadline = self._next_deadline()
        self._settled.clear()
        self._outgoing += model_messages(self.federation, model.version, model.body)
        self._outgoing.append(round_message(self.federation, manifest))
        self._clear_old(model)
        expected = tuple(sorted(self.store.present(self.plan.layout)))
        self._events.append(RoundStarted(manifest.round, phase, model.version, expected))

    def _clear_old(self, model: Model) -> None:
        """Make the broker forget the version before the last one: nobody fetches it any more."""
        if model.version >= 2:
            self._outgoing += clearing_messages(self.federation, model.version - 2, len(model.body))

    def _next_deadline(self) -> float:
        duration_s = self._manifest.deadline_ms / 1000 if self._manifest else self.plan.deadline_s
        return self._clock() + duration_s

    def _make_manifest(self, number: int, phase: str, model: Model) -> Manifest:
        plan = self.plan
        return Manifest(
            run=self.store.run,
            round=number,
            version=model.version,
            phase=phase,
            layout=plan.layout,
            size=len(model.body),
            sha256=model.sha256,
            codec=plan.codec,
            epochs=plan.epochs,
            batch=plan.batch,
            rate=plan.rate,
            decay=plan.decay,
            deadline_ms=round(plan.deadline_s * 1000),
        )

    def _next_phase(self) -> str | None:
        """Return the phase of the round after the last one, None where the plan is done."""
        phases = [phase for _, phase, *_ in self.store.rounds()]
        if not self.plan.rounds or phases.count(TRAIN) < self.plan.rounds:
            return TRAIN
        return EVALUATE if phases[-1] == TRAIN else None

    def _last_round(self) -> int:
        rounds = self.store.rounds()
        return rounds[-1][0] if rounds else 0

    def _learners_online(self) -> int:
        return list(self.store.present(self.plan.layout).values()).count(telemetry.LEARN)
