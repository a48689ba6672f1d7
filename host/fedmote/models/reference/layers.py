"""Dense layers and softmax in numpy."""

from typing import Any

import numpy as np

from fedmote.models.reference.arithmetic import (
    Integers,
    Origin,
    Run,
    high,
    int8s,
    int32s,
    requantiser,
    rounding_shift,
    weights_of,
)


def dense(
    x: memoryview,
    weights: memoryview,
    bias: memoryview,
    multipliers: memoryview,
    shifts: memoryview,
    y: memoryview,
    zero_point: int,
    low: int,
    high_: int,
    form: int,
    pitch: int,
    origin: Origin,
) -> Run:
    """y[b, origin + n] = clamp(requantise(sum(x[b] * weights[n]) + bias[n]) + zero_point).

    x: [B * K]. weights: [N, K]. y: [B * pitch].
    """
    constant = int32s(bias)
    requantise = requantiser(int32s(multipliers), int32s(shifts))
    outputs = len(constant)
    columns = len(weights) // outputs
    flat, offset = weights_of(weights, form, columns)
    matrix = flat.reshape(outputs, columns).T
    source, target = int8s(x).reshape(-1, columns), int8s(y).reshape(-1, pitch)

    def run() -> None:
        total = (source.astype(matrix.dtype) + offset) @ matrix
        value = requantise(total.astype(np.int64) + constant) + zero_point
        target[:, origin[0] : origin[0] + outputs] = value.clip(low, high_)

    return run


def softmax(x: memoryview, y: memoryview, multiplier: int, shift: int, difference: int, depth: int) -> Run:
    """Int8 softmax over rows of ``depth`` values, output scale 1/256 and zero point -128."""
    source, target = int8s(x).reshape(-1, depth), int8s(y).reshape(-1, depth)

    def run() -> None:
        off = source.astype(np.int64) - source.max(axis=1, keepdims=True)
        counts = off >= difference
        power = _exponential(high(np.where(counts, off, 0) << shift, multiplier))
        total = np.where(counts, rounding_shift(power, 12), 0).sum(axis=1, keepdims=True)
        reciprocal, bits = _reciprocal(total)
        value = rounding_shift(high(power, reciprocal), bits + 23) - 128
        target[:] = np.where(counts, value, -128).clip(-128, 127)

    return run


# exp(-2^k) in Q31 for k = -2 to 4 (gemmlowp, fixedpoint.h)
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883


def _exponential(a: Integers) -> Integers:
    """exp(a) in Q31 for a <= 0 in Q26."""
    remainder = (a & 0xFFFFFF) - 0x1000000  # in [-1/4, 0)
    x = (remainder << 5) + (1 << 28)
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    tail = rounding_shift(high(rounding_shift(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_MINUS_EIGHTH + high(x + tail, _EXP_MINUS_EIGHTH)
    for bit, power in enumerate(_POWERS):
        result = np.where((remainder - a) >> (24 + bit) & 1, high(result, power), result)
    return np.where(a == 0, 0x7FFFFFFF, result)


def _reciprocal(total: Integers) -> tuple[Integers, Integers]:
    """Return (1 / total in Q31, number of integer bits) of sums in Q12.19: three Newton steps from 48/17 -
    32/17 x."""
    bits = np.maximum(32 - np.frexp(total.astype(np.float64))[1].astype(np.int64), 0)
    half = ((total << bits) + 0x7FFFFFFF - 0x80000000 + 1) >> 1
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x = x + _saturated(high(x, (1 << 29) - high(half, x)) << 2)
    return _saturated(x << 1), 12 - bits


def _saturated(value: Any) -> Any:
    return np.clip(value, -0x80000000, 0x7FFFFFFF)
