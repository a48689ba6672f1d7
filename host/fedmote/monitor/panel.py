"""Draws a watched board with rich: its label large, probabilities as bars, figures, events, output."""

from collections.abc import Iterable, Sequence

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.lettering import large
from fedmote.monitor.telemetry import Telemetry

_FIXED_LINES = 9  # of the panel: frame, label, two headings, two empty lines
_NARROW = 90  # columns below which figures stand two to a line, not four
_FEWEST = 3  # events, and lines of output, that are always shown


def panel(board: WatchedBoard, port: str, link: str, output: Sequence[str], width: int, height: int) -> Panel:
    """Return the whole picture of a board.

    link: what to say of the port, such as "open". output: the board's last lines that were not telemetry.
    width, height: of the terminal, in characters; the picture is cut to fit.
    """
    known = board.known
    title = f" {known.device if known else 'waiting for telemetry'} "
    table = figures(known, board.inferences, 2 if width < _NARROW else 4)
    lines = height - _FIXED_LINES - table.row_count
    bars = max(_FEWEST, lines - 2 * _FEWEST)
    classes = board.classes()
    room = max(_FEWEST, lines - min(len(classes), bars))
    shown_output = list(output)[-max(_FEWEST, room // 3) :]
    parts: list[RenderableType] = [prediction(known, width - 4), Text()]
    if classes:
        parts += [probabilities(classes, known.label if known else None, bars), Text()]
    parts += [table, _list("events", board.events, room - len(shown_output))]
    if shown_output:
        parts.append(_list("output of the board", shown_output, len(shown_output)))
    return Panel(
        Group(*parts),
        title=Text(title, "bold"),
        subtitle=Text(f" {port}: {link} · Ctrl-C ends "),
        border_style="green" if link == "open" else "yellow",
        height=height,
    )


def prediction(known: Telemetry | None, width: int) -> Text:
    """Return the current label in large letters, or in plain ones where the width is small; three lines."""
    if known is None or known.label is None:
        return Text("\nno inference yet\n", "dim")
    wrong = known.truth is not None and known.truth != known.label
    style = "bold red" if wrong else "bold green"
    lines = large(known.label)
    text = Text(no_wrap=True)
    if len(lines[0]) + 8 <= width:
        text.append("\n".join(lines), style)
    else:
        text.append(f"\n{known.label}", style)
    if known.probabilities:
        text.append(f"  {max(known.probabilities):.0%}", style)
    if wrong:
        text.append(f"   truth: {known.truth}", "red")
    return text


def probabilities(classes: Sequence[tuple[str, float]], label: str | None, most: int) -> Table:
    """Return one bar per class; where there are more than ``most``, the most likely ones."""
    if len(classes) > most:
        classes = sorted(classes, key=lambda item: -item[1])[:most]
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(max_width=24, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(width=6, justify="right")
    for name, probability in classes:
        style = "bold green" if name == label else ""
        bar = Bar(1.0, 0.0, probability, color="green" if name == label else "blue")
        table.add_row(Text(name, style), bar, Text(f"{probability:.1%}", style))
    return table


def figures(known: Telemetry | None, inferences: int, columns: int = 4) -> Table:
    """Return the board's figures, ``columns`` to a line; a dash where the board did not give one."""
    values = {} if known is None else _figures(known)
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in range(columns):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(ratio=1, no_wrap=True)
    cells = [(name, values.get(name, "–")) for name in _FIGURES]
    cells[0] = ("inferences", str(inferences))
    for n in range(0, len(cells), columns):
        table.add_row(*(Text(part) for cell in cells[n : n + columns] for part in cell))
    return table


_FIGURES = (
    *("inferences", "inference", "free heap", "uptime"),
    *("state", "round", "model", "samples"),
    *("accuracy", "loss", "up", "down"),
)


def _figures(known: Telemetry) -> dict[str, str]:
    values = {
        "inference": known.inference_ms is not None and f"{known.inference_ms:.1f} ms",
        "free heap": known.free_bytes is not None and f"{known.free_bytes / 1000:.0f} kB",
        "uptime": f"{known.time_ms / 1000:.0f} s",
        "state": known.state,
        "round": known.round is not None and str(known.round),
        "model": known.version is not None and str(known.version),
        "samples": known.samples is not None and str(known.samples),
        "accuracy": known.accuracy is not None and f"{known.accuracy:.0%}",
        "loss": known.loss is not None and f"{known.loss:.2f}",
        "up": known.up_bytes is not None and f"{known.up_bytes / 1000:.1f} kB",
        "down": known.down_bytes is not None and f"{known.down_bytes / 1000:.1f} kB",
    }
    return {name: value for name, value in values.items() if value}


def _list(heading: str, lines: Iterable[str], most: int) -> Group:
    shown = list(lines)[-most:]
    texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in shown]
    return Group(Rule(heading, align="left", style="dim"), *texts)
