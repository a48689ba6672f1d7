"""Convolutions in plain Python."""

from .arithmetic import int32_at, requantise


def conv(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """y[i, j, origin + n] = clamp(requantise(sum(x * weights[n]) + bias[n]) + zero_y), padding is zero_x.

    x: [H, W, C]. weights: [N, KH, KW, C]. y: [OH, OW, P], P >= N.
    Shapes: tuples of 4, origin: array of one number.
    """
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, _ = weights_shape
    _, out_h, out_w, pitch = y_shape
    outputs = len(bias) // 4
    offset, flip = (128, 0) if form else (0, 128)

    def run():
        target = origin[0]
        for i in range(out_h):
            for j in range(out_w):
                position = 0
                for n in range(outputs):
                    total = int32_at(bias, n)
                    for row in range(kernel_h):
                        u = i * stride_h - top + row * dilation_h
                        for column in range(kernel_w):
                            v = j * stride_w - left + column * dilation_w
                            if 0 <= u < height and 0 <= v < width:
                                start = (u * width + v) * channels
                                for c in range(start, start + channels):
                                    total += (x[c] + offset) * ((weights[position] ^ flip) - 128)
                                    position += 1
                            else:
                                for _ in range(channels):
                                    total += (zero_x + offset) * ((weights[position] ^ flip) - 128)
                                    position += 1
                    value = requantise(total, int32_at(multipliers, n), int32_at(shifts, n)) + zero_y
                    y[target + n] = low if value < low else high if value > high else value
                target += pitch

    return run


def depthwise(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """As ``conv``, where output channel n reads input channel n //
    M alone. weights: [1, KH, KW, N]. origin is 0."""
    _, height, width, channels = x_shape
    _, kernel_h, kernel_w, outputs = weights_shape
    _, out_h, out_w, _ = y_shape
    per_channel = outputs // channels
    offset, flip = (128, 0) if form else (0, 128)

    def run():
        target = 0
        for i in range(out_h):
            for j in range(out_w):
                for n in range(outputs):
                    total = int32_at(bias, n)
                    position = n
                    for row in range(kernel_h):
                        u = i * stride_h - top + row * dilation_h
                        for column in range(kernel_w):
                            v = j * stride_w - left + column * dilation_w
                            value = zero_x
                            if 0 <= u < height and 0 <= v < width:
                                value = x[(u * width + v) * channels + n // per_channel]
                            total += (value + offset) * ((weights[position] ^ flip) - 128)
                            position += outputs
                    value = requantise(total, int32_at(multipliers, n), int32_at(shifts, n)) + zero_y
                    y[target] = low if value < low else high if value > high else value
                    target += 1

    return run
