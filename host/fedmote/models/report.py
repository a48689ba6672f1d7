"""Tells people what a compiled network takes: ops, memory, and whether a board has it."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from fedmote.boards.catalogue import Board
from fedmote.models.compiler import Compiled, Lifetime

#: of the heap: the library with what its ops share, and the objects of each op; measured on an emulated Pico
#: with viper and armv6m
LIBRARY_BYTES = 56_000
OP_BYTES = {"resident": 900, "streamed": 1_500}
#: of the flash, for the interpreter and what it reserves; a Pico W's MicroPython leaves the least
INTERPRETER_BYTES = 1_310_720

_SHADES = "█▓▒░"
_ROWS = 20  # of the picture
_LABELS = 5  # every so many rows and columns have one


@dataclass(frozen=True)
class Fit:
    """Whether a board can hold a network. mode: how it holds weights, None: it cannot, or that is unknown.

    needed_bytes: of the heap in that mode, or in the most frugal one. heap_bytes: free ones, None: unknown.
    """

    board: str
    runtime: str
    flash_bytes: int
    file_bytes: int
    heap_bytes: int | None
    needed_bytes: int
    mode: str | None

    @property
    def sentence(self) -> str:
        """For people."""
        flash = f"{self.file_bytes:,} of about {self.flash_bytes:,} bytes of flash"
        if self.file_bytes > self.flash_bytes:
            return f"{self.board} ({self.runtime}): does not fit, {flash}"
        if self.heap_bytes is None:
            return f"{self.board} ({self.runtime}): {flash}; its free heap is not known, see --json"
        heap = f"{self.needed_bytes:,} of {self.heap_bytes:,} bytes of heap"
        if self.mode is None:
            return f"{self.board} ({self.runtime}): does not fit, {heap} even with the weights in the file"
        return f"{self.board} ({self.runtime}): fits, {heap}, {_MODES[self.mode]}; {flash}"


_MODES = {
    "resident": "everything in memory",
    "streamed": "weights read from the file as it goes (slower; or mapped where the firmware can)",
}


def fit(compiled: Compiled, board: Board, runtime: str) -> Fit:
    """Return whether a board with this runtime can hold a network. Sizes with the library are estimates."""
    heap = board.runtimes[runtime].heap_bytes
    data = {"resident": compiled.resident_bytes, "streamed": compiled.streamed_bytes}
    needed = {mode: size + LIBRARY_BYTES + OP_BYTES[mode] * len(compiled.ops) for mode, size in data.items()}
    flash = max(0, board.flash_bytes - INTERPRETER_BYTES)
    fitting = [mode for mode in needed if heap is not None and needed[mode] <= heap]
    mode = fitting[0] if fitting and len(compiled.mote) <= flash else None
    return Fit(
        board.name,
        runtime,
        flash,
        len(compiled.mote),
        heap,
        needed[mode] if mode else min(needed.values()),
        mode,
    )


def table(compiled: Compiled) -> Table:
    """Return the ops of a network, with totals."""
    rows = Table("", "op", "from", "output", "MACs", "bytes", box=None, header_style="dim", show_footer=True)
    for column in (0, 2, 4, 5):
        rows.columns[column].justify = "right"
    rows.columns[1].footer = f"{len(compiled.ops)} ops"
    rows.columns[4].footer = f"{compiled.macs:,}"
    rows.columns[5].footer = f"{sum(row.bytes for row in compiled.ops):,}"
    for number, row in enumerate(compiled.ops):
        rows.add_row(
            str(number),
            row.op,
            str(row.operator),
            " × ".join(map(str, row.shape)),
            f"{row.macs:,}",
            f"{row.bytes:,}",
        )
    return rows


def memory(compiled: Compiled) -> str:
    """Return the sentence about file and arena."""
    peak = compiled.ops[compiled.peak_op]
    return (
        f"{len(compiled.mote):,} bytes of file, {compiled.arena_bytes:,} of arena; "
        f"op {compiled.peak_op} ({peak.op}) sets it, with {compiled.peak_bytes:,} bytes in use"
    )


def summary(compiled: Compiled, fits: list[Fit]) -> dict[str, Any]:
    """Return all figures for machines, to be written as JSON."""
    return {
        "file_bytes": len(compiled.mote),
        "arena_bytes": compiled.arena_bytes,
        "peak_op": compiled.peak_op,
        "peak_bytes": compiled.peak_bytes,
        "macs": compiled.macs,
        "resident_bytes": compiled.resident_bytes,
        "streamed_bytes": compiled.streamed_bytes,
        "ops": [asdict(row) for row in compiled.ops],
        "lifetimes": [asdict(lifetime) for lifetime in compiled.lifetimes],
        "fits": [asdict(one) for one in fits],
        "notes": list(compiled.notes),
    }


def picture(compiled: Compiled, width: int) -> str:
    """Return the arena over time: a column per op, the last bytes on top. width: columns of the terminal."""
    times = range(-1, len(compiled.ops))
    margin = len(f"{compiled.arena_bytes:,}") + 2
    wide = max(1, min(4, (width - margin) // len(times)))
    shades = _shades(compiled.lifetimes)
    lines = []
    for row in reversed(range(_ROWS)):
        middle = compiled.arena_bytes * (2 * row + 1) // (2 * _ROWS)
        cells = (
            next(
                (
                    shade
                    for one, shade in zip(compiled.lifetimes, shades, strict=True)
                    if one.born <= time <= one.dies and one.offset <= middle < one.offset + one.size
                ),
                " ",
            )
            for time in times
        )
        at = compiled.arena_bytes * row // _ROWS
        label = f"{at:,}" if row % _LABELS == 0 else ""
        lines.append(f"{label:>{margin - 2}} │" + "".join(cell * wide for cell in cells))
    marks = "".join(f"{'▲' if time == compiled.peak_op else '':{wide}}" for time in times)
    lines.append(" " * (margin - 1) + "└" + "─" * (wide * len(times)))
    lines.append(" " * margin + _numbers(len(compiled.ops), wide))
    lines.append(" " * margin + marks.rstrip() + " most bytes in use")
    return "\n".join(line[:width] for line in lines)


def _shades(lifetimes: tuple[Lifetime, ...]) -> list[str]:
    """Return a shade for each, different from its neighbours in place and time where there are enough."""
    chosen: list[str] = []
    for number, one in enumerate(lifetimes):
        near = {
            shade
            for other, shade in zip(lifetimes, chosen, strict=False)
            if other.born <= one.dies + 1
            and one.born <= other.dies + 1
            and other.offset <= one.offset + one.size
            and one.offset <= other.offset + other.size
        }
        free = [shade for shade in _SHADES if shade not in near]
        chosen.append(free[0] if free else _SHADES[number % len(_SHADES)])
    return chosen


def _numbers(count: int, wide: int) -> str:
    """Return the numbers of the ops below their columns, the first of which is the input's."""
    text = f"{'in':{wide}}"
    for number in range(0, count, _LABELS):
        text = f"{text:{wide * (number + 1)}}{number}"
    return text
