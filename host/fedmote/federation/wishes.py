"""The store's list of what operators want of the aggregator, which may run or not. It grants nothing."""

import time
from dataclasses import dataclass

from fedmote.federation.devices import Devices


@dataclass(frozen=True)
class Wish:
    """What an operator wants: a command of operators.COMMANDS with its argument, empty where it takes none.

    answer: what came of it, None before.
    """

    number: int
    command: str
    argument: str
    answer: str | None


class Wishes(Devices):
    """The store, for operators and the aggregator."""

    def wish(self, command: str, argument: str = "") -> int:
        """Ask for something and return the number of the wish."""
        with self.transaction():
            self._run(
                "INSERT INTO wishes (command, argument, asked) VALUES (?, ?, ?)",
                command,
                argument,
                time.time(),
            )
            return int(self._one("SELECT last_insert_rowid()")[0])

    def open_wishes(self) -> list[Wish]:
        """Return what has not been done yet, in the order in which it was asked for."""
        return [Wish(*row) for row in self._all(f"{_WISH} WHERE done IS NULL ORDER BY number")]

    def wished(self, number: int) -> Wish:
        """Return a wish by its number, which must be one."""
        return Wish(*self._one(f"{_WISH} WHERE number = ?", number))

    def grant(self, number: int, answer: str) -> None:
        """Note what came of a wish."""
        self._run("UPDATE wishes SET done = ?, answer = ? WHERE number = ?", time.time(), answer, number)


_WISH = "SELECT number, command, argument, answer FROM wishes"
