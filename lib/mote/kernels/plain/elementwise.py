"""Ops on single values in plain Python: sums and products with broadcasting, tables, floats."""

from struct import pack_into

from ...quantise import product_bits
from .arithmetic import requantise

_ADD_SHIFT = 20


def add(
    a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y,
    sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
):  # fmt: skip
    """y = clamp(requantise(requantise(a) + sign * requantise(b)) +
    zero_y). a0 to b3: steps in elements. y: 4 dimensions."""

    def run():
        target = 0
        for i in range(y_shape[0]):
            for j in range(y_shape[1]):
                for k in range(y_shape[2]):
                    p = i * a0 + j * a1 + k * a2
                    q = i * b0 + j * b1 + k * b2
                    for _ in range(y_shape[3]):
                        value = requantise((a[p] - zero_a) << _ADD_SHIFT, multiplier_a, shift_a)
                        value += sign * requantise((b[q] - zero_b) << _ADD_SHIFT, multiplier_b, shift_b)
                        value = requantise(value, multiplier_y, shift_y) + zero_y
                        y[target] = low if value < low else high if value > high else value
                        target += 1
                        p += a3
                        q += b3

    return run


def mul(
    a, b, y, zero_a, zero_b, zero_y, multiplier, shift, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape
):  # fmt: skip
    """y = clamp(requantise((a - zero_a) * (b - zero_b)) + zero_y). Steps as in ``add``."""

    def run():
        target = 0
        for i in range(y_shape[0]):
            for j in range(y_shape[1]):
                for k in range(y_shape[2]):
                    p = i * a0 + j * a1 + k * a2
                    q = i * b0 + j * b1 + k * b2
                    for _ in range(y_shape[3]):
                        value = requantise((a[p] - zero_a) * (b[q] - zero_b), multiplier, shift) + zero_y
                        y[target] = low if value < low else high if value > high else value
                        target += 1
                        p += a3
                        q += b3

    return run


def lookup(x, table, y):
    """y = table[x as an unsigned byte]. table: 256 bytes, int8 in two's complement."""

    def run():
        for i in range(len(x)):
            value = table[x[i] & 255]
            y[i] = value - 256 if value > 127 else value

    return run


def dequantize(x, y, scale, zero_point):
    """y = (x - zero_point) * scale, float32. y: 4 * len(x) bytes. scale: float32 bits."""
    results = bytearray(1024)  # of every x; in integers, for CircuitPython's floats have 30 bits
    for value in range(-128, 128):
        pack_into("<I", results, 4 * (value & 255), product_bits(value - zero_point, scale))

    def run():
        for i in range(len(x)):
            for k in range(4):
                byte = results[4 * (x[i] & 255) + k]
                y[4 * i + k] = byte - 256 if byte > 127 else byte

    return run
