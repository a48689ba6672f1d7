"""The store's bodies on their way: which one each device is sending, and the pieces of it that there are.

Pieces are appended in the order in which they come, whatever device they are of: with a thousand devices
sending at once, everything else would write a page for each. For the same reason those that are no longer
needed stay for a while, and go all together. Where pieces are is known in memory, some bytes each, and read
back once after a start. Nothing in them is trusted.
"""

from array import array
from dataclasses import dataclass
from pathlib import Path

from fedmote.federation.wishes import Wishes

# Pieces that are no longer needed go when there are so many, and so many times those that are.
_DEAD_LIMIT = 16_384
_DEAD_RATIO = 16


@dataclass(frozen=True)
class Partial:
    """Which body a device is sending."""

    round: int
    kind: int
    counter: int


class Arrivals(Wishes):
    """The store, for the one aggregator that writes it: what it knows in memory nobody else may change, but
    for dropping a device's body."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        super().__init__(path, read_only)
        self._places: dict[str, array[int]] = {}  # rows of the pieces of each device's body, 0 for none
        self._placed = False  # whether that is known
        self._last_row = self._live = self._dead = 0
        self._unwritten: list[tuple[int, str, int, bytes]] = []

    def partial(self, device: str) -> Partial | None:
        """Return which body a device is sending."""
        row = self._one("SELECT round, kind, counter FROM partials WHERE device = ?", device)
        return None if row is None else Partial(*row)

    def begin_partial(self, device: str, partial: Partial) -> None:
        """Begin another body of a device; what there was of the one before is gone."""
        self.drop_partial(device)
        self._run(
            "INSERT INTO partials VALUES (?, ?, ?, ?, ?)",
            device,
            partial.round,
            partial.kind,
            partial.counter,
            self._last_row + 1,
        )

    def pieces(self, device: str) -> set[int]:
        """Return which pieces of a device's body there are."""
        return {position for position, row in enumerate(self._rows(device)) if row}

    def put_chunk(self, device: str, index: int, piece: bytes) -> None:
        """Add a piece to a device's body, once. It is on disk when the transaction is."""
        if _place(self._rows(device), index, self._last_row + 1):
            self._live += 1
            self._append(device, index, piece)

    def has_all(self, device: str, count: int) -> bool:
        """Tell whether there are all pieces of a device's body of ``count`` pieces."""
        rows = self._rows(device)
        return len(rows) == count and 0 not in rows

    def body(self, device: str) -> bytes:
        """Return the pieces of a device's body that there are, in order."""
        rows = [row for row in self._rows(device) if row]
        self._write_rest()
        return b"".join([self._one("SELECT piece FROM pieces WHERE id = ?", row)[0] for row in rows])

    def drop_partial(self, device: str) -> None:
        """Forget the body that a device is sending."""
        self._run("DELETE FROM partials WHERE device = ?", device)
        rows = self._rows(device)
        count = len(rows) - rows.count(0)
        self._live -= count
        self._dead += count
        del self._places[device]
        if self._dead > max(_DEAD_LIMIT, _DEAD_RATIO * self._live):
            self._clear()

    def _rows(self, device: str) -> "array[int]":
        """Return the rows of the pieces of a device's body, 0 for what is missing."""
        if not self._placed:
            self._find_places()
        return self._places.setdefault(device, array("q"))

    def _find_places(self) -> None:
        first = dict(self._all("SELECT device, first FROM partials"))
        self._places.clear()
        self._live = self._dead = 0
        self._last_row = max(first.values(), default=1) - 1
        for row, device, position in self._connection.execute(
            "SELECT id, device, position FROM pieces ORDER BY id"
        ):
            if row >= first.get(device, row + 1):
                _place(self._places.setdefault(device, array("q")), position, row)
                self._live += 1
            else:
                self._dead += 1
            self._last_row = max(self._last_row, row)
        self._placed = True

    def _clear(self) -> None:
        """Delete all pieces that are no longer needed; what is needed of them is appended once more."""
        self._write_rest()
        end = self._last_row
        for device, rows in self._places.items():
            self._run("UPDATE partials SET first = ? WHERE device = ?", self._last_row + 1, device)
            for position, row in enumerate(rows):
                if row:
                    piece = self._one("SELECT piece FROM pieces WHERE id = ?", row)[0]
                    rows[position] = self._append(device, position, piece)
            self._write_rest()
        if self._last_row == end:
            self._run("DELETE FROM pieces")  # without a condition it costs next to nothing
        else:
            self._run("DELETE FROM pieces WHERE id <= ?", end)
        self._dead = 0

    def _append(self, device: str, position: int, piece: bytes) -> int:
        self._last_row += 1
        self._unwritten.append((self._last_row, device, position, piece))
        return self._last_row

    def _write_rest(self) -> None:
        """Hand to SQLite what was put off: many rows at a time cost half."""
        if self._unwritten:
            self._many("INSERT INTO pieces VALUES (?, ?, ?, ?)", self._unwritten)
            self._unwritten.clear()

    def _forget(self) -> None:
        """After a transaction that failed: what is known in memory may be wrong."""
        self._unwritten.clear()
        self._placed = False


def _place(rows: "array[int]", position: int, row: int) -> bool:
    """Note where a piece is; tell whether that is new."""
    if position >= len(rows):
        rows.extend([0] * (position + 1 - len(rows)))
    new = not rows[position]
    if new:
        rows[position] = row
    return new
