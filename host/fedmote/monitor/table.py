"""Draws a table of many boards: what each sees, how sure and how fast it is, how far it has learned."""

from collections.abc import Callable
from typing import NamedTuple

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.boards import Boards
from fedmote.monitor.sparks import sparkline
from fedmote.monitor.units import duration, short

FRAME_LINES = 3  # with the line of headings
SILENT_SECONDS = 5.0
_SPARK = 8


class _Column(NamedTuple):
    """width: in columns, 0 for what is left. rank: the lowest stay longest where there is too little room."""

    name: str
    width: int
    rank: int
    right: bool
    cell: Callable[[WatchedBoard], Text]


def _sees(board: WatchedBoard) -> Text:
    known = board.known
    if known is None or known.label is None:
        return Text("–", "dim")
    return Text(known.label, "red" if known.wrong else "green", no_wrap=True, overflow="ellipsis")


def _sure(board: WatchedBoard) -> Text:
    known = board.known
    return Text(f"{max(known.probabilities):.0%}" if known and known.probabilities else "–")


def _latency(board: WatchedBoard) -> Text:
    known = board.known
    return Text("–" if known is None or known.inference_ms is None else short(known.inference_ms))


def _count(key: str, divisor: int = 1) -> Callable[[WatchedBoard], Text]:
    def cell(board: WatchedBoard) -> Text:
        value = getattr(board.known, key) if board.known else board.status.get(key)
        return Text("–" if value is None else f"{value / divisor:.0f}" if divisor > 1 else str(value))

    return cell


def _state(board: WatchedBoard) -> Text:
    if board.status.get("state") == "offline":
        return Text("offline", "red")
    return Text((board.known and board.known.state) or board.status.get("state", "–"), "dim")


_COLUMNS = (
    _Column("board", 0, 0, False, lambda board: Text()),
    _Column("sees", 9, 0, False, _sees),
    _Column("sure", 4, 1, True, _sure),
    _Column(
        "", _SPARK, 4, False, lambda board: Text(sparkline(board.certainties, _SPARK, 0.0, 1.0), "green")
    ),
    _Column("ms", 6, 2, True, _latency),
    _Column("", _SPARK, 7, False, lambda board: Text(sparkline(board.latencies, _SPARK), "cyan")),
    _Column("round", 5, 3, True, _count("round")),
    _Column("model", 5, 3, True, _count("version")),
    _Column("state", 10, 6, False, _state),
    _Column("heap kB", 7, 5, True, _count("free_bytes", 1000)),
)
_SEEN = 9
_LEAST_NAME = 12


def table(boards: Boards, width: int, height: int, subtitle: str, style: str) -> Panel:
    """Return the boards around the selected one, ``height`` lines with the frame.

    A number before a board is the key that selects it. style: of the frame.
    """
    order, selected = boards.order, boards.selected
    room = max(1, height - FRAME_LINES)
    place = order.index(selected) if selected else 0
    first = max(0, min(place - room // 2, len(order) - room))
    grid = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    columns = _fitting(width - 4 - 3 - _SEEN - 1)
    grid.add_column("", width=2, no_wrap=True)
    for column in columns:
        grid.add_column(
            column.name,
            width=column.width or None,
            ratio=None if column.width else 1,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    grid.add_column("seen", width=_SEEN, justify="right", no_wrap=True)
    for number, name in list(enumerate(order, 1))[first : first + room]:
        board = boards[name]
        chosen = name == selected
        marker = Text(
            f"{'▶' if chosen else ' '}{number if number < 10 else ' '}", "bold" if chosen else "dim"
        )
        cells = [column.cell(board) for column in columns[1:]]
        title = Text(boards.name(name), "bold" if chosen else "", no_wrap=True, overflow="ellipsis")
        grid.add_row(marker, title, *cells, _seen(board, boards.now))
    silent = sum(_away(boards[name], boards.now) for name in order)
    count = f"{len(order)} board{'s' * (len(order) != 1)}" + (f", {silent} silent" if silent else "")
    return Panel(
        grid,
        title=Text(f" {boards.source}: {count} ", "bold", no_wrap=True, overflow="ellipsis"),
        subtitle=Text(f" {subtitle} "),
        border_style=style,
        width=width,
        height=height,
    )


def _fitting(width: int) -> list[_Column]:
    """Return the columns for which there is room; the last rank goes first."""
    columns = list(_COLUMNS)
    while len(columns) > 2 and sum((column.width or _LEAST_NAME) + 1 for column in columns) > width:
        columns.remove(max(columns, key=lambda column: column.rank))
    return columns


def _seen(board: WatchedBoard, now: float) -> Text:
    if board.status.get("state") == "offline":
        return Text("offline", "red")
    if board.seen is None:
        return Text("never", "dim")
    ago = max(0.0, now - board.seen)
    return Text("now", "green") if ago < SILENT_SECONDS else Text(f"{duration(ago)}", "yellow")


def _away(board: WatchedBoard, now: float) -> bool:
    return board.seen is None or now - board.seen >= SILENT_SECONDS
