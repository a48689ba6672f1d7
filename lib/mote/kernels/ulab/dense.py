"""Dense layers on ulab's arrays.

int8 products are added by ``np.dot`` in float32, where every sum below 2^24 is exact.
"""

from ulab import numpy as np

from ..plain.arithmetic import requantise
from .arithmetic import LIMIT, PIECE, fits, int8s, ints, largest_sum, requantiser

_EXACT_COLUMNS = 1024  # so many products of at most 2^14 stay within 2^24


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin):
    """See ``plain.dense``. Constants and origin are looked at once: bind again after they were changed."""
    bias, multipliers, shifts = ints(bias), ints(multipliers), ints(shifts)
    outputs = len(bias)
    columns = len(weights) // outputs
    rows = len(x) // columns
    first = origin[0]
    x_rows = int8s(x, (rows, columns))
    w = int8s(weights, (outputs, columns))
    if largest_sum(w, bias) < LIMIT and fits(multipliers, shifts, zero_point, low, high):
        requantised = requantiser(multipliers, shifts, zero_point)
        bias = np.array(bias)
        y_rows = int8s(y, (rows, pitch))[:, first : first + outputs]
        w = w.transpose()
        step = max(1, PIECE // outputs)

        def run(keep=(x, weights, y)):
            for start in range(0, rows, step):
                sums = np.dot(x_rows[start : start + step], w)
                sums += bias
                y_rows[start : start + step] = np.clip(requantised(sums), low, high)

    else:
        pieces = [
            (w[:, start : start + _EXACT_COLUMNS], x_rows[:, start : start + _EXACT_COLUMNS])
            for start in range(0, columns, _EXACT_COLUMNS)
        ]

        def run(keep=(x, weights)):
            for row in range(rows):
                totals = list(bias)
                for w_piece, x_piece in pieces:
                    sums = np.dot(w_piece, x_piece[row])
                    # read in two parts: CircuitPython's floats hold 22 bits of a number
                    upper = np.floor(sums * 0.000244140625)
                    sums -= upper * 4096.0
                    for n in range(outputs):
                        totals[n] += int(upper[n]) * 4096 + int(sums[n])
                target = row * pitch + first
                for n in range(outputs):
                    value = requantise(totals[n], multipliers[n], shifts[n]) + zero_point
                    y[target + n] = low if value < low else high if value > high else value

    return run
