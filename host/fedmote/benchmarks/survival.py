"""Lets a federation live through a bad network and the deaths of its processes, then compares it, bit for
bit, with one to which nothing happened."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from rich.table import Table

from fedmote.benchmarks.faulty_proxy import NONE, Faults
from fedmote.benchmarks.ordeal import Course, Ordeal, undergo
from fedmote.benchmarks.witness import next_version
from fedmote.datasets import Recording
from fedmote.errors import FedmoteError
from fedmote.federation.plan import TRAIN
from fedmote.federation.session import Overrides, plan_of
from fedmote.federation.store import Store
from fedmote.fleet import EVALUATE, LEARN, Assignment
from fedmote.models.application import Application
from mote import wire

APPLICATION = "digits"
_FEWEST_BOARDS = 3
_CALM_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Survival:
    """What came of both runs. rounds: that trained. updates: that count. receipts: (device, round) pairs for
    which a board was told that its body is accepted. made_again: updates made once more for the same round.

    lost, double, unequal: a text for each case. unequal: versions of the model and updates that are not, to
    the bit, those of the undisturbed run.
    """

    seed: int
    boards: int
    rounds: int
    updates: int
    receipts: int
    made_again: int
    lost: list[str]
    double: list[str]
    unequal: list[str]
    course: Course
    undisturbed: Course

    def missed(self) -> list[str]:
        """Return a sentence for every demand that was not met."""
        course = self.course
        return [
            *(f"lost: {text}" for text in self.lost),
            *(f"counted twice: {text}" for text in self.double),
            *(f"differs: {text}" for text in self.unequal),
            *(f"ended by itself: {text}" for text in (*course.deaths, *self.undisturbed.deaths)),
        ]

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "seed": self.seed,
            "boards": self.boards,
            "kills": {"all": self.course.kills.total(), **self.course.kills},
            "network": dict(self.course.faults),
            "rounds": self.rounds,
            "updates": self.updates,
            "receipts": self.receipts,
            "made_again": self.made_again,
            "lost": len(self.lost),
            "double": len(self.double),
            "equal": not self.unequal,
            "missed": self.missed(),
            "seconds": round(self.course.seconds, 1),
            "undisturbed_seconds": round(self.undisturbed.seconds, 1),
        }

    def table(self) -> Table:
        """Return the figures for a person."""
        kills = self.course.kills
        title = f"{self.boards} boards, {kills.total()} kills, {self.rounds} rounds, seed {self.seed}"
        table = Table("", "", box=None, show_header=False, title=title, title_justify="left")
        for kind, count in sorted(kills.items()):
            table.add_row(f"{kind}: kills", str(count))
        for fault, count in sorted(self.course.faults.items()):
            table.add_row(f"network: {fault}", str(count))
        table.add_section()
        table.add_row("updates that count", str(self.updates))
        table.add_row("made again by a board", str(self.made_again))
        table.add_row("lost", str(len(self.lost)), style="bold")
        table.add_row("counted twice", str(len(self.double)), style="bold")
        table.add_row("bit for bit the undisturbed run", "no" if self.unequal else "yes", style="bold")
        table.add_row("seconds", f"{self.course.seconds:.0f}, undisturbed {self.undisturbed.seconds:.0f}")
        return table


def run(
    seed: int,
    progress: Callable[[int, int], None],
    boards: int = 20,
    kills: int = 200,
    rounds: int = 5,
    pace_s: float = 1.0,
    folder: Path | None = None,
) -> Survival:
    """Run both federations. rounds: that train, at least. pace_s: mean time between two kills.

    folder: where all files of both runs stay; without one they stay where a demand was missed. Raises
    FedmoteError where a federation is stuck, and for a number of boards that there is no data for.
    """
    application = Application.load(APPLICATION)
    assignments = assign(application, boards, seed)
    place = folder or Path(mkdtemp(prefix="fedmote-survival-"))
    ring = max(one.recording.readings for one in assignments)  # a reading is a window
    application = replace(application, board=replace(application.board, ring=ring))
    ordeal = Ordeal(application, assignments, rounds, kills, Faults(), seed, pace_s)
    course = asyncio.run(undergo(ordeal, place / "disturbed", progress))
    with Store(course.store, read_only=True) as store:
        trained = len(_trained(store))
    calm = replace(ordeal, rounds=trained, kills=0, faults=NONE, deadline_s=_CALM_DEADLINE_S)
    undisturbed = asyncio.run(undergo(calm, place / "undisturbed", progress))
    outcome = compare(ordeal, course, undisturbed)
    if folder is None and not outcome.missed():
        shutil.rmtree(place)
    return outcome


def compare(ordeal: Ordeal, course: Course, undisturbed: Course) -> Survival:
    """Judge what the stores of both runs, and what was seen on their networks, tell."""
    with Store(course.store, read_only=True) as store, Store(undisturbed.store, read_only=True) as calm:
        judge = _Judge(ordeal, course, undisturbed, store, calm)
        rounds = _trained(store)
        for number, version in rounds.items():
            judge.look_at(number, version)
        judge.look_at_ends()
    made = course.witness.updates
    return Survival(
        seed=ordeal.seed,
        boards=len(ordeal.assignments),
        rounds=len(rounds),
        updates=judge.updates,
        receipts=len(course.witness.told),
        made_again=len(made) - len({(device, number) for device, number, _ in made}),
        lost=judge.lost,
        double=judge.double,
        unequal=judge.unequal,
        course=course,
        undisturbed=undisturbed,
    )


class _Judge:
    """Collects what is wrong with the store of a disturbed run. calm: the store of the undisturbed one."""

    def __init__(
        self, ordeal: Ordeal, course: Course, undisturbed: Course, store: Store, calm: Store
    ) -> None:
        self._seen, self._seen_calm = course.witness, undisturbed.witness
        self._store, self._calm = store, calm
        self._sizes = plan_of(ordeal.application, Overrides()).sizes
        self._learners = {one.device for one in ordeal.assignments if one.role == LEARN}
        self.updates = 0
        self.lost: list[str] = []
        self.double: list[str] = []
        self.unequal: list[str] = []

    def look_at(self, number: int, version: int) -> None:
        """Look at a round that trained, from this version of the model."""
        counted = [one for one in self._store.accepted(number) if one.kind == wire.UPDATE]
        names = [one.device for one in counted]
        self.updates += len(names)
        self.double += [f"{name} in round {number}" for name in sorted(set(names)) if names.count(name) > 1]
        self.lost += [f"round {number} has no update of {name}" for name in sorted(self._learners - {*names})]
        twins = {one.device: one.counter for one in self._calm.accepted(number)}
        bodies = [self._seen.update(one.device, number, one.counter) for one in counted]
        for name, body in zip(names, bodies, strict=True):
            if body != self._seen_calm.update(name, number, twins.get(name, -1)):
                self.unequal.append(f"the update of {name} in round {number}")
        base, made = self._store.model(version).values, self._store.model(version + 1).values
        try:
            expected = next_version(base, bodies, self._sizes)
        except ValueError as error:
            self.lost.append(f"a part of round {number} that has never passed the network: {error}")
        else:
            if made.tobytes() != expected.tobytes():
                self.double.append(f"version {version + 1} is not the mean of its updates, each taken once")
        if made.tobytes() != self._calm.model(version + 1).values.tobytes():
            self.unequal.append(f"version {version + 1} of the model")

    def look_at_ends(self) -> None:
        """Look at what boards were told in all rounds, and at how the rounds ended."""
        rounds = self._store.rounds()
        stored = {(one.device, number) for number, *_ in rounds for one in self._store.accepted(number)}
        self.lost += [
            f"{device} was told that its body for round {number} is accepted"
            for device, number in sorted(self._seen.told - stored)
        ]
        self.unequal += [f"round {number}, which has not ended" for number, *_, ended in rounds if not ended]
        versions = self._store.model().version, self._calm.model().version
        if versions[0] != versions[1]:
            self.unequal.append("the last version, {}; undisturbed {}".format(*versions))


def _trained(store: Store) -> dict[int, int]:
    """Return the version that each round that trained started from, by its number."""
    return {number: version for number, phase, version, ended in store.rounds() if phase == TRAIN and ended}


def assign(application: Application, boards: int, seed: int) -> list[Assignment]:
    """Deal half a recording to each board; the last ones only evaluate.

    Every board waits for all of its windows before it takes part (MINIMUM, see fleet.settings_of), so that
    whoever starts again learns the same from the same.
    """
    halves = [half for recording in application.recordings() for half in _halves(recording)]
    if not _FEWEST_BOARDS <= boards <= len(halves):
        raise FedmoteError(f"{boards} boards: this benchmark takes {_FEWEST_BOARDS} to {len(halves)}")
    dealt = Random(seed).sample(halves, boards)
    learners = max(_FEWEST_BOARDS - 1, boards - application.data.unseen)
    return [Assignment(half, LEARN if n < learners else EVALUATE) for n, half in enumerate(dealt)]


def _halves(recording: Recording) -> list[Recording]:
    return [
        replace(
            recording,
            client=f"{recording.client}{'ab'[start]}",
            labels=recording.labels[start::2],
            series=recording.series[start::2],
        )
        for start in (0, 1)
    ]
