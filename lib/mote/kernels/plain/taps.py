"""Depthwise convolutions whose weights stand channel by channel, in plain Python."""

from .finish import finisher


def taps(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
):  # fmt: skip
    """As ``products``, where output channel n reads input channel n // M alone. weights: int8 [N, KH * KW].
    origin is 0."""
    _, height, width, channels = x_shape
    _, out_h, out_w, outputs = y_shape
    per_channel = outputs // channels
    finish = finisher(bias, multipliers, shifts, zero_y, low, high)

    def run():
        target = 0
        for i in range(out_h):
            for j in range(out_w):
                position = 0
                for n in range(outputs):
                    total = 0
                    for row in range(kernel_h):
                        u = i * stride_h - top + row * dilation_h
                        for column in range(kernel_w):
                            v = j * stride_w - left + column * dilation_w
                            value = zero_x
                            if 0 <= u < height and 0 <= v < width:
                                value = x[(u * width + v) * channels + n // per_channel]
                            total += value * ((weights[position] ^ 128) - 128)
                            position += 1
                    y[target] = finish(total, n)
                    target += 1

    return run
