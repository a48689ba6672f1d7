"""Convolutions in viper: those of each channel alone here, the others in products.py."""

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
    layer = (
        sums, chunk, pixels, outputs, bias, outputs // channels, out_w, height, width, channels, kernel_h, kernel_w,
        stride_h, stride_w, dilation_h, dilation_w, top, left, zero_x + 128,
    )  # fmt: skip

    def add_up(start):
        _add_up_channels(weights, x, start, layer)

    return requantised(
        add_up, sums, chunk, pixels, outputs, multipliers, shifts, y, zero_y, low, high, outputs
    )


# The first three arguments live in registers. The image is read where it is; what lies
# in the padding is the same for a whole tap and added by itself.
@micropython.viper
def _add_up_channels(w: ptr8, x: ptr8, total: int, layer):
    sums = ptr32(layer[0])
    chunk = int(layer[1])
    pixels = int(layer[2]) - total
    if pixels > chunk:
        pixels = chunk
    outputs = int(layer[3])
    bias = ptr16(layer[4])
    per_channel = int(layer[5])
    out_w = int(layer[6])
    height = int(layer[7])
    width = int(layer[8])
    channels = int(layer[9])
    kernel_h = int(layer[10])
    kernel_w = int(layer[11])
    stride_h = int(layer[12])
    stride_w = int(layer[13])
    dilation_h = int(layer[14])
    dilation_w = int(layer[15])
    left = int(layer[17])
    padding = int(layer[18])
    weights = int(w)
    image = int(x)
    step = dilation_w * channels
    row = total // out_w
    j = total - row * out_w
    u = row * stride_h - int(layer[16])
    v = j * stride_w - left
    while pixels:
        # the taps inside of the image: from (first_h, first_w) to before (last_h, last_w)
        first_h = 0
        while u + first_h * dilation_h < 0 and first_h < kernel_h:
            first_h += 1
        last_h = kernel_h
        while last_h > first_h and u + (last_h - 1) * dilation_h >= height:
            last_h -= 1
        first_w = 0
        while v + first_w * dilation_w < 0 and first_w < kernel_w:
            first_w += 1
        last_w = kernel_w
        while last_w > first_w and v + (last_w - 1) * dilation_w >= width:
            last_w -= 1
        count = last_w - first_w
        partial = (last_h - first_h) * count - kernel_h * kernel_w
        w_first = weights + (first_h * kernel_w + first_w) * outputs
        w_step = (kernel_w - count) * outputs
        x_first = image + ((u + first_h * dilation_h) * width + v + first_w * dilation_w) * channels
        x_step = dilation_h * width * channels - count * step
        channel = per_channel
        n = 0
        while n < outputs:
            total = 0
            if partial:
                w = ptr8(weights + n)
                row = 0
                while row < kernel_h:
                    i = 0
                    while i < kernel_w:
                        if row < first_h or row >= last_h or i < first_w or i >= last_w:
                            total += w[0] - 128
                        w = ptr8(int(w) + outputs)
                        i += 1
                    row += 1
                total *= padding
            w = ptr8(w_first + n)
            x = ptr8(x_first)
            row = last_h - first_h
            while row:
                if count == 3:
                    total += (w[0] - 128) * (x[0] ^ 128)
                    w = ptr8(int(w) + outputs)
                    x = ptr8(int(x) + step)
                    total += (w[0] - 128) * (x[0] ^ 128)
                    w = ptr8(int(w) + outputs)
                    x = ptr8(int(x) + step)
                    total += (w[0] - 128) * (x[0] ^ 128)
                    w = ptr8(int(w) + outputs)
                    x = ptr8(int(x) + step)
                else:
                    i = count
                    while i:
                        total += (w[0] - 128) * (x[0] ^ 128)
                        w = ptr8(int(w) + outputs)
                        x = ptr8(int(x) + step)
                        i -= 1
                w = ptr8(int(w) + w_step)
                x = ptr8(int(x) + x_step)
                row -= 1
            i = n << 1
            sums[0] = total + bias[i] + (((bias[i + 1] ^ 32768) - 32768) << 16)
            sums = ptr32(int(sums) + 4)
            channel -= 1
            if channel == 0:
                channel = per_channel
                x_first += 1
            n += 1
        j += 1
        v += stride_w
        if j == out_w:
            j = 0
            v = 0 - left
            u += stride_h
        pixels -= 1
