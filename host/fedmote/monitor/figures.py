"""The figures of a watched board as a table: how fast it is, how far it has learned, how it is linked."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.sparks import sparkline
from fedmote.monitor.telemetry import Telemetry
from fedmote.monitor.units import duration, short, size

_WIDTH = 37  # columns that one figure takes at least
_NAME = 9
_Part = str | int | Text | None

_SPARK, _LEAST_SPARK = 24, 4


def figures(board: WatchedBoard, width: int, most: int) -> Table:
    """Return the board's figures in at most so many lines; a dash where it did not give one."""
    columns = max(1, width // _WIDTH)
    room = width // columns - _NAME - 2
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in range(columns):
        table.add_column(style="dim", no_wrap=True, width=_NAME)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    cells = _cells(board, room)[: columns * most]
    for n in range(0, len(cells), columns):
        table.add_row(*(part for name, value in cells[n : n + columns] for part in (Text(name), value)))
    return table


def _cells(board: WatchedBoard, room: int) -> list[tuple[str, Text]]:
    """Return (name, value) of the figures that every board has, and of the others where they are known.

    room: columns for a value; of its parts the last ones are left out.
    """
    known = board.known or _UNKNOWN
    values: dict[str, Sequence[_Part]] = {
        "inference": _inference(board, room),
        "round": [None if board.known is None else known.round, known.state],
        "free heap": _heap(board, room),
        "model": [
            _after("version ", board.status.get("version") if known.version is None else known.version, "d")
        ],
        "running": [
            None if board.known is None else duration(known.time_ms / 1000),
            f"{board.inferences} inferences",
            Text(f"{known.missed} missed", "yellow") if known.missed else None,
        ],
        "learned": [
            _after("accuracy ", known.accuracy, ".0%"),
            _after("loss ", known.loss, ".2f"),
            _after("", known.samples, "d", " samples"),
        ],
        "network": [
            None if known.up_bytes is None else f"up {size(known.up_bytes)}",
            None if known.down_bytes is None else f"down {size(known.down_bytes)}",
            _after("", known.rssi, "d", " dBm"),
        ],
        "battery": [_after("", known.battery, ".2f", " V")],
        "update": [known.update and Text(known.update, "cyan")],
        "error": [known.error and Text(known.error, "red")],
        "board": [board.status.get(key) for key in ("board", "runtime", "kernel", "release")],
    }
    cells = [(name, _fitted(parts, room)) for name, parts in values.items()]
    return [(name, value or Text("–")) for name, value in cells if value or name in _ALWAYS]


_ALWAYS = ("inference", "round", "free heap", "model", "running", "learned")
_UNKNOWN = Telemetry("", 0)


def _fitted(parts: Sequence[_Part], room: int) -> Text:
    """Return the parts that there are, as many as there is room for; an empty text where there is none."""
    text = Text()
    for part in parts:
        if part is None or part == "":
            continue
        piece = part if isinstance(part, Text) else Text(str(part))
        if text and text.cell_len + 3 + piece.cell_len > room:
            break
        text = Text.assemble(text, " · " if text else "", piece)
    return text


def _inference(board: WatchedBoard, room: int) -> list[_Part]:
    last = board.known.inference_ms if board.known else None
    if last is None or board.median_ms is None:
        return []
    text = f"{short(last)} ms, median {short(board.median_ms)}, max {short(board.slowest_ms)}"
    if len(text) > room:
        text = text.replace("median", "med")
    return [text, _spark(board.latencies, room - len(text))]


def _heap(board: WatchedBoard, room: int) -> list[_Part]:
    if board.known is None or board.known.free_bytes is None:
        return []
    text = f"{board.known.free_bytes / 1000:.0f} kB"
    return [text, _spark(board.heaps, room - len(text))]


def _spark(course: Iterable[float], room: int) -> Text | None:
    width = min(_SPARK, room - 3)
    return Text(sparkline(course, width), "cyan") if width >= _LEAST_SPARK else None


def _after(before: str, value: float | None, form: str, unit: str = "") -> str | None:
    return None if value is None else f"{before}{value:{form}}{unit}"
