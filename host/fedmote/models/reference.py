"""The kernel in numpy: the oracle of tests and the fast kernel of simulations on the host. No board runs it.

The contract is that of lib/mote/kernels; the int8 arithmetic is TensorFlow Lite Micro's (gemmlowp fixed
point).
"""

from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

NAME = "reference"
WEIGHT_FORMS = (0, 1)
LOOKS_ONCE = True

Buffer: TypeAlias = "memoryview | array[float]"  # a string: array is no generic class before Python 3.12
Integers = NDArray[np.int64]


def dense(
    x: memoryview,
    weights: memoryview,
    bias: memoryview,
    multipliers: memoryview,
    shifts: memoryview,
    y: memoryview,
    zero_point: int,
    low: int,
    high: int,
    form: int,
    pitch: int,
    origin: "array[int]",
) -> Callable[[], None]:
    """y[n] = clamp(requantise(sum(x * weights[n]) + bias[n]) + zero_point). x: [K]. weights: [N, K]. y:
    [N]."""
    source, target = np.frombuffer(x, np.int8), np.frombuffer(y, np.int8)
    stored = np.frombuffer(weights, np.uint8).reshape(len(target), len(source))
    # Sums of int8 products are exact in float64, and its matrix product is the fast one.
    matrix = (stored ^ 128 if form else stored).view(np.int8).astype(np.float64)
    constant, factor, shift = (
        np.frombuffer(view, "<i4").astype(np.int64) for view in (bias, multipliers, shifts)
    )
    offset = 128.0 if form else 0.0
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)

    def run() -> None:
        total = (matrix @ (source + offset)).astype(np.int64) + constant
        value = _rounding_shift(_high(total << left, factor), right) + zero_point
        target[:] = value.clip(low, high)

    return run


def softmax(
    x: memoryview, y: memoryview, multiplier: int, shift: int, difference: int, depth: int
) -> Callable[[], None]:
    """Int8 softmax over all of x, output scale 1/256 and zero point -128."""
    source, target = np.frombuffer(x, np.int8), np.frombuffer(y, np.int8)

    def run() -> None:
        off = source.astype(np.int64) - int(source.max())
        counts = off >= difference
        power = _exponential(_high(off[counts] << shift, multiplier))
        reciprocal, bits = _reciprocal(int(_rounding_shift(power, 12).sum()))
        target[:] = -128
        target[counts] = (_rounding_shift(_high(power, reciprocal), bits + 23) - 128).clip(-128, 127)

    return run


def affine(weights: Buffer, bias: Buffer, x: Buffer, y: Buffer) -> None:
    """y = weights x + bias, all float32. x: [K]. weights: [N * K]. y: [N]."""
    target = _floats(y)
    np.matmul(_floats(weights).reshape(len(y), len(x)), _floats(x), out=target)
    target += _floats(bias)


def affine_backward(
    weights: Buffer,
    x: Buffer,
    slope: Buffer,
    weights_slope: Buffer,
    bias_slope: Buffer,
    x_slope: "Buffer | None",
) -> None:
    """Add the slopes of one sample. slope: [N], of the loss by y. x_slope: [K], overwritten, or None where
    not needed."""
    above = _floats(slope)
    shape = len(slope), len(x)
    _floats(weights_slope).reshape(shape)[:] += above[:, None] * _floats(x)
    _floats(bias_slope)[:] += above
    if x_slope is not None:
        np.matmul(above, _floats(weights).reshape(shape), out=_floats(x_slope))


def descend(values: Buffer, slopes: Buffer, rate: float, decay: float) -> None:
    """values -= rate * (slopes + decay * values); slopes = 0."""
    to, by = _floats(values), _floats(slopes)
    to -= np.float32(rate) * (by + np.float32(decay) * to)
    by[:] = 0


def _floats(buffer: Any) -> NDArray[np.float32]:
    return np.frombuffer(buffer, np.float32)


def _high(a: Any, b: Any) -> Any:
    """Rounding doubling high multiply of int32 in int64. No operand pair here is twice -2^31, the one case
    that saturates."""
    return (a * b + (1 << 30)) >> 31


def _rounding_shift(value: Integers, shift: Any) -> Integers:
    """Divide by 2^shift, ties away from zero."""
    mask = (np.int64(1) << shift) - 1
    return (value >> shift) + ((value & mask) > (mask >> 1) + (value < 0))


# exp(-2^k) in Q31 for k = -2 to 4 (gemmlowp, fixedpoint.h)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883


def _exponential(a: Integers) -> Integers:
    """exp(a) in Q31 for a <= 0 in Q26."""
    remainder = (a & 0xFFFFFF) - 0x1000000  # in [-1/4, 0)
    x = (remainder << 5) + (1 << 28)
    x2 = _high(x, x)
    x3, x4 = _high(x2, x), _high(x2, x2)
    tail = _rounding_shift(_high(_rounding_shift(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_MINUS_EIGHTH + _high(x + tail, _EXP_MINUS_EIGHTH)
    for bit, power in enumerate(_POWERS):
        result = np.where((remainder - a) >> (24 + bit) & 1, _high(result, power), result)
    return np.where(a == 0, 0x7FFFFFFF, result)


def _reciprocal(total: int) -> tuple[int, int]:
    """Return (1 / total in Q31, number of integer bits) of a sum in Q12.19: three Newton steps from 48/17 -
    32/17 x."""
    bits = 32 - total.bit_length()
    half = ((total << bits) + 0x7FFFFFFF - 0x80000000 + 1) >> 1
    x = 1515870810 + _high(half, -1010580540)
    for _ in range(3):
        x += _saturated(_high(x, (1 << 29) - _high(half, x)) << 2)
    return _saturated(x << 1), 12 - bits


def _saturated(value: int) -> int:
    return max(-0x80000000, min(0x7FFFFFFF, value))
