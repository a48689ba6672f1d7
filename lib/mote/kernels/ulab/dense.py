"""Dense layers on ulab's arrays.

int8 products are added by ``np.dot`` in float32, where every sum below 2^24 is exact. ulab does not write
results into a given array, so each call of a ``run`` allocates a few arrays as long as the output.
"""

from struct import unpack

from ulab import numpy as np

from ..plain.arithmetic import requantise

_EXACT_COLUMNS = 1024  # so many products of at most 2^14 stay within 2^24
_PIECE = 256  # values per temporary array where a vector may be long


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin):
    """See ``plain.dense``. The constants are looked at once: bind again after they were changed."""
    rows = len(y)
    x_view = np.frombuffer(x, dtype=np.int8)
    w = np.frombuffer(weights, dtype=np.int8).reshape((rows, len(x)))
    bias, multipliers, shifts = (
        unpack("<%di" % rows, constants) for constants in (bias, multipliers, shifts)
    )
    if (
        _largest_sum(w, bias) < 1 << 23
        and all(multiplier >> 30 == 1 for multiplier in multipliers)
        and all(-15 <= shift <= -1 for shift in shifts)
        and -128 <= zero_point <= 127
        and -128 <= low <= high <= 127
    ):
        requantised = _requantiser(bias, multipliers, shifts, zero_point)
        y_view = np.frombuffer(y, dtype=np.int8)

        def run(keep=(x, weights, y)):  # ulab's views do not keep the memory that they look at
            y_view[:] = np.clip(requantised(np.dot(w, x_view)), low, high)

    else:
        pieces = [
            (w[:, start : start + _EXACT_COLUMNS], x_view[start : start + _EXACT_COLUMNS])
            for start in range(0, len(x), _EXACT_COLUMNS)
        ]

        def run(keep=(x, weights)):
            totals = list(bias)
            for w_piece, x_piece in pieces:
                sums = np.dot(w_piece, x_piece)
                # read in two parts: CircuitPython's floats hold 22 bits of a number
                upper = np.floor(sums * 0.000244140625)
                sums -= upper * 4096.0
                for row in range(rows):
                    totals[row] += int(upper[row]) * 4096 + int(sums[row])
            for row in range(rows):
                value = requantise(totals[row], multipliers[row], shifts[row]) + zero_point
                y[row] = low if value < low else high if value > high else value

    return run


def _largest_sum(w, bias):
    """Return what no sum of int8 products with a row of w, plus its bias, exceeds in size. w: [N, K]."""
    rows, columns = w.shape
    largest = 16384 * columns + max(max(bias), -min(bias))
    if largest < 1 << 23:
        return largest
    largest = 0
    for row in range(rows):
        of_row = w[row]
        total = 0
        for start in range(0, columns, _PIECE):
            piece = of_row[start : start + _PIECE]
            total += int(np.dot(piece > 0, piece) - np.dot(piece < 0, piece))
        largest = max(largest, 128 * total + abs(bias[row]))
    return largest


def _requantiser(bias, multipliers, shifts, zero_point):
    """Return f(sums) = plain.requantise(sums + bias) + zero_point, exact in float32. It overwrites sums.

    Needs |sums + bias| < 2^23, multipliers in [2^30, 2^31) and shifts from -15 to -1. The
    sum a and the multiplier m are multiplied as digits, a = a1 * 2^12 + a0 and m = m2 *
    2^20 + m1 * 2^8 + m0, from the lowest up. After each addition floor drops the bits
    that no carry comes from, so that no value needs over 24 bits.
    """
    bias = np.array(bias)
    m0 = np.array([m & 255 for m in multipliers]) * 0.00390625
    m1 = np.array([m >> 8 & 4095 for m in multipliers])
    m2 = np.array([m >> 20 for m in multipliers])
    m2_doubled = m2 * 2.0
    offset = np.array([((2 * zero_point + 1) << -shift) >> 1 for shift in shifts])
    scale = np.array([1 / (1 << -shift) for shift in shifts])

    def requantised(a0):
        a0 += bias
        a1 = np.floor(a0 * 0.000244140625)
        a0 -= a1 * 4096.0
        # a * m + 2^30 in units of 2^8, then 2^12, 2^20 and 2^31
        low = np.floor(a0 * m0)
        low += a0 * m1
        low *= 0.0625
        low = np.floor(low)
        low *= 0.00390625
        low += a1 * m0
        low = np.floor(low)
        a0 *= m2
        a0 += low
        a0 += a1 * m1
        a0 *= 0.00048828125
        a0 += 0.5
        a0 = np.floor(a0)
        a0 += a1 * m2_doubled
        # divide by 2^-shift, ties away from zero
        a0 -= a0 < 0.0
        a0 += offset
        a0 *= scale
        return np.floor(a0)

    return requantised
