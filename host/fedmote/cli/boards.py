"""``fedmote boards``: shows boards.toml as a table, one board in full, or as JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedmote.boards import catalogue, page

_COLUMNS: dict[str, Callable[[catalogue.Board], str]] = {
    "name": lambda board: f"[bold]{board.name}",
    "chip": lambda board: board.chip,
    "FPU": lambda board: "yes" if board.fpu else "no",
    "flash": lambda board: page.size(board.flash_bytes),
    "RAM": lambda board: page.size(board.ram_bytes),
    "PSRAM": lambda board: page.size(board.psram_bytes),
    "radio": lambda board: " ".join(board.wireless) or "–",
    "runtimes": lambda board: " ".join(board.runtimes),
    "sensors": lambda board: " ".join(board.sensors) or "–",
}
_WIDE_ONLY = ("runtimes", "sensors")
_WIDE = 130  # columns of a terminal that shows all
_PIPE_WIDTH = 200


def main(
    name: Annotated[str | None, typer.Argument(help="Show this board in full.", show_default=False)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that is known as JSON.", metavar="")
    ] = False,
) -> None:
    """List the supported boards, or show one in full.

    Examples:
      fedmote boards
      fedmote boards rpi_pico_w
      fedmote boards --json | jq -r '.[] | select(.fpu) | .name'
    """
    boards = [catalogue.find(name)] if name else list(catalogue.load().values())
    if as_json:
        print(json.dumps(asdict(boards[0]) if name else [asdict(board) for board in boards], indent=2))
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _PIPE_WIDTH
        console.print(_in_full(boards[0]) if name else _overview(boards, console.width >= _WIDE))


def _overview(boards: list[catalogue.Board], wide: bool) -> Table:
    columns = {name: column for name, column in _COLUMNS.items() if wide or name not in _WIDE_ONLY}
    table = Table(*columns, box=None)
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max(len(board.name) for board in boards)
    for board in boards:
        table.add_row(*(column(board) for column in columns.values()))
    return table


def _in_full(board: catalogue.Board) -> Table:
    table = Table(title=f"{board.title} ({board.name})", title_justify="left", box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for key, value in asdict(board).items():
        if key not in ("name", "title", "runtimes"):
            table.add_row(key, _value(key, value))
    for name, runtime in asdict(board)["runtimes"].items():
        for key, value in runtime.items():
            table.add_row(f"{name}.{key}", _value(key, value))
    return table


def _value(key: str, value: object) -> str:
    if isinstance(value, dict):
        return (
            ", ".join(f"{inner} {_value(inner, item)}" for inner, item in value.items() if item is not None)
            or "–"
        )
    if isinstance(value, tuple):
        return ", ".join(value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key.endswith("_bytes"):
        return page.size(value)
    if isinstance(value, int) and key in ("family", "offset"):
        return f"{value:#x}"
    return "?" if value is None else str(value)
