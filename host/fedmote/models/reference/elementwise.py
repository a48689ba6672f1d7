"""Ops on single values in numpy: sums and products with broadcasting, tables, floats."""

from struct import pack, unpack

import numpy as np

from fedmote.models.reference.arithmetic import Run, Shape, int8s, requantiser, strided

_ADD_SHIFT = 20


def add(
    a: memoryview,
    b: memoryview,
    y: memoryview,
    zero_a: int,
    zero_b: int,
    zero_y: int,
    multiplier_a: int,
    shift_a: int,
    multiplier_b: int,
    shift_b: int,
    multiplier_y: int,
    shift_y: int,
    sign: int,
    low: int,
    high: int,
    a0: int,
    a1: int,
    a2: int,
    a3: int,
    b0: int,
    b1: int,
    b2: int,
    b3: int,
    y_shape: Shape,
) -> Run:
    """y = clamp(requantise(requantise(a) + sign * requantise(b)) +
    zero_y). a0 to b3: steps in elements. y: 4 dimensions."""
    left = strided(int8s(a), 0, y_shape, (a0, a1, a2, a3))
    right = strided(int8s(b), 0, y_shape, (b0, b1, b2, b3))
    target = int8s(y).reshape(y_shape)
    # an operand has 256 values only
    every = np.arange(-128, 128)
    table_a = requantiser(multiplier_a, shift_a)((every - zero_a) << _ADD_SHIFT)
    table_b = sign * requantiser(multiplier_b, shift_b)((every - zero_b) << _ADD_SHIFT)
    requantise = requantiser(multiplier_y, shift_y)

    def run() -> None:
        total = table_a[left.astype(np.intp) + 128] + table_b[right.astype(np.intp) + 128]
        target[:] = (requantise(total) + zero_y).clip(low, high)

    return run


def mul(
    a: memoryview,
    b: memoryview,
    y: memoryview,
    zero_a: int,
    zero_b: int,
    zero_y: int,
    multiplier: int,
    shift: int,
    low: int,
    high: int,
    a0: int,
    a1: int,
    a2: int,
    a3: int,
    b0: int,
    b1: int,
    b2: int,
    b3: int,
    y_shape: Shape,
) -> Run:
    """y = clamp(requantise((a - zero_a) * (b - zero_b)) + zero_y). Steps as in ``add``."""
    left = strided(int8s(a), 0, y_shape, (a0, a1, a2, a3))
    right = strided(int8s(b), 0, y_shape, (b0, b1, b2, b3))
    target = int8s(y).reshape(y_shape)
    requantise = requantiser(multiplier, shift)

    def run() -> None:
        total = (left.astype(np.int64) - zero_a) * (right.astype(np.int64) - zero_b)
        target[:] = (requantise(total) + zero_y).clip(low, high)

    return run


def lookup(x: memoryview, table: memoryview, y: memoryview) -> Run:
    """y = table[x as an unsigned byte]. table: 256 bytes, int8 in two's complement."""
    source, values, target = np.frombuffer(x, np.uint8), int8s(table), int8s(y)

    def run() -> None:
        target[:] = values[source]

    return run


def dequantize(x: memoryview, y: memoryview, scale: int, zero_point: int) -> Run:
    """y = (x - zero_point) * scale, float32. y: 4 * len(x) bytes. scale: float32 bits."""
    (factor,) = unpack("<f", pack("<I", scale))
    source, target = int8s(x), np.frombuffer(y, "<f4")

    def run() -> None:
        target[:] = (source.astype(np.float64) - zero_point) * factor

    return run
