"""Draws what a sensor measured as lines over time, with plotext; nothing else here knows of that library."""

import math
from collections.abc import Iterable, Sequence

from rich.text import Text

SECONDS = 30.0  # that a plot shows
CHANNELS = 8
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "white", "bright_black")
_CODES = (6, 5, 3, 2, 4, 1, 7, 8)  # the same for plotext
_GAP_SECONDS = 3.0  # a line is broken where nothing came for so long
_MARGIN = 9  # columns left of a plot: a label and the axis
_TOGETHER = 3  # channels in one plot where there is room for several plots
_LEAST_GROUP, _LEAST_LINES = 5, 4  # lines that one of several plots, and a single one, take at least

Trace = Sequence[tuple[float, tuple[float, ...]]]


def heading(
    reading: Sequence[float], sensor: str | None, unit: str | None, rate_hz: float | None, width: int
) -> Text:
    """Return one line: the sensor, and the latest value of each channel in its colour.

    What does not fit into ``width`` columns is left out: the rate first, then the name, then the unit.
    """
    values = Text(no_wrap=True, overflow="ellipsis")
    for channel, value in enumerate(reading[:CHANNELS]):
        values.append(f" {_short(value):>5}", COLOURS[channel])
    name = Text(sensor or "sensor", "bold")
    rate = Text(f" {rate_hz:g} Hz" if rate_hz else "", "dim")
    more = Text(f"  {CHANNELS} of {len(reading)} channels" if len(reading) > CHANNELS else "", "dim")
    after = Text.assemble(f" {unit}" if unit else "", more)
    for parts in ((name, rate, values, after), (name, values, after), (values, after)):
        if sum(part.cell_len for part in parts) <= width:
            return Text.assemble(*parts, no_wrap=True)
    return values


def plots(trace: Trace, width: int, height: int) -> Text:
    """Return ``height`` lines of at most ``width`` columns: the channels over the last 30 seconds.

    Three channels share a plot, as they do on sensors with three axes; all of them where lines are few.
    trace: (seconds, one value a channel), in the order of time; the last one is now.
    """
    shown = [point for point in trace if point[0] >= trace[-1][0] - SECONDS] if trace else []
    if not shown or width < 2 * _MARGIN or height < _LEAST_LINES:
        return Text("\n" * max(0, height - 1))
    channels = range(min(CHANNELS, len(shown[0][1])))
    count = min(math.ceil(len(channels) / _TOGETHER), max(1, (height - 1) // _LEAST_GROUP))
    size = _TOGETHER if count > 1 else CHANNELS
    edges = [1 + (height - 1) * n // count for n in range(count + 1)]  # the first line more is for the times
    parts = [
        _plot(
            shown,
            channels[n * size : (n + 1) * size],
            width,
            edges[count - n] - edges[count - n - 1],
            n == count - 1,
        )
        for n in range(count)
    ]
    return Text("\n").join(parts)


def _plot(shown: Trace, channels: Sequence[int], width: int, height: int, last: bool) -> Text:
    """Return a plot of some channels, with one more line for the times where it is the last one."""
    import plotext  # a third of a second, that only a live picture has to pay

    now = shown[-1][0]
    values = [reading[channel] for _, reading in shown for channel in channels]
    low, high = bounds(min(values), max(values))
    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height + last)
    figure.axes(False)
    figure.axes(True, axis="y", side="left")
    shares = (0, 0.5, 1) if height > _LEAST_LINES else (0, 1)
    labels = [f"{_label(low + share * (high - low)):>{_MARGIN - 2}} " for share in shares]
    figure.ruler("y", "left").lim(0, 1)
    figure.ruler("y", "left").ticks(list(shares), labels)
    figure.ruler("x", "lower").lim(-SECONDS, 0)
    times = {-SECONDS: f"-{SECONDS:g} s", -SECONDS / 2: f"-{SECONDS / 2:g}", 0: "now"} if last else {}
    figure.ruler("x", "lower").ticks(list(times), list(times.values()))
    for channel in reversed(channels):  # the first lies on top
        marker = plotext.marker("braille", plotext.pixel(_CODES[channel]))
        for part in _parts(shown):
            xs = [seconds - now for seconds, _ in part]
            ys = [(reading[channel] - low) / (high - low) for _, reading in part]
            figure.draw(figure.signal(xs, ys, marker=marker, yside="left").lines(len(part) > 1))
    return Text.from_ansi(figure.build().string().rstrip("\n"), no_wrap=True)


def bounds(least: float, greatest: float) -> tuple[float, float]:
    """Return round numbers below and above, so that an axis stands still while its values move."""
    span = greatest - least
    if span <= 1e-9 * max(abs(least), abs(greatest), 1e-9):
        half = abs(least) * 0.1 or 1.0
        return least - half, greatest + half
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * part for part in (0.2, 0.25, 0.5, 1.0, 2.0) if span <= 6 * power * part)
    return math.floor(least / step) * step, math.ceil(greatest / step) * step


def _parts(shown: Trace) -> Iterable[Trace]:
    start = 0
    for n in range(1, len(shown)):
        if shown[n][0] - shown[n - 1][0] > _GAP_SECONDS:
            yield shown[start:n]
            start = n
    yield shown[start:]


def _label(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.1e}"


def _short(value: float) -> str:
    """Return a value in five characters where that is possible, so that a line of them stands still."""
    forms = (".3g", ".0f", ".2g", ".1g") if abs(value) >= 100 else (".3g", ".2g", ".1g")
    return next((text for form in forms if len(text := f"{value:{form}}") <= 5), f"{value:.0e}")
