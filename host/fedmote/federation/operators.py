"""What operators may ask of a running aggregator. How they ask is wishes.py's."""

from collections.abc import Callable

import numpy as np

from fedmote.federation.events import Paused, Resumed, RolledBack
from fedmote.federation.rounds import Rounds
from fedmote.federation.store import Store
from fedmote.federation.turn import Turn
from fedmote.federation.wishes import Wish


def fulfil(wish: Wish, store: Store, rounds: Rounds, turn: Turn) -> None:
    """Do what a wish asks for and note what came of it, within a transaction: once, whatever happens."""
    command = COMMANDS.get(wish.command)
    answer = (
        f"{wish.command} is no command" if command is None else command(wish.argument, store, rounds, turn)
    )
    store.grant(wish.number, answer)


def _pause(_: str, store: Store, rounds: Rounds, turn: Turn) -> str:
    if rounds.paused:
        return "it is paused already"
    rounds.paused = True
    store.set_meta("paused", "1")
    rounds.rest()
    turn.tell(Paused())
    return "paused: boards rest until it is resumed"


def _resume(_: str, store: Store, rounds: Rounds, turn: Turn) -> str:
    if not rounds.paused:
        return "it is not paused"
    rounds.paused = False
    store.set_meta("paused", "0")
    rounds.ask_again()
    turn.tell(Resumed())
    return "resumed"


def _roll_back(argument: str, store: Store, rounds: Rounds, turn: Turn) -> str:
    try:
        version = int(argument)
        old = store.model(version)
    except (ValueError, KeyError):
        return f"there is no version {argument}"
    rounds.abandon()
    made = rounds.add_version(old.values)
    rounds.assignments.make_stale(made, floor=True)
    if old.ranges is not None:
        store.set_ranges(made, np.array(old.ranges))
    rounds.rest()
    turn.tell(RolledBack(version, made))
    return f"version {made} has the values of version {version}"


#: takes the argument; returns what to tell the operator
COMMANDS: dict[str, Callable[[str, Store, Rounds, Turn], str]] = {
    "pause": _pause,
    "resume": _resume,
    "rollback": _roll_back,
}
