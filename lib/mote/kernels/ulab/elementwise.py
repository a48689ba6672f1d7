"""Sums, products and floats of single values on ulab's arrays.

Operands of y's shape, of its last dimension alone, or of one value
are taken; what else is broadcast goes to plain Python.
"""

from struct import pack

from ulab import numpy as np

from ..plain.arithmetic import requantise
from .arithmetic import PIECE, Requantiser, int8s

_ADD_SHIFT = 20
_LARGEST_DOUBT = 0.05


def add(
    a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y,
    sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
):  # fmt: skip
    """See ``plain.add``. Computes in float32, and again with integers where that is too near to a step."""
    factor_y = multiplier_y / (1 << (31 - min(shift_y, 0)))
    factor_a, factor_b = (
        multiplier / (1 << (31 - _ADD_SHIFT - min(shift, 0))) * factor_y
        for multiplier, shift in ((multiplier_a, shift_a), (multiplier_b, shift_b))
    )
    # what the roundings of both operands, of the result, and those of float32 change at most
    doubt = 2 * factor_y + 2 / (1 << -min(shift_y, 0)) + (256 * (factor_a + factor_b) + 256) / (1 << 18)
    operands = _broadcast(a, b, y, (a0, a1, a2, a3), (b0, b1, b2, b3), y_shape)
    if (
        operands is None
        or max(shift_a, shift_b, shift_y) > 0
        or not doubt < _LARGEST_DOUBT
        or not -128 <= low <= high <= 127
        or max(abs(zero_a), abs(zero_b), abs(zero_y)) > 128
    ):
        from ..plain import elementwise as plain  # loaded where it is needed only: memory is short

        return plain.add(
            a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y,
            shift_y, sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
        )  # fmt: skip
    (a_rows, a_cut, a_length), (b_rows, b_cut, b_length), y_rows, columns = operands
    offset = zero_y + 0.5 + doubt - zero_a * factor_a - sign * zero_b * factor_b
    factor_a, factor_b, offset = np.array([factor_a]), np.array([sign * factor_b]), np.array([offset])
    step = max(1, PIECE // columns)

    def exact(position):
        value = requantise((a[position % a_length] - zero_a) << _ADD_SHIFT, multiplier_a, shift_a)
        value += sign * requantise((b[position % b_length] - zero_b) << _ADD_SHIFT, multiplier_b, shift_b)
        return requantise(value, multiplier_y, shift_y) + zero_y

    def run(keep=(a, b, y)):
        for start in range(0, len(y_rows), step):
            end = start + step
            value = (a_rows[start:end] if a_cut else a_rows) * factor_a
            value = value + (b_rows[start:end] if b_cut else b_rows) * factor_b
            value += offset
            below = np.floor(value)
            value -= below
            doubted = value < 2 * doubt
            if np.any(doubted):
                for position in zip(*np.nonzero(doubted)):
                    at = position[0] if columns == 1 else position[0] * columns + position[1]
                    below[position] = exact(start * columns + at)
            y_rows[start:end] = np.clip(below, low, high)

    return run


def mul(
    a, b, y, zero_a, zero_b, zero_y, multiplier, shift, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape
):  # fmt: skip
    """See ``plain.mul``."""
    operands = _broadcast(a, b, y, (a0, a1, a2, a3), (b0, b1, b2, b3), y_shape)
    constants = [pack("<i", number) for number in (0, multiplier, shift)]
    scaled = Requantiser(constants, zero_y, low, high, 65536, max(PIECE, y_shape[3]))
    if operands is None or not scaled.possible or max(abs(zero_a), abs(zero_b)) > 128:
        from ..plain import elementwise as plain  # loaded where it is needed only: memory is short

        return plain.mul(
            a, b, y, zero_a, zero_b, zero_y, multiplier, shift, low, high, a0, a1, a2, a3, b0, b1, b2, b3,
            y_shape,
        )  # fmt: skip
    (a_rows, a_cut, a_length), (b_rows, b_cut, b_length), y_rows, columns = operands
    offset_a, offset_b = np.array([-zero_a]), np.array([-zero_b])
    step = max(1, PIECE // columns)

    def run(keep=(a, b, y)):
        for start in range(0, len(y_rows), step):
            end = start + step
            value = (a_rows[start:end] if a_cut else a_rows) + offset_a
            value = value * ((b_rows[start:end] if b_cut else b_rows) + offset_b)

            def total(place, start=start):
                at = start * columns + (place if columns == 1 else place[0] * columns + place[1])
                return (a[at % a_length] - zero_a) * (b[at % b_length] - zero_b)

            scaled.writer(value.shape)(value, total, y_rows[start:end])

    return run


def dequantize(x, y, scale, zero_point):
    """See ``plain.dequantize``."""
    factor = np.frombuffer(pack("<I", scale), dtype=np.float) * 1.0
    offset = np.array([-zero_point])
    values, target = int8s(x), np.frombuffer(y, dtype=np.float)

    def run(keep=(x, y)):
        for start in range(0, len(target), PIECE):
            target[start : start + PIECE] = (values[start : start + PIECE] + offset) * factor

    return run


def _broadcast(a, b, y, a_steps, b_steps, y_shape):
    """Return (operand a, operand b, y, columns) as arrays of one dimension, or two of ``columns``; or None.

    An operand is (array, whether it is cut as y is, number of its values).
    """
    dense = (y_shape[1] * y_shape[2] * y_shape[3], y_shape[2] * y_shape[3], y_shape[3], 1)
    last = (0, 0, 0, 1)
    axes = [axis for axis in range(4) if y_shape[axis] > 1]
    lengths = []
    for steps in (a_steps, b_steps):
        steps = [steps[axis] for axis in axes]
        for pattern, length in ((dense, len(y)), (last, y_shape[3]), ((0,) * 4, 1)):
            if steps == [pattern[axis] for axis in axes]:
                lengths.append(length)
                break
        else:
            return None
    columns = y_shape[3] if any(1 < length < len(y) for length in lengths) else 1
    operands = []
    for view, length in zip((a, b), lengths):
        is_cut = length == len(y)
        shape = (length // columns, columns) if is_cut and columns > 1 else (length,)
        operands.append((int8s(view[:length], shape), is_cut, length))
    shape = (len(y) // columns, columns) if columns > 1 else (len(y),)
    return operands[0], operands[1], int8s(y, shape), columns
