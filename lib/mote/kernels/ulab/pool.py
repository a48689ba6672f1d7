"""Pooling and means on ulab's arrays."""

from ulab import numpy as np

from ..plain import pool as plain
from .arithmetic import LIMIT, fits, int8s, requantiser
from .window import inside as part_inside
from .window import strip

_INT16_COUNT = 255  # so many int8 fit an int16
_FLOAT_COUNT = 2048  # so many are divided exactly below


def average_pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape):
    """See ``plain.average_pool``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape
    whole_rows = out_w == 1 and kernel_w - left >= width
    most = min(kernel_h, height) * min(kernel_w, width)
    if most > (_FLOAT_COUNT if whole_rows else _INT16_COUNT) or not -128 <= low <= high <= 127:
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
        ones = np.ones(most, dtype=np.int8)

        def run(keep=(x, y)):
            for i, (first, last) in enumerate(rows_of):
                sums = np.dot(ones[: (last - first) * width], x_rows[first * width : last * width])
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
    if (
        256 * count >= LIMIT
        or not -128 <= zero_x <= 127
        or not fits([multiplier], [shift], zero_y, -128, 127)
    ):
        return plain.mean(x, y, outer, count, inner, zero_x, zero_y, multiplier, shift)
    requantised = requantiser([multiplier], [shift], zero_y)
    x_rows = int8s(x, (outer * count, inner))
    y_rows = int8s(y, (outer, inner))
    ones = np.ones(count, dtype=np.int8)
    offset = np.array([-count * zero_x])

    def run(keep=(x, y)):
        for o in range(outer):
            sums = np.dot(ones, x_rows[o * count : (o + 1) * count])
            sums += offset
            y_rows[o] = np.clip(requantised(sums), -128, 127)

    return run
