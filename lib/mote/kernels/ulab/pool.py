"""Pooling and means on ulab's arrays."""

from struct import pack

from ulab import numpy as np

from . import scratch
from .arithmetic import PIECE, Requantiser, int8s
from .window import inside as part_inside
from .window import strip

_INT16_COUNT = 255  # so many int8 fit an int16
_FLOAT_COUNT = 2048  # so many are divided exactly below
_EXACT_SUM = 1 << 24  # whole numbers below are exact in float32


def average_pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape):
    """See ``plain.average_pool``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape
    whole_rows = out_w == 1 and kernel_w - left >= width
    most = min(kernel_h, height) * min(kernel_w, width)
    if most > (_FLOAT_COUNT if whole_rows else _INT16_COUNT) or not -128 <= low <= high <= 127:
        from ..plain import pool as plain  # loaded where it is needed only: memory is short

        return plain.average_pool(
            x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape
        )
    x_rows = int8s(x, (height * width, channels))
    y_rows = int8s(y, (out_h * out_w, channels))
    rows_of = [part_inside(i * stride_h - top, kernel_h, height) for i in range(out_h)]
    columns_of = [part_inside(j * stride_w - left, kernel_w, width) for j in range(out_w)]
    divided = {
        rows: _divider([rows * (last - first) for first, last in columns_of])
        for rows in set(last - first for first, last in rows_of)
    }
    if whole_rows:
        scratch.reserve(scratch.TILE, _rows_at_once(channels) * channels)

        def run(keep=(x, y)):
            for i, (first, last) in enumerate(rows_of):
                sums = _summed(x_rows, first * width, last * width)
                y_rows[i] = np.clip(divided[last - first](sums)[0], low, high)

    else:
        inside, taps = strip(x_shape, 0, kernel_w, stride_w, 1, left, out_w)

        def run(keep=(x, y)):
            for i, (first, last) in enumerate(rows_of):
                sums = np.zeros((out_w, channels), dtype=np.int16)
                for u in range(first, last):
                    inside[:] = x_rows[u * width : (u + 1) * width]
                    for tap in taps:
                        sums += tap
                y_rows[i * out_w : (i + 1) * out_w] = np.clip(divided[last - first](sums), low, high)

    return run


def _divider(counts):
    """Return f(sums) = sums / count, halves away from zero. sums: whole, [len(counts), C]; counts: small.

    A quarter keeps what is to be rounded down off the whole numbers by more than float32 errs.
    """
    offset = np.array([[count // 2 + 0.25] for count in counts])
    even = np.array([[1 - count % 2] for count in counts])
    factor = np.array([[1 / count] for count in counts])

    def divided(sums):
        result = sums + offset
        result -= (sums < 0) * even
        result *= factor
        return np.floor(result)

    return divided


def max_pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape):
    """See ``plain.max_pool``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape
    x_rows = int8s(x, (height * width, channels))
    y_rows = int8s(y, (out_h * out_w, channels))
    inside, taps = strip(x_shape, -128, kernel_w, stride_w, 1, left, out_w)

    def run(keep=(x, y)):
        for i in range(out_h):
            largest = np.zeros((out_w, channels), dtype=np.int8)
            largest[:] = -128
            first, last = part_inside(i * stride_h - top, kernel_h, height)
            for u in range(first, last):
                inside[:] = x_rows[u * width : (u + 1) * width]
                for tap in taps:
                    largest = np.maximum(largest, tap)
            y_rows[i * out_w : (i + 1) * out_w] = np.clip(largest, low, high)

    return run


def mean(x, y, outer, count, inner, zero_x, zero_y, multiplier, shift):
    """See ``plain.mean``."""
    constants = [pack("<i", number) for number in (-count * zero_x, multiplier, shift)]
    scaled = Requantiser(constants, zero_y, -128, 127, 128 * count, inner)
    if 128 * count >= _EXACT_SUM or not -128 <= zero_x <= 127 or not scaled.possible:
        from ..plain import pool as plain  # loaded where it is needed only: memory is short

        return plain.mean(x, y, outer, count, inner, zero_x, zero_y, multiplier, shift)
    x_rows = int8s(x, (outer * count, inner))
    y_rows = int8s(y, (outer, inner))
    scratch.reserve(scratch.TILE, _rows_at_once(inner) * inner)

    def run(keep=(x, y)):
        write = scaled.writer((inner,))
        for o in range(outer):
            start = o * count

            def total(n, start=start):
                return sum(int(x_rows[row][n]) for row in range(start, start + count))

            write(_summed(x_rows, start, start + count), total, y_rows[o])

    return run


def _summed(x_rows, first, last):
    """Return the sums of the columns of x_rows[first:last], as floats. As int16, so far as they fit."""
    columns = x_rows.shape[1]
    step = _rows_at_once(columns)
    total, group, rows = None, None, 0
    for start in range(first, last, step):
        count = min(step, last - start)
        part = scratch.int16s(scratch.TILE, count * columns).reshape((count, columns))
        part -= part
        part += x_rows[start : start + count]
        part = np.sum(part, axis=0)
        rows += count
        if group is None:
            group = part
        elif rows <= _INT16_COUNT:
            group += part
        else:
            total = group * 1.0 if total is None else total + group
            group, rows = part, count
    return group * 1.0 if total is None else total + group


def _rows_at_once(columns):
    return min(_INT16_COUNT, max(1, PIECE // columns))
