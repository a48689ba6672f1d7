"""The store's list of which round each device was given last. It gives none."""

from collections.abc import Iterable
from dataclasses import dataclass

from fedmote.federation.wishes import Wishes


@dataclass(slots=True)
class Assignment:
    """The round that a device was given last. edition: of the manifest that gave it. answered: no better
    answer is to come."""

    round: int
    edition: int
    epochs: int
    answered: bool = False


class Given(Wishes):
    """The store, for assignments."""

    def assign(self, rows: Iterable[tuple[str, int, int, int]]) -> None:
        """Note (device, round, edition, epochs) of what devices are given now."""
        self._many("INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?, 0)", rows)

    def assignments(self) -> dict[str, Assignment]:
        """Return by device what each was given last."""
        return {
            device: Assignment(number, edition, epochs, bool(answered))
            for device, number, edition, epochs, answered in self._all("SELECT * FROM assignments")
        }

    def answered(self, device: str) -> None:
        """Note that a device needs no better answer for what it was given."""
        self._run("UPDATE assignments SET answered = 1 WHERE device = ?", device)

    def unassign(self, number: int) -> None:
        """Forget assignments of rounds before this one that nobody has answered."""
        self._run("DELETE FROM assignments WHERE round < ? AND NOT answered", number)
