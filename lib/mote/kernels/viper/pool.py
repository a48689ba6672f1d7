"""Pooling and means in viper."""

from array import array

import micropython

from .arithmetic import requantised


def average_pool(
    x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape
):  # fmt: skip
    """See ``plain.average_pool``."""
    return _pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape, 1)


def max_pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape):
    """See ``plain.max_pool``."""
    return _pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape, 0)


def _pool(
    x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape, is_mean
):  # fmt: skip
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape
    numbers = (
        is_mean, max(low, -128) + 128, min(high, 127) + 128, kernel_h, kernel_w, stride_h, stride_w,
        top, left, height, width, channels, out_h, out_w,
    )  # fmt: skip
    numbers = array("i", numbers)

    def run():
        _reduce(x, 0, y, numbers)

    return run


@micropython.viper
def _reduce(x: ptr8, total: int, y: ptr8, numbers: ptr32):
    is_mean = numbers[0]
    low = numbers[1]
    high = numbers[2]
    kernel_h = numbers[3]
    kernel_w = numbers[4]
    stride_h = numbers[5]
    stride_w = numbers[6]
    top = numbers[7]
    left = numbers[8]
    height = numbers[9]
    width = numbers[10]
    channels = numbers[11]
    out_h = numbers[12]
    out_w = numbers[13]
    image = int(x)
    i = 0
    while i < out_h:
        # the part of the window inside of the image
        first_u = i * stride_h - top
        rows = first_u + kernel_h
        if rows > height:
            rows = height
        if first_u < 0:
            first_u = 0
        rows -= first_u
        j = 0
        while j < out_w:
            first_v = j * stride_w - left
            columns = first_v + kernel_w
            if columns > width:
                columns = width
            if first_v < 0:
                first_v = 0
            columns -= first_v
            size = rows * columns
            window = image + (first_u * width + first_v) * channels
            step = (width - columns) * channels
            c = 0
            while c < channels:
                x = ptr8(window + c)
                total = 0
                row = rows
                while row:
                    column = columns
                    if is_mean:
                        while column:
                            total += x[0] ^ 128
                            x = ptr8(int(x) + channels)
                            column -= 1
                    else:
                        while column:
                            if x[0] ^ 128 > total:
                                total = x[0] ^ 128
                            x = ptr8(int(x) + channels)
                            column -= 1
                    x = ptr8(int(x) + step)
                    row -= 1
                if is_mean:
                    total -= size << 7
                    half = size >> 1
                    if total > 0:
                        total = (total + half) // size
                    else:
                        total = 0 - (half - total) // size
                    total += 128
                if total < low:
                    total = low
                if total > high:
                    total = high
                y[0] = total ^ 128
                y = ptr8(int(y) + 1)
                c += 1
            j += 1
        i += 1


def mean(x, y, outer, count, inner, zero_x, zero_y, multiplier, shift):
    """See ``plain.mean``."""
    numbers = array("i", (count, inner, zero_x + 128))

    def add_up(start, many, sums):
        _add_up(x, start, many, sums, numbers)

    return requantised(add_up, outer * inner, multiplier, shift, y, zero_y, -128, 127)


@micropython.viper
def _add_up(x: ptr8, total: int, left: int, sums: ptr32, numbers: ptr32):
    count = numbers[0]
    inner = numbers[1]
    zero = numbers[2]
    o = total // inner
    i = total - o * inner
    image = int(x)
    while left:
        x = ptr8(image + o * count * inner + i)
        total = 0
        c = count
        while c:
            total += (x[0] ^ 128) - zero
            x = ptr8(int(x) + inner)
            c -= 1
        sums[0] = total
        sums = ptr32(int(sums) + 4)
        i += 1
        if i == inner:
            i = 0
            o += 1
        left -= 1
