"""For the exploration: the aggregator as a component whose states can be numbered, kept and gone on from.

It runs fedmote's own service, Aggregator and Store on SQLite; only the link is made up. A state is the rows
of the tables and what is in memory. Time does not pass in it: a deadline is let run out by whoever explores.
"""

import pickle
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from exploring_board import FEDERATION, ViolationError
from exploring_store import Bodies, Rows, SharedStore, Tables
from picturing import picture

from fedmote.federation import aggregator as aggregator_module
from fedmote.federation import service
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.assignments import Assignments
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.guard import Guard
from fedmote.federation.mqtt import Message
from fedmote.federation.plan import Plan
from fedmote.federation.protocol import Outgoing
from fedmote.federation.rounds import Rounds
from fedmote.federation.shelf import Shelf
from fedmote.federation.turn import Turn
from mote import wire

_SERVICE: Any = service


class Clock:
    """Stands but in the moment in which a deadline runs out."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


#: what does not change what the aggregator will do: figures, what only spares it work, and times
_HIDDEN: dict[type, Collection[str]] = {
    Aggregator: {"_heard", "_heard_at", "listeners"},
    Rounds: {"deadline", "_extended"},
    Assignments: {"_manifests"},
    **dict.fromkeys((Clock, Guard, Plan, Shelf, Turn), "*"),
}

Batch = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class State:
    """A state of the aggregator.

    rows: of the tables. counts: tells states apart by what counts and was made of it. answers: (round,
    device) of what counts. open: whether a round is, and goes on. paused: whether operators want that none
    does. finished: whether the service has ended.
    """

    rows: Rows
    ram: bytes
    counts: int
    answers: frozenset[tuple[int, str]]
    open: bool
    paused: bool
    finished: bool


@dataclass(frozen=True)
class Kill:
    """A moment in which the aggregator may be killed. acknowledged: whether the broker has forgotten what it
    brought. published: what was published until then."""

    rows: Rows
    acknowledged: bool
    published: tuple[Outgoing, ...]


@dataclass(frozen=True)
class Outcome:
    """What a turn of the service leads to. state: number of one."""

    state: int
    published: tuple[Outgoing, ...]
    kills: tuple[Kill, ...]


class _InterruptedError(Exception):
    """The turn of the service is over."""


class _Stop:
    def is_set(self) -> bool:
        return False


class _Link:
    """What service.serve needs of link.Link, for one turn."""

    connected = True

    def __init__(self, batch: Batch, renewed: bool, look: Callable[[], Rows]) -> None:
        self._batch, self._renewed, self._look = batch, renewed, look
        self._received = self._acknowledged = False
        self.published: tuple[Outgoing, ...] = ()
        self.kills: list[Kill] = []

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def receive(self, limit: int, timeout_s: float) -> list[Message]:
        if self._received:
            raise _InterruptedError
        self._received = True
        connection: Any = None
        return [Message(topic, payload, 1, 1, connection) for topic, payload in self._batch]

    def renewed(self) -> bool:
        renewed, self._renewed = self._renewed, False
        return renewed

    def acknowledge(self, batch: Sequence[Message]) -> None:
        self._may_be_killed()
        self._acknowledged = True
        self._may_be_killed()

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        self._may_be_killed()
        self.published += tuple(outgoing)
        self._may_be_killed()

    def _may_be_killed(self) -> None:
        kill = Kill(self._look(), self._acknowledged, self.published)
        if kill not in self.kills:
            self.kills.append(kill)


_HIDDEN[SharedStore] = "*"
_FIXED = ("path", "_connection", "_shared", "_lock", "run")


class Service:
    """The states of one aggregator and what leads from one to another.

    names: of its devices. ``after`` returns where a turn leads, ``started`` where a start does. Raises
    ViolationError where the store breaks what it promises.
    """

    def __init__(self, folder: Path, plan: Plan, names: Sequence[str]) -> None:
        self.plan, self._clock = plan, Clock()
        self._path = folder / "aggregator.db"
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._store = SharedStore(self._path, self._connection)
        with _time_stands():
            self._store.found("tests", plan.layout, np.zeros(sum(plan.sizes), np.float32))
            self.keys = {name: self._store.provision(name) for name in names}
        self._tables = Tables(self._connection)
        self.states: list[State] = []
        self._numbers: dict[Any, int] = {}
        self._counts: dict[Any, int] = {}
        self._known: dict[Any, Outcome] = {}
        self._sound: set[Any] = set()
        self.empty = self._tables.look()

    def started(self, rows: Rows) -> Outcome:
        """Return what a start on what is on disk leads to."""
        key = self._tables.identity(rows)
        outcome = self._known.get(key)
        if outcome is None:
            self._tables.load(rows)
            self._store = SharedStore(self._path, self._connection)
            with _time_stands():
                aggregator = Aggregator(self._store, FEDERATION, self.plan, self._clock)
            outcome = self._known[key] = self._turn(aggregator, (), True)
        return outcome

    def after(self, state: int, event: str, batch: Batch = (), wish: str = "") -> Outcome:
        """Return what a turn leads to.

        event: "take" for a batch of messages, "deadline" for one that runs out, "renewed" for a new
        connection, "wish" for something that an operator wants, "later" for a second that passes.
        """
        key = state, event, batch, wish
        outcome = self._known.get(key)
        if outcome is None:
            aggregator = self._woken(self.states[state])
            if event == "deadline":
                self._clock.now = aggregator._rounds.deadline
            if event in ("later", "deadline"):
                aggregator._answered.clear()
            if wish:
                with _time_stands():
                    self._store.wish(wish)
            outcome = self._known[key] = self._turn(aggregator, batch, event == "renewed")
        return outcome

    def check(self, state: int, bodies: Bodies) -> None:
        """Compare what counts with what boards have sent in their lives. Raises ViolationError."""
        one = self.states[state]
        if (one.counts, bodies) not in self._sound:
            self._tables.check(one.rows, bodies)
            self._sound.add((one.counts, bodies))

    def _turn(self, aggregator: Aggregator, batch: Batch, renewed: bool) -> Outcome:
        link = _Link(batch, renewed, self._tables.look)
        before, _SERVICE.Link = _SERVICE.Link, lambda *_: link
        finished = False
        try:
            with _time_stands(), suppress(_InterruptedError):
                _SERVICE.serve(aggregator, BrokerAddress("nowhere", 1), _Stop()).send(None)
        except StopIteration:
            finished = True
        finally:
            _SERVICE.Link = before
        state = self._number(aggregator, finished)
        last = Kill(self.states[state].rows, True, link.published)  # to be killed after the turn
        return Outcome(state, link.published, tuple(kill for kill in link.kills if kill != last))

    def _number(self, aggregator: Aggregator, finished: bool) -> int:
        self._settle(aggregator)
        rows = self._tables.look()
        counts = rows["reports"], rows["models"], rows["rounds"]
        store = {key: value for key, value in vars(self._store).items() if key not in _FIXED}
        places = sorted((device, tuple(map(bool, rows))) for device, rows in self._store._places.items())
        key = self._tables.identity(rows), picture(aggregator, _HIDDEN), tuple(places), finished
        if key not in self._numbers:
            self._numbers[key] = len(self.states)
            target = BytesIO()
            pickler = _Pickler(target)
            pickler.fixed = {id(self._store): "store", id(self.plan): "plan", id(self._clock): "clock"}
            pickler.dump((aggregator, store))
            self.states.append(
                State(
                    rows,
                    target.getvalue(),
                    self._counts.setdefault(counts, len(self._counts)),
                    frozenset((row["round"], row["device"]) for row in self._tables.records(rows, "reports")),
                    aggregator.manifest is not None and not aggregator._rounds.paused,
                    aggregator._rounds.paused,
                    finished,
                )
            )
        return self._numbers[key]

    def _settle(self, aggregator: Aggregator) -> None:
        """Go back to the time at which clocks stand, and let limits of rates be full again."""
        now, self._clock.now = self._clock.now, 0.0
        rounds = aggregator._rounds
        if rounds.round and not rounds.paused:
            rounds.deadline -= now
            if rounds.deadline != self.plan.deadline_s:
                raise ViolationError(f"the open round has its deadline in {rounds.deadline} s")
        else:  # the next round has another one, and so has this when it goes on
            rounds.deadline = 0.0
        rounds._since = 0.0
        aggregator._answered = {
            device: (number, counter, 0.0) for device, (number, counter, _) in aggregator._answered.items()
        }
        aggregator._heard.clear()
        aggregator._heard_at = aggregator_module._HEARD_S
        aggregator._guard = Guard(self.plan.pieces, self._clock)
        self._check_tally(rounds)

    def _check_tally(self, rounds: Rounds) -> None:
        tally = rounds._tally
        stored = self._store.answers(tally.number)
        updates = sorted((device, number) for device, number, kind, _ in stored if kind == wire.UPDATE)
        if sorted(tally.updates) != updates:
            raise ViolationError(f"counted are {tally.updates}, on disk are {updates}")

    def _woken(self, state: State) -> Aggregator:
        self._tables.load(state.rows)
        unpickler = _Unpickler(BytesIO(state.ram))
        unpickler.fixed = {"store": self._store, "plan": self.plan, "clock": self._clock}
        aggregator, store = unpickler.load()
        vars(self._store).update(store)
        return aggregator


class _Pickler(pickle.Pickler):
    fixed: dict[int, str]

    def persistent_id(self, thing: Any) -> str | None:
        return self.fixed.get(id(thing))


class _Unpickler(pickle.Unpickler):
    fixed: dict[str, Any]

    def persistent_load(self, name: str) -> Any:
        return self.fixed[name]


@contextmanager
def _time_stands() -> Iterator[None]:
    """A context in which no module of the aggregator reads the time of day."""
    modules = [module for name, module in sys.modules.items() if name.startswith("fedmote.federation.")]
    timed = [module for module in modules if getattr(module, "time", None) is time]
    for module in timed:
        vars(module)["time"] = _StandingTime
    try:
        yield
    finally:
        for module in timed:
            vars(module)["time"] = time


class _StandingTime:
    monotonic = staticmethod(lambda: 0.0)
    time = staticmethod(lambda: 0.0)
