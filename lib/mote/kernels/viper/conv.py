"""Convolutions in viper: those of each channel alone here, the others in products.py."""

from array import array

import micropython

from .arithmetic import buffer_of, requantised
from .products import conv as conv


def depthwise(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.depthwise``."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, outputs = weights_shape
    _, out_h, out_w, _ = y_shape
    pixels = out_h * out_w
    sums, chunk = buffer_of(outputs, pixels)
    numbers = (
        chunk, pixels, outputs, outputs // channels, out_w, height, width, channels, kernel_h, kernel_w,
        stride_h, stride_w, dilation_h, dilation_w, top, left,
    )  # fmt: skip
    padding = array("b", [zero_x] * channels)
    layer = (sums, bias, padding, weights, array("i", numbers))

    def add_up(start):
        _add_up(0, x, start, layer)

    return requantised(
        add_up, sums, chunk, pixels, outputs, multipliers, shifts, y, zero_y, low, high, outputs
    )


# s and x live in registers. A tap is added to all channels before the next one; what lies in memory is added
# last, as viper would keep it on its stack meanwhile.
@micropython.viper
def _add_up(s: ptr32, x: ptr8, start: int, layer):
    sums = ptr32(layer[0])
    bias = ptr16(layer[1])
    padding = int(ptr8(layer[2]))
    weights = int(ptr8(layer[3]))
    numbers = ptr32(layer[4])
    pixels = numbers[1] - start
    if pixels > numbers[0]:
        pixels = numbers[0]
    outputs = numbers[2]
    per_channel = numbers[3]
    out_w = numbers[4]
    height = numbers[5]
    width = numbers[6]
    channels = numbers[7]
    kernel_h = numbers[8]
    kernel_w = numbers[9]
    image = int(x)
    row = start // out_w
    j = start - row * out_w
    first_u = row * numbers[10] - numbers[14]
    while pixels:
        s = sums
        i = 0
        while i < outputs:
            n = i << 1
            s[0] = bias[n] + (bias[n + 1] << 16)
            s = ptr32(int(s) + 4)
            i += 1
        w = ptr8(weights)
        u = first_u
        row = kernel_h
        while row:
            v = j * numbers[11] - numbers[15]
            column = kernel_w
            while column:
                x = ptr8(padding)
                if u >= 0 and u < height and v >= 0 and v < width:
                    x = ptr8(image + (u * width + v) * channels)
                s = sums
                i = outputs
                if per_channel == 1:
                    while i > 3:
                        s[0] = (w[0] - 128) * (x[0] ^ 128) + s[0]
                        s[1] = (w[1] - 128) * (x[1] ^ 128) + s[1]
                        s[2] = (w[2] - 128) * (x[2] ^ 128) + s[2]
                        s[3] = (w[3] - 128) * (x[3] ^ 128) + s[3]
                        s = ptr32(int(s) + 16)
                        w = ptr8(int(w) + 4)
                        x = ptr8(int(x) + 4)
                        i -= 4
                n = per_channel
                while i:
                    s[0] = (w[0] - 128) * (x[0] ^ 128) + s[0]
                    s = ptr32(int(s) + 4)
                    w = ptr8(int(w) + 1)
                    n -= 1
                    if n == 0:
                        n = per_channel
                        x = ptr8(int(x) + 1)
                    i -= 1
                v += numbers[13]
                column -= 1
            u += numbers[12]
            row -= 1
        sums = s
        j += 1
        if j == out_w:
            j = 0
            first_u += numbers[10]
        pixels -= 1
