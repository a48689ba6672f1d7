"""What the families of the numpy kernel share: views of buffers, and gemmlowp's fixed point in int64."""

from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Buffer: TypeAlias = "memoryview | array[float]"  # a string: array is no generic class before Python 3.12
Origin: TypeAlias = "array[int]"
Run: TypeAlias = Callable[[], None]
Shape: TypeAlias = tuple[int, int, int, int]
Integers = NDArray[np.int64]

_INT32 = -(1 << 31), (1 << 31) - 1
_EXACT = 1 << 24  # float32 holds every integer up to here


def int8s(view: memoryview) -> NDArray[np.int8]:
    """Return the buffer as int8, of whatever format the view is."""
    return np.frombuffer(view, np.int8)


def int32s(view: memoryview) -> Integers:
    """Return int32 of the file as int64, where products have room."""
    return np.frombuffer(view, "<i4").astype(np.int64)


def weights_of(view: memoryview, form: int, longest: int) -> tuple[NDArray[Any], float]:
    """Return (weights as floats, flat; what to add to each int8 input) for a weight form.

    The floats are the shortest in which ``longest`` products and every sum of some of them are exact.
    """
    stored = np.frombuffer(view, np.uint8)
    offset = 128.0 if form else 0.0
    kind = np.float32 if longest * 128 * (128 + offset) <= _EXACT else np.float64
    return (stored ^ 128 if form else stored).view(np.int8).astype(kind), offset


def strided(values: NDArray[Any], start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> NDArray[Any]:
    """Return a view of flat values that begins at ``start`` and takes ``steps`` elements along each axis."""
    return as_strided(values[start:], shape, [step * values.itemsize for step in steps])


def requantiser(multiplier: Any, shift: Any) -> Callable[[Integers], Integers]:
    """Return f(value) = value * multiplier * 2^(shift - 31) with gemmlowp's two roundings.

    multiplier, shift: numbers or int64 arrays that broadcast to value. What a left shift takes out of int32
    is saturated: it ends in a clamp anyway.
    """
    left, right = np.maximum(shift, 0), np.clip(-np.asarray(shift), 0, 62)
    half, tie = (np.int64(1) << right) >> 1, right > 0
    shifts_left = bool(np.any(left))

    def requantise(value: Integers) -> Integers:
        if shifts_left:
            value = np.clip(value << left, *_INT32)
        value = high(value, multiplier)
        return (value + half - ((value < 0) & tie)) >> right  # ties away from zero

    return requantise


def high(a: Any, b: Any) -> Any:
    """Rounding doubling high multiply of int32 in int64. No operand pair here is twice -2^31, the one case
    that saturates."""
    return (a * b + (1 << 30)) >> 31


def rounding_shift(value: Integers, shift: Any) -> Integers:
    """Divide by 2^shift, ties away from zero."""
    mask = (np.int64(1) << shift) - 1
    return (value >> shift) + ((value & mask) > (mask >> 1) + (value < 0))
