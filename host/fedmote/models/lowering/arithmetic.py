"""TensorFlow Lite Micro's fixed-point arithmetic on single integers, for what is computed ahead of time."""

import math
from collections.abc import Callable

import numpy as np

from mote import quantise

LOW, HIGH = -128, 127
_ONE = 0x7FFFFFFF  # 1 in Q31
_TINY = float(np.finfo(np.float32).tiny)


def multiplier_of(real: float) -> tuple[int, int]:
    """Return (multiplier, shift) of a factor >= 0, as `QuantizeMultiplier` rounds it. Raises ValueError."""
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    return _bounded(multiplier, shift)


def factor_of(x_scale: float, w_scale: float, y_scale: float) -> tuple[int, int]:
    """Return (multiplier, shift) of ``x_scale * w_scale / y_scale``, float32 values; 0 where w_scale is.

    The product is that of doubles. Raises ValueError.
    """
    product = x_scale * w_scale
    if min(x_scale, w_scale, y_scale, product) < _TINY:
        if y_scale <= 0 or not product >= 0:
            raise ValueError(f"scales {x_scale:g}, {w_scale:g} and {y_scale:g} give no factor")
        return multiplier_of(product / y_scale)
    bits = [quantise.bits_of(scale) for scale in (x_scale, w_scale, y_scale)]
    multiplier, shift = quantise.multiplier_of(*bits)
    return _bounded(multiplier, shift)


def activation_range(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Return the (low, high) that a fused activation clamps an int8 output to. Raises ValueError."""
    if activation not in _RANGES:
        raise ValueError(f"the fused activation {activation} is not supported, only {', '.join(_RANGES)}")
    low, high = _RANGES[activation]
    return (
        LOW if low is None else max(LOW, zero_point + rounded_ratio(low, scale)),
        HIGH if high is None else min(HIGH, zero_point + rounded_ratio(high, scale)),
    )


def rounded_ratio(value: float, scale: float) -> int:
    """Return value / scale in float32, rounded half away from zero. Raises ValueError for a scale near 0."""
    ratio = float(np.float32(value) / np.float32(scale)) if scale >= _TINY else math.inf
    if not abs(ratio) < 1 << 31:
        raise ValueError(f"scale {scale:g} is too small for the value {value:g}")
    return math.floor(ratio + 0.5) if ratio >= 0 else -math.floor(0.5 - ratio)


def clamp(value: int, low: int = LOW, high: int = HIGH) -> int:
    """Return the value, or the bound that it exceeds."""
    return max(low, min(high, value))


def requantise(value: int, multiplier: int, shift: int) -> int:
    """Return value * multiplier * 2^(shift - 31), with a rounding of each of both steps."""
    return rounding_shift(high(value << max(shift, 0), multiplier), max(-shift, 0))


def high(a: int, b: int) -> int:
    """Rounding doubling high multiply of two int32, saturating."""
    return min(a * b + (1 << 30) >> 31, _ONE)


def rounding_shift(value: int, shift: int) -> int:
    """Divide by 2^shift, halves away from zero."""
    return value if shift == 0 else value + (1 << shift - 1) - (value < 0) >> shift


def logistic(a: int) -> int:
    """Return 1 / (1 + exp(-a)) in Q31, of a in Q27 (4 integer bits)."""
    if a == 0:
        return 1 << 30
    positive = _saturated(_inverse(_exponential(-abs(a), 4)) << 1)
    return positive if a > 0 else _ONE - positive


def tanh(a: int) -> int:
    """Return tanh(a) in Q31, of a in Q27 (4 integer bits)."""
    if a == 0:
        return 0
    size = _saturated(_inverse(_exponential(-abs(a), 5)) - (1 << 29) << 2)
    return size if a > 0 else -size


def input_radius(left_shift: int, integer_bits: int) -> int:
    """Return the distance from the zero point at which an input has more than so many integer bits."""
    return ((1 << integer_bits) - 1 << 31 - integer_bits) >> left_shift


def table_of(function: Callable[[int], int], low: int = LOW) -> bytes:
    """Return a LOOKUP table: the function's values of ``low`` to ``low + 255``, by the argument's byte."""
    table = bytearray(256)
    for value in range(low, low + 256):
        table[value & 255] = function(value) & 255
    return bytes(table)


_RANGES: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0, None),
    "RELU6": (0, 6),
    "RELU_N1_TO_1": (-1, 1),
}

# exp(-2^k) in Q31 for k = -2 to 4 (gemmlowp, fixedpoint.h)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exponential(a: int, integer_bits: int) -> int:
    """Return exp(a) in Q31, of a <= 0 with so many integer bits, 4 or 5."""
    if a == 0:
        return _ONE
    quarter = 1 << 29 - integer_bits
    remainder = (a & quarter - 1) - quarter  # in [-1/4, 0)
    x = (remainder << integer_bits) + (1 << 28)
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    tail = rounding_shift(high(rounding_shift(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + high(1895147668, x + tail)
    for power, factor in enumerate(_POWERS[: integer_bits + 2]):
        if (remainder - a) & (quarter << power):
            result = high(result, factor)
    return result


def _inverse(a: int) -> int:
    """Return 2 / (1 + a) in Q29, of a in Q31 from 0 to 1: three Newton steps from 48/17 - 32/17 x."""
    half = a + _ONE + 1 >> 1
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x += _saturated(high(x, (1 << 29) - high(half, x)) << 2)
    return x


def _saturated(value: int) -> int:
    return clamp(value, -_ONE - 1, _ONE)


def _bounded(multiplier: int, shift: int) -> tuple[int, int]:
    """Return the pair, 0 where it is below 2^-32. Raises ValueError where int32 cannot be shifted so far."""
    if shift > 30:
        raise ValueError("a factor of 2^30 or more between scales cannot be computed")
    return (0, 0) if shift < -31 else (multiplier, shift)
