"""Pooling and means in plain Python."""

from .arithmetic import requantise


def average_pool(
    x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape
):  # fmt: skip
    """Mean over the part of each window inside of x, halves away
    from zero, clamped. x: [H, W, C]. y: [OH, OW, C]."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape

    def run():
        target = 0
        for i in range(out_h):
            first_u = max(i * stride_h - top, 0)
            last_u = min(i * stride_h - top + kernel_h, height)
            for j in range(out_w):
                first_v = max(j * stride_w - left, 0)
                last_v = min(j * stride_w - left + kernel_w, width)
                count = (last_u - first_u) * (last_v - first_v)
                for c in range(channels):
                    total = 0
                    for u in range(first_u, last_u):
                        for v in range(first_v, last_v):
                            total += x[(u * width + v) * channels + c]
                    if total > 0:
                        value = (total + count // 2) // count
                    else:
                        value = -((count // 2 - total) // count)
                    y[target] = low if value < low else high if value > high else value
                    target += 1

    return run


def max_pool(x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape):
    """Largest value of the part of each window inside of x, clamped. x: [H, W, C]. y: [OH, OW, C]."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape

    def run():
        target = 0
        for i in range(out_h):
            first_u = max(i * stride_h - top, 0)
            last_u = min(i * stride_h - top + kernel_h, height)
            for j in range(out_w):
                first_v = max(j * stride_w - left, 0)
                last_v = min(j * stride_w - left + kernel_w, width)
                for c in range(channels):
                    value = -128
                    for u in range(first_u, last_u):
                        for v in range(first_v, last_v):
                            if x[(u * width + v) * channels + c] > value:
                                value = x[(u * width + v) * channels + c]
                    y[target] = low if value < low else high if value > high else value
                    target += 1

    return run


def mean(x, y, outer, count, inner, zero_x, zero_y, multiplier, shift):
    """y[o, i] = clamp(requantise(sum over c of x[o, c, i] - count * zero_x) + zero_y)."""

    def run():
        for o in range(outer):
            for i in range(inner):
                total = -count * zero_x
                for c in range(count):
                    total += x[(o * count + c) * inner + i]
                value = requantise(total, multiplier, shift) + zero_y
                y[o * inner + i] = -128 if value < -128 else 127 if value > 127 else value

    return run
