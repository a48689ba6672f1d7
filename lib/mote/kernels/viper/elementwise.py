"""Ops on single values in viper: sums and products with broadcasting, tables."""

from array import array

import micropython

from .arithmetic import buffer_of, requantised
from .loops import merged


def add(
    a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y,
    sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
):  # fmt: skip
    """See ``plain.add``."""
    # both may be broadcast, but not alike: they share the loops
    loops = merged(*zip(y_shape, (a0, a1, a2, a3), (b0, b1, b2, b3)))
    return _combined(
        a, b, y, loops, (zero_a, multiplier_a, shift_a, 1), (zero_b, multiplier_b, shift_b, sign),
        multiplier_y, shift_y, zero_y, low, high,
    )  # fmt: skip


def mul(
    a, b, y, zero_a, zero_b, zero_y, multiplier, shift, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape
):  # fmt: skip
    """See ``plain.mul``."""
    loops = merged(*zip(y_shape, (a0, a1, a2, a3), (b0, b1, b2, b3)))
    return _combined(
        a, b, y, loops, (zero_a, 0, 0, 0), (zero_b, 0, 0, 0), multiplier, shift, zero_y, low, high
    )


def _combined(a, b, y, loops, of_a, of_b, multiplier, shift, zero_y, low, high):
    """Return run() for y = requantise(a combined with b). of_a, of_b: zero
    point, multiplier, shift and sign to add it, all but the first 0 to multiply."""
    sums, chunk = buffer_of(1, len(y))
    counts = [count for count, _, _ in loops]
    a_layer, b_layer = (
        (sums, array("i", (chunk, len(y), is_first, of[0] + 128, of[1]) + tuple(counts)), of[2], of[3])
        + tuple(loop[step] for loop in loops)
        for is_first, of, step in ((1, of_a, 1), (0, of_b, 2))
    )

    def add_up(start):
        _combine(a, start, a_layer)
        _combine(b, start, b_layer)

    return requantised(
        add_up, sums, chunk, len(y), 1, array("i", [multiplier]), array("i", [shift]), y, zero_y, low, high
    )


# sums = x, or sums + x rescaled, or sums * x
@micropython.viper
def _combine(x: ptr8, total: int, layer):
    sums = ptr32(layer[0])
    numbers = ptr32(layer[1])
    shift = int(layer[2])
    sign = int(layer[3])
    s0 = int(layer[4])
    s1 = int(layer[5])
    s2 = int(layer[6])
    s3 = int(layer[7])
    left = numbers[1] - total
    if left > numbers[0]:
        left = numbers[0]
    is_first = numbers[2]
    zero = numbers[3]
    factor_low = numbers[4] & 65535
    factor_high = numbers[4] >> 16
    n1 = numbers[6]
    n2 = numbers[7]
    n3 = numbers[8]
    # where the first element stands in the loops
    k = total // n3
    m = total - k * n3
    j = k // n2
    k -= j * n2
    i = j // n1
    j -= i * n1
    image = int(x)
    while left:
        x = ptr8(image + i * s0 + j * s1 + k * s2 + m * s3)
        count = n3 - m
        if count > left:
            count = left
        left -= count
        while count:
            total = (x[0] ^ 128) - zero
            if sign:
                # requantised from 20 bits to the left: (total * factor * 2^20 + 2^30) >> 31
                if shift > 0:
                    total = total << shift
                total = ((total * factor_high) << 5) + ((total * factor_low + 1024) >> 11)
                if shift < 0:
                    if total < 0:
                        total -= 1
                    total = ((total >> (0 - shift - 1)) + 1) >> 1
                total *= sign
            if is_first:
                sums[0] = total
            elif sign:
                sums[0] = sums[0] + total
            else:
                sums[0] = sums[0] * total
            sums = ptr32(int(sums) + 4)
            x = ptr8(int(x) + s3)
            count -= 1
        m = 0
        k += 1
        if k == n2:
            k = 0
            j += 1
            if j == n1:
                j = 0
                i += 1


def lookup(x, table, y):
    """See ``plain.lookup``."""
    count = len(x)

    def run():
        _lookup(x, y, table, count)

    return run


@micropython.viper
def _lookup(x: ptr8, y: ptr8, table: ptr8, count: int):
    while count > 3:
        y[0] = table[x[0]]
        y[1] = table[x[1]]
        y[2] = table[x[2]]
        y[3] = table[x[3]]
        x = ptr8(int(x) + 4)
        y = ptr8(int(y) + 4)
        count -= 4
    while count:
        y[0] = table[x[0]]
        x = ptr8(int(x) + 1)
        y = ptr8(int(y) + 1)
        count -= 1
