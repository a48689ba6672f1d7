"""Convolutions in viper: those of each channel alone here, the others in products.py.

The rows of a window are copied channel by channel, as input + 128 and with their padding, so that
neighbouring outputs find their inputs side by side: four of them share each weight. Columns that the stride
sets apart lie in phases of their own for that. An input row is copied once where the windows of several
output rows touch it: the lines of a window are used in turn, and its taps are taken in the order of their
places in memory.
"""

from array import array

import micropython

from . import scratch
from .arithmetic import limits_of, requantise
from .products import conv as conv


def depthwise(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.depthwise``."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, outputs = weights_shape
    _, out_h, out_w, _ = y_shape
    per_channel = outputs // channels
    taps = kernel_h * kernel_w
    chunk = out_w + 3 & ~3
    phase = chunk + (kernel_w - 1) * dilation_w // stride_w
    line = stride_w * phase
    each = kernel_h * line + 2 * per_channel * taps  # bytes that a channel takes
    block = max(1, min(scratch.MOST_INPUTS // each, scratch.MOST_SUMS // (chunk * per_channel), channels))
    scratch.reserve(scratch.INPUTS, block * each)
    scratch.reserve(scratch.SUMS, 4 * block * per_channel * chunk)
    numbers = array("i", (
        0, block, per_channel, chunk, phase, line, height, width, channels, kernel_h, kernel_w,
        stride_h, stride_w, dilation_h, top, left, zero_x + 128, phase - chunk + out_w,
    ))  # fmt: skip
    # the window's columns in the order of their places in a line, and the steps from tap to tap
    columns = [(k * dilation_w % stride_w * phase + k * dilation_w // stride_w, k) for k in range(kernel_w)]
    columns.sort()
    sources = [(row * kernel_w + k) * outputs for row in range(kernel_h) for _, k in columns]
    sources = array("i", sources)
    places = [row * line + place for row in range(kernel_h) for place, _ in columns]
    steps = array("i", [place - last for place, last in zip(places, [0] + places)])
    limits = limits_of(zero_y, low, high, outputs)

    def run():
        sums, lines = scratch.pieces
        first = 0
        while first < channels:
            numbers[0] = first
            numbers[1] = count = min(block, channels - first)
            _arrange(weights, lines, sources, numbers)
            for i in range(out_h):
                _copy(lines, x, i, numbers)
                _add_up(lines, 0, i, sums, bias, steps, numbers)
                requantise(
                    sums, 0, i * out_w, out_w, chunk, first * per_channel, count * per_channel, multipliers,
                    shifts, y, origin, limits,
                )  # fmt: skip
            first += block

    return run


# The first two variables of these functions live in registers.


@micropython.viper
def _arrange(w: ptr8, p: ptr8, sources: ptr32, numbers: ptr32):
    """Copy the weights of a block's outputs behind its lines, output by output, all rows of each twice, so
    that they can begin with any."""
    p = ptr8(int(p) + numbers[1] * numbers[9] * numbers[5])
    taps = numbers[9] * numbers[10]
    column = int(w) + numbers[0] * numbers[2]
    left = numbers[1] * numbers[2]
    while left:
        source = sources
        i = taps
        while i:
            w = ptr8(source[0] + column)
            p[0] = w[0]
            p[taps] = w[0]
            p = ptr8(int(p) + 1)
            source = ptr32(int(source) + 4)
            i -= 1
        p = ptr8(int(p) + taps)
        column += 1
        left -= 1


@micropython.viper
def _copy(p: ptr8, x: ptr8, i: int, numbers: ptr32):
    """Copy the input rows of output row i that are not there yet into their lines."""
    lines = int(p)
    image = int(x) + numbers[0]
    block = numbers[1]
    phase = numbers[4]
    line = numbers[5]
    height = numbers[6]
    width = numbers[7]
    channels = numbers[8]
    kernel_h = numbers[9]
    stride_h = numbers[11]
    stride_w = numbers[12]
    padding = numbers[16]
    span = numbers[17]
    step = kernel_h * line
    row = 0
    if i and numbers[13] == 1 and stride_h < kernel_h:
        row = kernel_h - stride_h
    while row < kernel_h:
        u = i * stride_h + row * numbers[13] - numbers[14]
        place = lines + row * line
        if numbers[13] == 1:
            place = lines + (i * stride_h + row) % kernel_h * line
        first = 0 - numbers[15]
        turn = stride_w
        while turn:
            v = first
            first += 1
            k = 0
            while k < span:
                p = ptr8(place + k)
                left = block
                if u >= 0 and u < height and v >= 0 and v < width:
                    x = ptr8(image + (u * width + v) * channels)
                    while left > 3:
                        p[0] = x[0] ^ 128
                        p = ptr8(int(p) + step)
                        p[0] = x[1] ^ 128
                        p = ptr8(int(p) + step)
                        p[0] = x[2] ^ 128
                        p = ptr8(int(p) + step)
                        p[0] = x[3] ^ 128
                        p = ptr8(int(p) + step)
                        x = ptr8(int(x) + 4)
                        left -= 4
                    while left:
                        p[0] = x[0] ^ 128
                        p = ptr8(int(p) + step)
                        x = ptr8(int(x) + 1)
                        left -= 1
                else:
                    while left:
                        p[0] = padding
                        p = ptr8(int(p) + step)
                        left -= 1
                v += stride_w
                k += 1
            place += phase
            turn -= 1
        row += 1


@micropython.viper
def _add_up(x: ptr8, weight: int, i: int, s: ptr32, bias: ptr16, steps: ptr32, numbers: ptr32):
    """Write the sums of output row i: chunk by chunk, one for each output of the block."""
    block = numbers[1]
    chunk = numbers[3]
    lines = int(x)
    channel = numbers[9] * numbers[5]
    taps = numbers[9] * numbers[10]
    weights = lines + block * channel
    if numbers[13] == 1:
        # the first line's row
        weights += (numbers[9] - i * numbers[11] % numbers[9]) * numbers[10]
    first_step = steps
    n = (numbers[0] * numbers[2]) << 1
    while block:
        m = numbers[2]
        while m:
            start = bias[n] + (((bias[n + 1] ^ 32768) - 32768) << 16)
            n += 2
            j = 0
            while j < chunk:
                a = start
                b = start
                c = start
                d = start
                x = ptr8(lines + j)
                w = ptr8(weights)
                steps = first_step
                i = taps
                while i > 2:
                    x = ptr8(int(x) + steps[0])
                    weight = w[0] - 128
                    a = x[0] * weight + a
                    b = x[1] * weight + b
                    c = x[2] * weight + c
                    d = x[3] * weight + d
                    x = ptr8(int(x) + steps[1])
                    weight = w[1] - 128
                    a = x[0] * weight + a
                    b = x[1] * weight + b
                    c = x[2] * weight + c
                    d = x[3] * weight + d
                    x = ptr8(int(x) + steps[2])
                    weight = w[2] - 128
                    a = x[0] * weight + a
                    b = x[1] * weight + b
                    c = x[2] * weight + c
                    d = x[3] * weight + d
                    w = ptr8(int(w) + 3)
                    steps = ptr32(int(steps) + 12)
                    i -= 3
                while i:
                    x = ptr8(int(x) + steps[0])
                    weight = w[0] - 128
                    a = x[0] * weight + a
                    b = x[1] * weight + b
                    c = x[2] * weight + c
                    d = x[3] * weight + d
                    w = ptr8(int(w) + 1)
                    steps = ptr32(int(steps) + 4)
                    i -= 1
                s[0] = a
                s[1] = b
                s[2] = c
                s[3] = d
                s = ptr32(int(s) + 16)
                j += 4
            weights += taps << 1
            m -= 1
        lines += channel
        block -= 1
