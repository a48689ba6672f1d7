"""Explores every way in which boards, broker and aggregator can get through rounds, up to a number of faults.

The boards and the aggregator are the real code (exploring_board.py, exploring_aggregator.py). Between them
(exploring_world.py) is a broker that retains and keeps a session for the aggregator, messages under way that
may come in any order, and an adversary who spends faults. What must hold is checked in every state. From
every state there must be a way to the end without any more faults: so fair delivery cannot miss it.
"""

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from exploring_board import ViolationError
from exploring_world import Label, Moves, World
from numpy.typing import NDArray

from fedmote.federation.plan import Plan
from mote import rounds

#: values of a model of one piece whose updates take two
TWO_PIECES = (239, 1)
ONE_PIECE = (3, 1)


@dataclass(frozen=True)
class Found:
    """What an exploration has seen. states, transitions: of everything. boards, aggregator: distinct states
    of these. ends: states in which the plan is done and boards rest. turns: the most that the rest of a plan
    takes, from any state on, once faults have stopped. kinds: what has happened."""

    states: int
    transitions: int
    boards: int
    aggregator: int
    ends: int
    turns: int
    kinds: frozenset[str]


class Exploration:
    """plan: must end. faults: how many the adversary has. options: of exploring_world.Moves."""

    def __init__(self, folder: Path, plan: Plan, faults: int = 1, **options: Any) -> None:
        self._faults, self._moves = faults, Moves(folder, plan, **options)
        self._shared: dict[Any, Any] = {}

    def run(self) -> Found:
        """Explore all of it. Raises ViolationError with the way to what must not be."""
        places = [(self._moves.first(), self._faults)]
        numbers = {places[0]: 0}
        ways: list[tuple[int, Label]] = [(-1, ("start",))]  # where each was first come from, and how
        before, after = array("I"), array("I")  # steps that cost no fault
        ends, transitions, kinds = [], 0, set()
        for number, (world, left) in enumerate(places):  # which grows
            if self._rests(world):
                ends.append(number)
            try:
                for label, following, cost in self._moves.moves(world, left):
                    transitions += 1
                    there = self._moves.settled(following), left - cost
                    reached = numbers.get(there)
                    if reached is None:
                        kinds.add(label[0])
                        self._check(there[0], label)
                        there = self._compact(there[0]), there[1]
                        reached = numbers[there] = len(places)
                        places.append(there)
                        ways.append((number, self._share(label)))
                    if not cost:
                        before.append(number)
                        after.append(reached)
            except ViolationError as violation:
                raise self._violation(str(violation), ways, number) from None
        turns = _turns_to(ends, len(places), before, after)
        if (turns < 0).any():
            stuck = int(turns.argmin())
            raise self._violation(f"rounds never end: {self._picture(places[stuck][0])}", ways, stuck)
        return Found(
            len(places),
            transitions,
            sum(len(board.states) for board in self._moves.boards),
            len(self._moves.service.states),
            len(ends),
            int(turns.max()),
            frozenset(kinds),
        )

    def _check(self, world: World, label: Label) -> None:
        """What must hold wherever something has changed."""
        states = [board.states[state] for board, state in zip(self._moves.boards, world.boards, strict=True)]
        names = [board.name for board in self._moves.boards]
        bodies = tuple(zip(names, (state.bodies for state in states), strict=True))
        self._moves.service.check(world.aggregator, bodies)
        answers = self._moves.service.states[world.aggregator].answers
        for name, state in zip(names, states, strict=True):
            told = state.told
            if told is not None and told[1] != ((told[0], name) in answers):
                believes = "counts" if told[1] else "does not count"
                raise ViolationError(
                    f"{name} was told that its body of round {told[0]} {believes}, "
                    f"which is wrong, after {self._text(label)}"
                )

    def _rests(self, world: World) -> bool:
        """Tell whether the plan is done and boards know it."""
        if not self._moves.service.states[world.aggregator].finished or any(world.down):
            return False
        states = [board.states[state] for board, state in zip(self._moves.boards, world.boards, strict=True)]
        return all(state.name == rounds.IDLE for state in states)

    def _violation(self, text: str, ways: list[tuple[int, Label]], number: int) -> ViolationError:
        labels = []
        while number >= 0:
            number, label = ways[number]
            labels.append(f"  {self._text(label)}")
        return ViolationError("\n".join([text, "after", *reversed(labels)]))

    def _compact(self, world: World) -> World:
        """Return the same, whose parts take no room where other worlds have them."""
        share = self._share
        statuses, down = share(tuple(map(share, world.statuses))), share(tuple(map(share, world.down)))
        return world._replace(boards=share(world.boards), up=share(world.up), statuses=statuses, down=down)

    def _share(self, thing: Any) -> Any:
        return self._shared.setdefault(thing, thing)

    def _text(self, label: Label) -> str:
        if label[0] in ("take", "receive", "lose", "repeat", "kill amid", "reconnect amid"):
            return " ".join([label[0], *(self._name(one) for one in label[1:])])
        return " ".join([label[0], *map(str, label[1:])])

    def _name(self, message: int | str) -> str:
        return message if isinstance(message, str) else self._moves.mail.text(message)

    def _picture(self, world: World) -> str:
        boards = [
            f"{board.name} {board.states[state].name}"
            for board, state in zip(self._moves.boards, world.boards, strict=True)
        ]
        return ", ".join(boards)


def _turns_to(ends: list[int], count: int, before: "array[int]", after: "array[int]") -> NDArray[np.int64]:
    """Return for each state the turns from there to the nearest end, -1 where none can be reached."""
    sources, targets = np.frombuffer(before, np.uint32), np.frombuffer(after, np.uint32)
    turns = np.full(count, -1)
    turns[ends] = 0
    most = 0
    while (turns == most).any():
        reached = sources[turns[targets] == most]
        most += 1
        turns[reached[turns[reached] < 0]] = most
    return turns
