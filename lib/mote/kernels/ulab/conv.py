"""Convolutions on ulab's arrays: one ``np.dot`` for a stretch of
outputs, or int16 products where channels stay apart."""

from ulab import numpy as np

from ..plain import conv as plain
from .arithmetic import LIMIT, PIECE, fits, int8s, ints, largest_sum, requantiser
from .dense import dense
from .window import strip

_GATHERED = 4096  # bytes of inputs that are laid side by side for one product
_INT16_WEIGHTS = 255  # so large a sum of weights, times -128, fits an int16


def conv(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.conv``. Constants and origin are looked at once."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, _ = weights_shape
    _, out_h, out_w, pitch = y_shape
    if kernel_h * kernel_w * stride_h * stride_w == 1 and top == left == 0 and x_shape[:3] == y_shape[:3]:
        return dense(x, weights, bias, multipliers, shifts, y, zero_y, low, high, form, pitch, origin)
    numbers, factors, right = ints(bias), ints(multipliers), ints(shifts)
    outputs = len(numbers)
    columns = len(weights) // outputs
    w = int8s(weights, (outputs, columns))
    if not (
        -128 <= zero_x <= 127 and fits(factors, right, zero_y, low, high) and largest_sum(w, numbers) < LIMIT
    ):
        return plain.conv(
            x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
            dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
        )  # fmt: skip
    requantised = requantiser(factors, right, zero_y)
    constant = np.array(numbers)
    w = w.transpose()
    first = origin[0]
    x_rows = int8s(x, (height * width, channels))
    y_rows = int8s(y, (out_h * out_w, pitch))[:, first : first + outputs]
    inside, taps = strip(x_shape, zero_x, kernel_w, stride_w, dilation_w, left, out_w)
    step = min(out_w, max(1, min(_GATHERED // columns, PIECE // outputs)))
    gathered = np.zeros((step, columns), dtype=np.int8)

    def run(keep=(x, weights, y)):
        for i in range(out_h):
            for start in range(0, out_w, step):
                count = min(step, out_w - start)
                at = 0
                for u in range(i * stride_h - top, i * stride_h - top + kernel_h * dilation_h, dilation_h):
                    inside[:] = x_rows[u * width : (u + 1) * width] if 0 <= u < height else zero_x
                    for tap in taps:
                        gathered[:count, at : at + channels] = tap[start : start + count]
                        at += channels
                sums = np.dot(gathered[:count], w)
                sums += constant
                target = i * out_w + start
                y_rows[target : target + count] = np.clip(requantised(sums), low, high)

    return run


def depthwise(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.depthwise``. The constants are looked at once."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, outputs = weights_shape
    _, out_h, out_w, _ = y_shape
    numbers, factors, right = ints(bias), ints(multipliers), ints(shifts)
    w = int8s(weights, (kernel_h * kernel_w, outputs))
    if not (
        -128 <= zero_x <= 127
        and fits(factors, right, zero_y, low, high)
        and largest_sum(w.transpose(), numbers) < LIMIT
    ):
        return plain.depthwise(
            x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
            dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
        )  # fmt: skip
    # each of the M outputs of a channel is a pass of its own, unless one channel is spread over all outputs
    passes = 1 if channels == 1 else outputs // channels
    w = np.array(w, dtype=np.int16)
    new_sum = _new_sums(w)
    lanes = []
    for lane in range(passes):
        own = range(lane, outputs, passes)
        lanes.append(
            (
                [tap[lane::passes] for tap in w],
                np.array([numbers[n] for n in own]),
                requantiser([factors[n] for n in own], [right[n] for n in own], zero_y),
                int8s(y, (out_h * out_w, outputs))[:, lane::passes],
            )
        )
    x_rows = int8s(x, (height * width, channels))
    inside, taps = strip(x_shape, zero_x, kernel_w, stride_w, dilation_w, left, out_w)
    step = min(out_w, max(1, PIECE * passes // outputs))

    def summed(of_taps, top_row, start, end):
        """Return the sums of one stretch, without bias: as int16, or float32 where they do not fit."""
        number, total, group = 0, None, None
        for u in range(top_row, top_row + kernel_h * dilation_h, dilation_h):
            inside[:] = x_rows[u * width : (u + 1) * width] if 0 <= u < height else zero_x
            for tap in taps:
                if not new_sum[number]:
                    group += tap[start:end] * of_taps[number]
                else:
                    if group is not None:
                        total = group * 1.0 if total is None else total + group
                    group = tap[start:end] * of_taps[number]
                number += 1
        return group if total is None else total + group

    def run(keep=(x, y)):
        for i in range(out_h):
            for start in range(0, out_w, step):
                end = min(start + step, out_w)
                for of_taps, constant, requantised, y_rows in lanes:
                    sums = summed(of_taps, i * stride_h - top, start, end) + constant
                    y_rows[i * out_w + start : i * out_w + end] = np.clip(requantised(sums), low, high)

    return run


def _new_sums(w):
    """Return for each row of w, int16, whether a sum that starts at the one before it may leave int16."""
    found = []
    size = None
    for tap in w:
        of_tap = np.maximum(tap, tap * -1)
        size = of_tap if size is None else size + of_tap
        found.append(not found or np.max(size) > _INT16_WEIGHTS)
        if found[-1]:
            size = of_tap
    return found
