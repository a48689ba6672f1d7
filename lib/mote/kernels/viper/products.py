"""Windows of an image times weights, in viper: convolutions, and dense layers as convolutions of one pixel.

Weights are stored as weight + 128, and each window is copied as input + 128, once for all of its outputs, so
that both load as unsigned bytes without a sign fix; docs/mote-format.md has the bias folded for that.
"""

from array import array

import micropython

from .arithmetic import buffer_of, requantised


def conv(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.conv``."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, _ = weights_shape
    _, out_h, out_w, pitch = y_shape
    outputs = len(bias) // 4
    sums, chunk = buffer_of(outputs, out_h * out_w)
    # a row of a window is one piece of the image, or with gaps between its taps a piece for each
    pieces, span = (1, kernel_w) if dilation_w == 1 else (kernel_w, 1)
    columns = kernel_h * kernel_w * channels
    numbers = (
        chunk, out_h * out_w, outputs, columns, out_w, height, width, channels, kernel_h, pieces, span,
        stride_h, stride_w, dilation_h, dilation_w, top, left, zero_x + 128,
    )  # fmt: skip
    layer = (sums, bias, bytearray(columns), array("i", numbers))

    def add_up(start):
        _add_up(weights, x, start, layer)

    return requantised(
        add_up, sums, chunk, out_h * out_w, outputs, multipliers, shifts, y, zero_y, low, high, pitch, origin
    )


# w and x live in registers, and stand for the pointers of every inner loop in turn.
@micropython.viper
def _add_up(w: ptr8, x: ptr8, total: int, layer):
    sums = ptr32(layer[0])
    bias = ptr16(layer[1])
    window = ptr8(layer[2])
    numbers = ptr32(layer[3])
    pixels = numbers[1] - total
    if pixels > numbers[0]:
        pixels = numbers[0]
    last = numbers[2] << 1
    columns = numbers[3]
    out_w = numbers[4]
    height = numbers[5]
    width = numbers[6]
    channels = numbers[7]
    pieces = numbers[9]
    span = numbers[10]
    padding = numbers[17]
    weights = int(w)
    image = int(x)
    i = total // out_w
    j = total - i * out_w
    first_u = i * numbers[11] - numbers[15]
    while pixels:
        w = window
        total = 0
        u = first_u
        row = numbers[8]
        while row:
            v = j * numbers[12] - numbers[16]
            piece = pieces
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
                    w = ptr8(int(w) + 1)
                    total += padding
                    i -= 1
                i = (span - before - after) * channels
                while i:
                    value = x[0] ^ 128
                    w[0] = value
                    total += value
                    w = ptr8(int(w) + 1)
                    x = ptr8(int(x) + 1)
                    i -= 1
                i = after * channels
                while i:
                    w[0] = padding
                    w = ptr8(int(w) + 1)
                    total += padding
                    i -= 1
                v += numbers[14]
                piece -= 1
            u += numbers[13]
            row -= 1
        offset = total << 7
        w = ptr8(weights)
        row = 0
        while row < last:
            x = window
            total = 0
            i = columns >> 3
            while i:
                # what lies in memory is added last: viper would keep it on its stack meanwhile
                total = w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3] + total
                total = w[4] * x[4] + w[5] * x[5] + w[6] * x[6] + w[7] * x[7] + total
                w = ptr8(int(w) + 8)
                x = ptr8(int(x) + 8)
                i -= 1
            i = columns & 7
            while i:
                total += w[0] * x[0]
                w = ptr8(int(w) + 1)
                x = ptr8(int(x) + 1)
                i -= 1
            sums[0] = total - offset + bias[row] + (((bias[row + 1] ^ 32768) - 32768) << 16)
            sums = ptr32(int(sums) + 4)
            row += 2
        j += 1
        if j == out_w:
            j = 0
            first_u += numbers[11]
        pixels -= 1
