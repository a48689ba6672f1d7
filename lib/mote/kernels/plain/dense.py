"""Dense layers in plain Python."""

from .arithmetic import int32_at, requantise


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high_, form, pitch, origin):
    """y[b, origin + n] = clamp(requantise(sum(x[b] * weights[n]) + bias[n]) + zero_point).

    x: [B * K]. weights: [N, K]. y: [B * pitch]. origin: array of
    one number, where the block of N outputs begins.
    """
    outputs = len(bias) // 4
    columns = len(weights) // outputs
    rows = len(x) // columns
    offset, flip = (128, 0) if form else (0, 128)

    def run():
        for row in range(rows):
            start = row * columns
            target = row * pitch + origin[0]
            position = 0
            for n in range(outputs):
                total = int32_at(bias, n)
                for k in range(start, start + columns):
                    total += (x[k] + offset) * ((weights[position] ^ flip) - 128)
                    position += 1
                value = requantise(total, int32_at(multipliers, n), int32_at(shifts, n)) + zero_point
                y[target + n] = low if value < low else high_ if value > high_ else value

    return run
