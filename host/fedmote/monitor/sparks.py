"""Draws numbers as one line of small bars, for figures whose course matters more than their values."""

from collections.abc import Iterable

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(
    values: Iterable[float], width: int, low: float | None = None, high: float | None = None
) -> str:
    """Return the last ``width`` values, a character each.

    low, high: the values of the lowest and the highest bar. Where they are not given, the highest is the
    greatest that is shown, and the lowest the least or half of that: noise is not drawn as large.
    """
    shown = list(values)[-width:] if width > 0 else []
    if not shown:
        return ""
    top = max(shown) if high is None else high
    bottom = min(*shown, top / 2) if low is None else low
    span = top - bottom
    if span <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[max(0, min(7, int((value - bottom) / span * 8)))] for value in shown)
