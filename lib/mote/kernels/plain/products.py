"""Windows of an image times weights that stand in quads, in plain Python: convolutions and dense layers."""

from .finish import finisher


def products(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
):  # fmt: skip
    """y[i, j, origin + n] = finish(sum(x * weights[n])), padding is zero_x.

    x: [H, W, C]. weights: [N / 4, KH * KW * C, 4] + 128. y: [OH, OW, P]; what lies behind P is not written.
    window: for kernels that add in lanes. Shapes: tuples of 4, origin: array of one number.
    """
    _, height, width, channels = x_shape
    _, out_h, out_w, pitch = y_shape
    columns = kernel_h * kernel_w * channels
    rows = len(bias) // 4
    finish = finisher(bias, multipliers, shifts, zero_y, low, high)

    def run():
        target = origin[0]
        outputs = min(rows, pitch - target)
        for i in range(out_h):
            for j in range(out_w):
                for n in range(outputs):
                    total = 0
                    position = (n & ~3) * columns + (n & 3)
                    for row in range(kernel_h):
                        u = i * stride_h - top + row * dilation_h
                        for column in range(kernel_w):
                            v = j * stride_w - left + column * dilation_w
                            if 0 <= u < height and 0 <= v < width:
                                start = (u * width + v) * channels
                                for c in range(start, start + channels):
                                    total += x[c] * (weights[position] - 128)
                                    position += 4
                            else:
                                for _ in range(channels):
                                    total += zero_x * (weights[position] - 128)
                                    position += 4
                    y[target + n] = finish(total, n)
                target += pitch

    return run
