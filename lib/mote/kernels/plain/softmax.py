"""Softmax in plain Python."""

from .arithmetic import high, rounding_shift


def softmax(x, y, multiplier, shift, difference, depth):
    """Int8 softmax over rows of ``depth`` values, output scale
    1/256, zero point -128 (gemmlowp exp, reciprocal)."""
    rows = len(x) // depth
    powers = [0] * depth  # big integers cost a board too much to compute them twice

    def run():
        for row in range(rows):
            start = row * depth
            largest = x[start]
            for i in range(start, start + depth):
                if x[i] > largest:
                    largest = x[i]
            total = 0
            for i in range(depth):
                powers[i] = 0
                if x[start + i] - largest >= difference:
                    powers[i] = _exponential(high((x[start + i] - largest) << shift, multiplier))
                    total += rounding_shift(powers[i], 12)
            bits = 34
            while total < 0x40000000:
                total <<= 1
                bits -= 1
            reciprocal = _reciprocal(total)
            for i in range(depth):
                result = -128
                if powers[i]:
                    result += rounding_shift(high(reciprocal, powers[i]), bits)
                y[start + i] = 127 if result > 127 else result

    return run


# exp(-2^k) in Q31 for k = -2 to 4 (gemmlowp, fixedpoint.h)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exponential(a):
    """exp(a) in Q31 for a <= 0 in Q26."""
    if a == 0:
        return 0x7FFFFFFF
    remainder = (a & 0xFFFFFF) - 0x1000000  # in [-1/4, 0)
    x = (remainder << 5) + 0x10000000
    x2 = high(x, x)
    x3 = high(x2, x)
    x4 = high(x2, x2)
    y = rounding_shift(high(rounding_shift(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + high(1895147668, x + y)
    a = remainder - a
    for bit in range(len(_POWERS)):
        if a & (1 << (24 + bit)):
            result = high(result, _POWERS[bit])
    return result


def _reciprocal(half):
    """1 / half of a number in [1, 2), in Q31: three Newton steps from 48/17 - 32/17 x."""
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        step = high(x, 0x20000000 - high(half, x)) << 2
        x += max(-0x80000000, min(0x7FFFFFFF, step))
    return max(-0x80000000, min(0x7FFFFFFF, x << 1))
