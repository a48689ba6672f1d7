"""Draws one watched board with rich: its label large, probabilities as bars, traces, figures, events."""

from collections.abc import Iterable, Sequence

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fedmote.monitor import traces
from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.figures import figures
from fedmote.monitor.lettering import large
from fedmote.monitor.telemetry import Telemetry

_NARROW = 70  # columns below which traces stand under the bars, not beside them
_LABEL_LINES = 4  # with those before
_LEAST_LISTED = 4  # lines for events and output, with their headings
_LOW = 18  # lines below which half of these must do
_LEAST_BARS, _LEAST_PLOT = 2, 6
_MOST_OF_HEIGHT = 0.6  # that bars and traces take


def panel(
    board: WatchedBoard, output: Sequence[str], title: str, subtitle: str, style: str, width: int, height: int
) -> Panel:
    """Return the whole picture of a board, exactly ``width`` columns and ``height`` lines.

    output: the last lines of the board that were not telemetry. style: of the frame.
    """
    columns, lines = max(1, width - 4), max(1, height - 2)
    known = board.known
    table = figures(board, columns, max(1, lines // 3))
    classes = board.classes()
    room = max(0, lines - table.row_count - _LEAST_LISTED // (2 if lines < _LOW else 1))
    beside = columns >= _NARROW and known is not None and known.reading is not None
    wanted = _LABEL_LINES + len(classes)
    if known is not None and known.reading is not None:
        wanted = max(wanted + 1, int(lines * _MOST_OF_HEIGHT)) if beside else wanted + 1 + 2 * _LEAST_PLOT
    upper = min(room, wanted)
    listed = lines - upper - table.row_count
    parts = [
        Layout(_upper(board, classes, columns, upper, beside), size=upper),
        Layout(table, size=min(table.row_count, lines - upper)),
        Layout(_listed(board, output, listed), size=max(0, listed)),
    ]
    layout = Layout()
    layout.split_column(*(part for part in parts if part.size))
    return Panel(
        layout,
        title=Text(f" {title} ", "bold"),
        subtitle=Text(f" {subtitle} ") if subtitle else None,
        border_style=style,
        width=width,
        height=height,
    )


def prediction(known: Telemetry | None, width: int) -> Text:
    """Return the current label in large letters, or in plain ones where the width is small; three lines."""
    if known is None or known.label is None:
        return Text("\nno inference yet\n", "dim")
    style = "bold red" if known.wrong else "bold green"
    after = Text()
    if known.probabilities:
        after.append(f"  {max(known.probabilities):.0%}", style)
    if known.wrong:
        after.append(f"  truth: {known.truth}", "red")
    lines = large(known.label)
    text = Text(no_wrap=True, overflow="ellipsis")
    if len(lines[0]) + after.cell_len <= width:
        return text.append("\n".join(lines), style).append(after)
    return text.append(f"\n{known.label}", style).append(after).append("\n")


def sightings(board: WatchedBoard, width: int) -> Text:
    """Return the labels before the current one, the latest first, as many as fit."""
    text = Text(no_wrap=True)
    for label, wrong in list(board.sightings)[-2::-1]:
        if text.cell_len + cell_len(label) > width:
            break
        text.append(f"{label} ", "red" if wrong else "dim green")
    text.rstrip()
    return text


def probabilities(classes: Sequence[tuple[str, float]], label: str | None, most: int) -> Table:
    """Return one bar per class; where there are more than ``most``, the most likely ones."""
    if len(classes) > most:
        classes = sorted(classes, key=lambda item: -item[1])[: max(0, most)]
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(max_width=24, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(width=6, justify="right")
    for name, probability in classes:
        style = "bold green" if name == label else ""
        bar = Bar(1.0, 0.0, probability, color="green" if name == label else "blue")
        table.add_row(Text(name, style), bar, Text(f"{probability:.1%}", style))
    return table


def _upper(
    board: WatchedBoard, classes: Sequence[tuple[str, float]], width: int, height: int, beside: bool
) -> RenderableType:
    """Return the prediction and the traces, side by side or one below the other."""
    known = board.known
    left = width // 2 - 2 if beside else width
    label = known.label if known else None
    shown, before = prediction(known, left), sightings(board, left)
    if known is None or known.reading is None:
        return Group(shown, before, probabilities(classes, label, height - _LABEL_LINES))
    heading = traces.heading(
        known.reading, known.sensor, known.unit, known.rate_hz, width - left - 2 if beside else width
    )
    if beside:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=left)
        grid.add_column()
        grid.add_row(
            Group(shown, before, probabilities(classes, label, height - _LABEL_LINES)),
            Group(heading, traces.plots(board.traces, width - left - 2, height - 2)),
        )
        return grid
    room = height - _LABEL_LINES
    drawn = room >= _LEAST_BARS + 1 + _LEAST_PLOT
    bars = min(len(classes), room - 1 - _LEAST_PLOT if drawn else room)
    parts: list[RenderableType] = [shown, before, probabilities(classes, label, bars)]
    if drawn:
        parts += [heading, traces.plots(board.traces, width, room - 1 - bars)]
    return Group(*parts)


def _listed(board: WatchedBoard, output: Sequence[str], lines: int) -> RenderableType:
    """Return the last events, and in a third of the lines output; events alone where lines are few."""
    shown = list(output)[-max(1, lines // 3 - 1) :] if lines >= _LEAST_LISTED else []
    parts = [_list("events", board.events, lines - 1 - (len(shown) + 1 if shown else 0))]
    if shown:
        parts.append(_list("output of the board", shown, len(shown)))
    return Group(*parts)


def _list(heading: str, lines: Iterable[str], most: int) -> Group:
    shown = list(lines)[-most:] if most > 0 else []
    texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in shown]
    return Group(Rule(heading, align="left", style="dim"), *texts)
