"""The kernel in plain Python: runs everywhere, and is the text that the fast ones are compared with.

Arithmetic: TensorFlow Lite Micro's int8 reference kernels (gemmlowp fixed point, two roundings).
"""

from struct import unpack_from

NAME = "plain"
WEIGHT_FORMS = (0, 1)


def requantise(value, multiplier, shift):
    """Return value * multiplier * 2^(shift - 31): a rounding doubling high multiply, then a rounding right
    shift."""
    if shift > 0:
        value <<= shift
    value = (value * multiplier + 0x40000000) >> 31
    return _rounding_shift(value, -shift) if shift < 0 else value


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form):
    """y[n] = clamp(requantise(sum(x * weights[n]) + bias[n]) + zero_point). x: [K]. weights: [N, K]. y:
    [N]."""

    def run():
        position = 0
        for row in range(len(y)):
            total = unpack_from("<i", bias, 4 * row)[0]
            if form:
                for value in x:
                    total += (value + 128) * (weights[position] - 128)
                    position += 1
            else:
                for value in x:
                    weight = weights[position]
                    total += value * (weight - 256 if weight > 127 else weight)
                    position += 1
            multiplier = unpack_from("<i", multipliers, 4 * row)[0]
            value = requantise(total, multiplier, unpack_from("<i", shifts, 4 * row)[0]) + zero_point
            y[row] = low if value < low else high if value > high else value

    return run


def softmax(x, y, multiplier, shift, difference):
    """Int8 softmax over all of x, output scale 1/256 and zero point -128 (gemmlowp exp and reciprocal)."""

    def run():
        largest = max(x)
        total = 0
        powers = []
        for value in x:
            power = 0
            if value - largest >= difference:
                power = _exponential(_high((value - largest) << shift, multiplier))
                total += _rounding_shift(power, 12)
            powers.append(power)
        reciprocal, bits = _reciprocal(total)
        for i, power in enumerate(powers):
            result = -128
            if power:
                result += _rounding_shift(_high(reciprocal, power), bits + 23)
            y[i] = 127 if result > 127 else result

    return run


def _high(a, b):
    """Saturating rounding doubling high multiply of two int32."""
    if a == b == -0x80000000:
        return 0x7FFFFFFF
    return (a * b + 0x40000000) >> 31


def _rounding_shift(value, shift):
    """Divide by 2^shift, ties away from zero."""
    return value if shift == 0 else (value + (1 << (shift - 1)) - (value < 0)) >> shift


# exp(-2^k) in Q31 for k = -2 to 4 (gemmlowp, fixedpoint.h)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exponential(a):
    """exp(a) in Q31 for a <= 0 in Q26."""
    if a == 0:
        return 0x7FFFFFFF
    remainder = (a & 0xFFFFFF) - 0x1000000  # in [-1/4, 0)
    x = (remainder << 5) + 0x10000000
    x2 = _high(x, x)
    x3 = _high(x2, x)
    x4 = _high(x2, x2)
    y = _rounding_shift(_high(_rounding_shift(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + _high(1895147668, x + y)
    a = remainder - a
    for bit, power in enumerate(_POWERS):
        if a & (1 << (24 + bit)):
            result = _high(result, power)
    return result


def _reciprocal(total):
    """Return (1 / total in Q31, number of integer bits): three Newton steps from 48/17 - 32/17 x."""
    bits = 0
    while total < 0x80000000:
        total <<= 1
        bits += 1
    half = (total + 0x7FFFFFFF - 0x80000000 + 1) >> 1
    x = 1515870810 + _high(half, -1010580540)
    for _ in range(3):
        step = _high(x, 0x20000000 - _high(half, x)) << 2
        x += max(-0x80000000, min(0x7FFFFFFF, step))
    return max(-0x80000000, min(0x7FFFFFFF, x << 1)), 12 - bits


def affine(weights, bias, x, y):
    """y = weights x + bias, all float32. x: [K]. weights: [N * K]. y: [N]."""
    position = 0
    for row in range(len(y)):
        total = bias[row]
        for value in x:
            total += weights[position] * value
            position += 1
        y[row] = total


def affine_backward(weights, x, slope, weights_slope, bias_slope, x_slope):
    """Add the slopes of one sample. slope: [N], of the loss by y. x_slope: [K], overwritten, or None where
    not needed."""
    count = len(x)
    if x_slope is not None:
        for k in range(count):
            x_slope[k] = 0.0
    position = 0
    for row in range(len(slope)):
        factor = slope[row]
        bias_slope[row] += factor
        for k in range(count):
            weights_slope[position] += factor * x[k]
            if x_slope is not None:
                x_slope[k] += factor * weights[position]
            position += 1


def descend(values, slopes, rate, decay):
    """values -= rate * (slopes + decay * values); slopes = 0."""
    for i in range(len(values)):
        values[i] -= rate * (slopes[i] + decay * values[i])
        slopes[i] = 0.0
