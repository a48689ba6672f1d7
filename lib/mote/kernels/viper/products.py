"""Windows of an image times weights, in viper: convolutions, and dense layers as convolutions of one pixel.

Four pixels share each weight: their windows are copied side by side, as input + 128, so that a product takes
one load. Weights are stored as weight + 128; docs/mote-format.md has the bias folded for that.
"""

from array import array

import micropython

from . import scratch
from .arithmetic import limits_of, requantise


def conv(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.conv``."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, _ = weights_shape
    _, out_h, out_w, pitch = y_shape
    pixels, outputs = out_h * out_w, len(bias) // 4
    # a row of a window is one piece of the image, or with gaps between its taps a piece for each
    pieces, span = (1, kernel_w) if dilation_w == 1 else (kernel_w, 1)
    columns = kernel_h * kernel_w * channels
    chunk = 1
    if pixels > 3:
        most = min(pixels + 3, scratch.MOST_SUMS // outputs, scratch.MOST_INPUTS // columns)
        chunk = max(4, most & ~3)
    scratch.reserve(scratch.SUMS, 4 * chunk * outputs)
    scratch.reserve(scratch.INPUTS, chunk * columns)
    numbers = (
        columns, out_w, height, width, channels, kernel_h, pieces, span,
        stride_h, stride_w, dilation_h, dilation_w, top, left, zero_x + 128,
    )  # fmt: skip
    source = array("i", numbers)
    sizes = array("i", (chunk, outputs << 1, columns))
    limits = limits_of(zero_y, low, high, pitch)

    def run():
        sums, windows = scratch.pieces
        start = 0
        while start < pixels:
            count = min(chunk, pixels - start)
            _gather(windows, x, start, count, source)
            if count == 1:
                _multiply_one(weights, windows, sums, bias, sizes)
            else:
                _multiply(windows, 0, count, weights, sums, bias, sizes)
            requantise(sums, 0, start, count, chunk, 0, outputs, multipliers, shifts, y, origin, limits)
            start += chunk

    return run


# The first two variables of these functions live in registers, and stand for the pointers of every inner loop
# in turn.


@micropython.viper
def _gather(w: ptr8, x: ptr8, start: int, count: int, numbers: ptr32):
    window = int(w)
    image = int(x)
    columns = numbers[0]
    out_w = numbers[1]
    height = numbers[2]
    width = numbers[3]
    channels = numbers[4]
    span = numbers[7]
    padding = numbers[14]
    step = 4
    if count == 1:
        step = 1
    i = start // out_w
    j = start - i * out_w
    first_u = i * numbers[8] - numbers[12]
    number = 0
    while number < count:
        w = ptr8(window + (number & 3))
        number += 1
        if number & 3 == 0:
            window += columns << 2
        u = first_u
        row = numbers[5]
        while row:
            v = j * numbers[9] - numbers[13]
            piece = numbers[6]
            while piece:
                # how much of the piece lies left of the image, right of it and inside
                before = 0 - v
                if before < 0:
                    before = 0
                after = v + span - width
                if after < 0:
                    after = 0
                if before > span or u < 0 or u >= height:
                    before = span
                    after = 0
                if after > span:
                    after = span
                x = ptr8(image + (u * width + v + before) * channels)
                i = before * channels
                while i:
                    w[0] = padding
                    w = ptr8(int(w) + step)
                    i -= 1
                i = (span - before - after) * channels
                if step == 4:
                    while i > 3:
                        w[0] = x[0] ^ 128
                        w[4] = x[1] ^ 128
                        w[8] = x[2] ^ 128
                        w[12] = x[3] ^ 128
                        w = ptr8(int(w) + 16)
                        x = ptr8(int(x) + 4)
                        i -= 4
                while i:
                    w[0] = x[0] ^ 128
                    w = ptr8(int(w) + step)
                    x = ptr8(int(x) + 1)
                    i -= 1
                i = after * channels
                while i:
                    w[0] = padding
                    w = ptr8(int(w) + step)
                    i -= 1
                v += numbers[11]
                piece -= 1
            u += numbers[10]
            row -= 1
        j += 1
        if j == out_w:
            j = 0
            first_u += numbers[8]


@micropython.viper
def _multiply(
    x: ptr8, weight: int, count: int, weights: ptr8, sums: ptr32, bias: ptr16, numbers: ptr32
):  # fmt: skip
    windows = int(x)
    chunk = numbers[0] << 2
    last = numbers[1]
    columns = numbers[2]
    while count > 0:
        w = weights
        s = sums
        row = 0
        while row < last:
            a = bias[row] + (((bias[row + 1] ^ 32768) - 32768) << 16)
            b = a
            c = a
            d = a
            x = ptr8(windows)
            i = columns >> 2
            while i:
                weight = w[0] - 128
                a = x[0] * weight + a
                b = x[1] * weight + b
                c = x[2] * weight + c
                d = x[3] * weight + d
                weight = w[1] - 128
                a = x[4] * weight + a
                b = x[5] * weight + b
                c = x[6] * weight + c
                d = x[7] * weight + d
                weight = w[2] - 128
                a = x[8] * weight + a
                b = x[9] * weight + b
                c = x[10] * weight + c
                d = x[11] * weight + d
                weight = w[3] - 128
                a = x[12] * weight + a
                b = x[13] * weight + b
                c = x[14] * weight + c
                d = x[15] * weight + d
                w = ptr8(int(w) + 4)
                x = ptr8(int(x) + 16)
                i -= 1
            i = columns & 3
            while i:
                weight = w[0] - 128
                a = x[0] * weight + a
                b = x[1] * weight + b
                c = x[2] * weight + c
                d = x[3] * weight + d
                w = ptr8(int(w) + 1)
                x = ptr8(int(x) + 4)
                i -= 1
            s[0] = a
            s[1] = b
            s[2] = c
            s[3] = d
            s = ptr32(int(s) + chunk)
            row += 2
        sums = ptr32(int(sums) + 16)
        windows += columns << 2
        count -= 4


@micropython.viper
def _multiply_one(w: ptr8, x: ptr8, s: ptr32, bias: ptr16, numbers: ptr32):
    window = x
    chunk = numbers[0] << 2
    last = numbers[1]
    columns = numbers[2]
    row = 0
    while row < last:
        total = bias[row] + (((bias[row + 1] ^ 32768) - 32768) << 16)
        x = window
        i = columns >> 4
        while i:
            # what lies in memory is added last: viper would keep it on its stack meanwhile
            total = (
                (w[0] - 128) * x[0] + (w[1] - 128) * x[1] + (w[2] - 128) * x[2] + (w[3] - 128) * x[3]
                + (w[4] - 128) * x[4] + (w[5] - 128) * x[5] + (w[6] - 128) * x[6] + (w[7] - 128) * x[7]
                + (w[8] - 128) * x[8] + (w[9] - 128) * x[9] + (w[10] - 128) * x[10] + (w[11] - 128) * x[11]
                + (w[12] - 128) * x[12] + (w[13] - 128) * x[13] + (w[14] - 128) * x[14]
                + (w[15] - 128) * x[15] + total
            )  # fmt: skip
            w = ptr8(int(w) + 16)
            x = ptr8(int(x) + 16)
            i -= 1
        i = columns & 15
        while i:
            total += (w[0] - 128) * x[0]
            w = ptr8(int(w) + 1)
            x = ptr8(int(x) + 1)
            i -= 1
        s[0] = total
        s = ptr32(int(s) + chunk)
        row += 2
