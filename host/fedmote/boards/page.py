"""Writes docs/boards.md from boards.toml: ``make docs``. A test keeps the two together."""

from collections.abc import Iterable, Sequence
from dataclasses import fields

from fedmote.boards.catalogue import Board, Flash, Runtime, load

_OPENING = """# Boards

Written by `make docs` from boards.toml: change that file, not this one. `fedmote boards` shows the same in a
terminal and `fedmote boards --json` gives it to scripts.

Free heap is what a program finds after start-up. **Bold** values are our own measurements; the others are
typical, rounded; `?` is unknown.
"""

_SCHEMA = """## Describing another board

A board is a table of boards.toml, `[its_name]`, with these keys. `fedmote boards` checks the file and names
the line of a mistake.
"""


def page() -> str:
    """Return docs/boards.md as text."""
    boards = load()
    parts = [_OPENING, *_overview(boards.values()), "", *_images(boards.values()), "", _SCHEMA, *_schema()]
    return "\n".join(parts) + "\n"


def size(count: int | None) -> str:
    """Return a number of bytes for people: exact in MiB or KiB where it can be, else rounded to kB or MB."""
    if count is None:
        return "?"
    if count == 0:
        return "–"
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB"), (1_000_000, "MB")):
        if count % unit == 0:
            return f"{count // unit} {name}"
    return f"{round(count / 1000)} kB"


def heap(runtime: Runtime | None) -> str:
    """Return a runtime's free heap as Markdown: bold where it is measured."""
    if runtime is None:
        return "–"
    return f"**{size(runtime.heap_bytes)}**" if runtime.heap_measured else size(runtime.heap_bytes)


def _overview(boards: Iterable[Board]) -> list[str]:
    header = ("name", "board", "chip", "cores", "FPU", "flash", "RAM", "PSRAM", "radio", "sensors")
    heaps = ("heap, MicroPython", "heap, CircuitPython")
    return _table(
        (*header, *heaps),
        (
            (
                f"`{board.name}`",
                board.title,
                board.chip,
                str(board.cores),
                "yes" if board.fpu else "no",
                size(board.flash_bytes),
                size(board.ram_bytes),
                size(board.psram_bytes),
                ", ".join(board.wireless) or "–",
                ", ".join(board.sensors) or "–",
                heap(board.runtimes.get("micropython")),
                heap(board.runtimes.get("circuitpython")),
            )
            for board in boards
        ),
    )


def _images(boards: Iterable[Board]) -> list[str]:
    rows = (
        (
            f"`{board.name}`",
            runtime_name,
            f"`{runtime.image}`",
            board.flash.method if runtime.offset is None else f"{board.flash.method} at {runtime.offset:#x}",
            board.arch,
            ", ".join(runtime.kernels),
            ", ".join(f"{pin} {number}" for pin, number in board.pins.items()) or "–",
            ", ".join(board.usb) or "–",
        )
        for board in boards
        for runtime_name, runtime in board.runtimes.items()
    )
    columns = ("name", "runtime", "image", "flashed by", "arch", "kernels, best first", "pins", "USB ids")
    return ["## Images, kernels, pins", "", *_table(columns, rows)]


def _schema() -> list[str]:
    rows = []
    for prefix, schema in (("", Board), ("flash.", Flash), ("micropython. circuitpython.", Runtime)):
        for key in fields(schema):
            if "kind" in key.metadata:
                names = ", ".join(f"`{part}{key.name}`" for part in prefix.split(" "))
                rows.append((names, key.metadata["meaning"], key.metadata["kind"].name))
    return _table(("key", "meaning", "value"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


if __name__ == "__main__":
    print(page(), end="")
