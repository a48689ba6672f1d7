"""Which round is open, when it ends and what comes after it: in memory, with the store as truth.

What each device is told is assignments.py's, who has answered tally.py's.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf

from numpy import float32
from numpy.typing import NDArray

from fedmote.federation import selection
from fedmote.federation.aggregation import mean_ranges
from fedmote.federation.assignments import REST_MS, Assignments
from fedmote.federation.bodies import Form
from fedmote.federation.course import Course
from fedmote.federation.events import Finished, RoundClosed, RoundExtended, RoundStarted, Score
from fedmote.federation.expected import Expected
from fedmote.federation.manifests import Manifest
from fedmote.federation.plan import EVALUATE, TRAIN, Plan
from fedmote.federation.protocol import Reason, Refusal
from fedmote.federation.roster import Roster
from fedmote.federation.shelf import Shelf
from fedmote.federation.store import Model, Round, Store
from fedmote.federation.tally import Tally
from fedmote.federation.telemetry import EVALUATE as MEASURE
from fedmote.federation.telemetry import LEARN
from fedmote.federation.turn import Turn
from mote import wire

Aggregate = Callable[[Manifest, Model, list[tuple[str, int]]], NDArray[float32]]


class Rounds:
    """The rounds of one federation. All methods are for within a transaction.

    aggregate: makes a model of (device, round) of updates. clock: seconds, monotonic.
    """

    def __init__(
        self,
        store: Store,
        federation: str,
        plan: Plan,
        roster: Roster,
        turn: Turn,
        aggregate: Aggregate,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._plan, self._roster, self._turn = store, plan, roster, turn
        self._aggregate, self._clock = aggregate, clock
        self._course = Course(store, plan)
        self.shelf = Shelf(store, federation, plan, turn)
        self.assignments = Assignments(store, federation, plan, roster, turn)
        self._expected = Expected(plan, roster, self.assignments, self._left_s)
        self.round: Round | None = store.open_round()
        self._extended: RoundExtended | None = None
        self._since = self.deadline = clock()
        self.read()
        self._set_deadline()

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of the round that is open."""
        return self.round.manifest if self.round else None

    @property
    def finished(self) -> bool:
        """Whether all rounds of the plan are done."""
        return self.round is None and self._course.next_phase(self.newest) is None

    def read(self) -> None:
        """Read the store again: somebody else may have written."""
        self.paused = self._store.meta("paused") == "1"
        self.newest = self._store.newest_version()
        self.assignments.read()
        self.assignments.make_stale(self.newest)
        self._set_round(self.round)

    # What devices send

    def check(self, device: str, number: int, kind: int, total: int) -> tuple[Form, int]:
        """Return form and version of a body that may count. Raises Refusal for one that cannot."""
        manifest = self.manifest
        if manifest is None:
            raise Refusal(Reason.ROUND, answer=True)
        if number != manifest.round:
            if manifest.phase != TRAIN or kind != wire.UPDATE:
                raise Refusal(Reason.ROUND, answer=True)
            manifest = self.assignments.late_base(device, number)
        elif self._is_sampled(device) and not self.assignments.has_open(device):
            raise Refusal(Reason.ROUND, answer=True)
        if kind == wire.UPDATE and manifest.phase != TRAIN:
            raise Refusal(Reason.PHASE)
        form = self._plan.form(manifest.codec)
        if total not in form.lengths[kind]:
            raise Refusal(Reason.LENGTH)
        return form, manifest.version

    def has_answer(self, device: str, number: int) -> bool:
        """Tell whether a body of a device counts for a round."""
        if number == self._tally.number:
            return device in self._tally.devices
        return self._store.has_accepted(number, device)

    def answered(self, device: str, number: int, kind: int, samples: int) -> None:
        """Count a body. number: the round that it was made for."""
        self.settled(device, number)
        self._tally.add(device, number, kind, samples)
        if number != self._tally.number:
            self.join(device)

    def settled(self, device: str, number: int) -> None:
        """Wait no longer for a device: it has answered a round, with a body that counts or never will."""
        self.assignments.answered(device, number)
        self._expected.discard(device)

    def seen(self, device: str) -> None:
        """Tell a device that came online what it is to do, with the time of now."""
        self._expected.look_again()
        if self._roster[device].protocol != wire.PROTOCOL:
            return
        if not self.paused and (self.assignments.has_open(device) or self.assignments.has_older(device)):
            self.assignments.repeat(device)
        elif not self.join(device):
            self.assignments.rest(device, self._course.current(self.manifest), self._wait_ms(), again=True)

    def gone(self) -> None:
        """Note that a device is no longer online."""
        self._expected.look_again()

    def join(self, device: str) -> bool:
        """Give the open round to a device that has not got it and may; return whether it did."""
        if self.round is None or self.paused or self.assignments.has_open(device):
            return False
        if not self._roster.is_ours(device) or self._is_sampled(device):
            return False
        self.assignments.give(self.round.manifest, [device])
        self._expected.look_again()
        return True

    # The way of rounds

    def announce(self) -> None:
        """Publish all that a broker must retain."""
        manifest = self._course.current(self.manifest)
        for version in sorted({manifest.version, *self.assignments.older_versions()}):
            self.shelf.put(self._store.model(version))
        for device in list(self._roster.ours()):
            self.seen(device)
        self.shelf.clear(manifest.version)

    def advance(self) -> None:
        """Close the open round where it may end, and open the next one where it may begin."""
        if self.paused:
            return
        closed = self.round is not None
        if self.round is not None:
            if not self._may_close(self.round):
                return
            self._close(self.round.manifest)
        phase = self._course.next_phase(self.newest)
        if phase is None:
            if closed:
                self.rest()
                self._turn.tell(Finished(self.newest))
        elif phase == EVALUATE or len(self._roster.learners()) >= self._plan.needed:  # resting ones too
            self._open(phase)

    def rest(self) -> None:
        """Tell all boards that there is nothing for them, under a new edition."""
        self._store.next_edition()
        self.assignments.withdraw_older()
        manifest = self._course.current(self.manifest)
        for device in self._roster.ours():
            self.assignments.rest(device, manifest, REST_MS)

    def ask_again(self) -> None:
        """Give the open round, under a new edition, to all who rest and may answer it."""
        if self.round is None:
            return
        open_round = self._renew(self.round)
        self._set_deadline()
        unanswered = set(self.assignments.unanswered())
        self.assignments.give(
            open_round.manifest,
            [
                device
                for device in self._roster.ours()
                if device in unanswered or not (self.assignments.has_open(device) or self._is_sampled(device))
            ],
        )

    def abandon(self) -> None:
        """End the open round without a model."""
        if self.round is not None:
            self._store.close_round(self.round.manifest.round, abandoned=True)
            self._set_round(None)

    def add_version(self, values: NDArray[float32]) -> int:
        """Store a new version of the model and return its number."""
        self.newest += 1
        self._store.add_model(self.newest, values)
        self.assignments.make_stale(self.newest)
        return self.newest

    def _may_close(self, open_round: Round) -> bool:
        training = open_round.manifest.phase == TRAIN
        answers = len(self._tally.updates) if training else len(self._tally.devices)
        minimum = self._plan.needed if training else 1
        if training and open_round.goal and answers >= open_round.goal:
            if not self._expected.evaluators():
                return True
            now = self._clock()  # evaluators have as much time again as the updates took, no more
            self.deadline = min(self.deadline, now + (now - self._since))
        over = self._clock() >= self.deadline
        if answers >= minimum and (over or self._expected.none()):
            return True
        if over:
            self._extend(open_round, answers, minimum)
        return False

    def _extend(self, open_round: Round, answers: int, minimum: int) -> None:
        number = open_round.manifest.round
        missing = tuple(sorted(self._expected.now()))
        extended = RoundExtended(number, answers, minimum, missing)
        if extended != self._extended:  # while boards rest it may be the same for hours
            self._turn.tell(extended)
        self._extended = extended
        self._set_deadline()
        wanted = open_round.goal - answers - self._expected.resting()  # who rests as it said keeps its place
        if open_round.sampled and wanted > 0:  # the others are gone or slow
            free = self.assignments.free_learners(self._left_s())
            ranked = selection.rank(self._plan.seed, number, free)
            self.assignments.give(
                self._renew(open_round).manifest, ranked[: selection.more(self._plan, wanted)]
            )
            self._expected.look_again()

    def _is_sampled(self, device: str) -> bool:
        """Tell whether a device takes part only where it was chosen."""
        return self.round is not None and self.round.sampled and self._roster.learns(device)

    def _renew(self, open_round: Round) -> Round:
        """Return the open round under a new edition."""
        manifest = replace(open_round.manifest, edition=self._store.next_edition())
        self._store.set_manifest(manifest)
        self.round = replace(open_round, manifest=manifest)
        self._expected.look_again()
        return self.round

    def _close(self, manifest: Manifest) -> None:
        accepted, tally = self._store.accepted(manifest.round), self._tally
        updates, new_version = tally.updates, manifest.version
        if updates:
            base = self._store.model(manifest.version)
            new_version = self.add_version(self._aggregate(manifest, base, updates))
        ranges = mean_ranges([one.report for one in accepted if one.report.version == manifest.version])
        if ranges is not None:
            self._store.set_ranges(manifest.version, ranges)
        self._store.close_round(manifest.round)
        self._set_round(None)
        self._turn.tell(
            RoundClosed(
                manifest.round,
                manifest.phase,
                manifest.version,
                new_version,
                len(updates),
                tally.samples,
                *(Score.of(one.report for one in accepted if one.role == role) for role in (LEARN, MEASURE)),
            )
        )

    def _open(self, phase: str) -> None:
        model = self._store.model()
        manifest = self._course.next_manifest(phase, model)
        if phase == EVALUATE:
            self.assignments.withdraw_older()
        choice = selection.Choice(0, None)
        if phase == TRAIN:
            choice = selection.choose(self._plan, manifest.round, self._candidates())
        chosen = None if choice.devices is None else frozenset(choice.devices)
        opened = Round(manifest, choice.goal, chosen is not None)
        self._store.add_round(manifest, opened.goal, opened.sampled)
        self._set_round(opened)
        self._set_deadline()
        self.shelf.put(model)
        free = [device for device in self._roster.ours() if not self.assignments.has_older(device)]
        asked = [one for one in free if chosen is None or one in chosen or not self._roster.learns(one)]
        self.assignments.give(manifest, asked)
        for device in free:
            if not self.assignments.has_open(device):
                self.assignments.rest(device, manifest, self._wait_ms())
        self.shelf.clear(model.version)
        expected = tuple(sorted(self._expected.now().intersection(asked)))
        self._turn.tell(RoundStarted(manifest.round, phase, model.version, expected))

    def _set_round(self, opened: Round | None) -> None:
        self.round = opened
        self.assignments.number = opened.manifest.round if opened else None
        self._tally = Tally(opened.manifest.round if opened else -1)
        self._tally.read(self._store)
        self._expected.look_again()

    def _candidates(self) -> list[str]:
        """Return the learners to choose from: those that can answer in time or, where they are too few, also
        those that rest for longer."""
        soon = self.assignments.free_learners(self._plan.deadline_s)
        return soon if len(soon) >= self._plan.needed else self.assignments.free_learners(inf)

    def _wait_ms(self) -> int:
        if self.round is None or self.paused:
            return REST_MS
        return max(0, round(1000 * self._left_s()))

    def _left_s(self) -> float:
        return self.deadline - self._clock()

    def _set_deadline(self) -> None:
        """Let the deadline of the open round, if there is one, begin now."""
        duration_s = self.manifest.deadline_ms / 1000 if self.manifest else self._plan.deadline_s
        self._since = self._clock()
        self.deadline = self._since + duration_s
        self._expected.look_again()
