"""Windows of an image times weights, in viper: convolutions, and dense layers as convolutions of one pixel.

Weights are stored as weight + 128, and each window is copied as input + 128, once for all of its outputs, so
that both load as unsigned bytes without a sign fix; docs/mote-format.md has the bias folded for that.
"""

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
    layer = (
        sums, chunk, out_h * out_w, outputs, bias, bytearray(kernel_h * kernel_w * channels),
        kernel_h * kernel_w * channels, out_w, height, width, channels, kernel_h, pieces, span,
        stride_h, stride_w, dilation_h, dilation_w, top, left, zero_x + 128,
    )  # fmt: skip

    def add_up(start):
        _add_up(weights, x, start, layer)

    return requantised(
        add_up, sums, chunk, out_h * out_w, outputs, multipliers, shifts, y, zero_y, low, high, pitch, origin
    )


# The first three arguments live in registers: the pointers and the sum of the inner loops are these.
@micropython.viper
def _add_up(w: ptr8, x: ptr8, total: int, layer):
    sums = ptr32(layer[0])
    chunk = int(layer[1])
    pixels = int(layer[2]) - total
    if pixels > chunk:
        pixels = chunk
    last = int(layer[3]) << 1
    bias = ptr16(layer[4])
    window = ptr8(layer[5])
    columns = int(layer[6])
    out_w = int(layer[7])
    height = int(layer[8])
    width = int(layer[9])
    channels = int(layer[10])
    kernel_h = int(layer[11])
    pieces = int(layer[12])
    span = int(layer[13])
    stride_h = int(layer[14])
    stride_w = int(layer[15])
    dilation_h = int(layer[16])
    dilation_w = int(layer[17])
    left = int(layer[19])
    padding = int(layer[20])
    weights = int(w)
    image = int(x)
    i = total // out_w
    j = total - i * out_w
    first_u = i * stride_h - int(layer[18])
    while pixels:
        w = window
        total = 0
        u = first_u
        row = kernel_h
        while row:
            v = j * stride_w - left
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
                v += dilation_w
                piece -= 1
            u += dilation_h
            row -= 1
        offset = total << 7
        w = ptr8(weights)
        row = 0
        while row < last:
            x = window
            total = 0
            i = columns >> 3
            while i:
                total += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3]
                total += w[4] * x[4] + w[5] * x[5] + w[6] * x[6] + w[7] * x[7]
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
            first_u += stride_h
        pixels -= 1
