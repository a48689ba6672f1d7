"""Ops on single values in viper: sums and products with broadcasting, tables."""

from array import array

import micropython

from .arithmetic import requantised
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
    a_numbers, b_numbers = (
        array("i", (is_first, zero + 128, factor, max(0, places), max(0, -places), abs(sign), sign < 0))
        for is_first, (zero, factor, places, sign) in ((1, of_a), (0, of_b))
    )
    for count, a_step, b_step in loops:
        a_numbers.extend(array("i", (count, a_step)))
        b_numbers.extend(array("i", (count, b_step)))

    def add_up(start, count, sums):
        _combine(a, start, count, sums, a_numbers)
        _combine(b, start, count, sums, b_numbers)

    return requantised(add_up, len(y), multiplier, shift, y, zero_y, low, high)


# sums = x, or sums + x rescaled, or sums * x
@micropython.viper
def _combine(x: ptr8, total: int, left: int, sums: ptr32, numbers: ptr32):
    is_first = numbers[0]
    zero = numbers[1]
    factor_low = numbers[2] & 65535
    factor_high = numbers[2] >> 16
    up = numbers[3]
    down = numbers[4]
    is_sum = numbers[5]
    is_difference = numbers[6]
    sign = 32768
    sign = sign << 16
    s0 = (numbers[8] ^ sign) - sign
    s1 = (numbers[10] ^ sign) - sign
    s2 = (numbers[12] ^ sign) - sign
    s3 = (numbers[14] ^ sign) - sign
    n1 = numbers[9]
    n2 = numbers[11]
    n3 = numbers[13]
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
            if is_sum:
                # requantised from 20 bits to the left: (total * factor * 2^20 + 2^30) >> 31
                total = total << up
                total = ((total * factor_high) << 5) + ((total * factor_low + 1024) >> 11)
                if down:
                    if total < 0:
                        total -= 1
                    total = ((total >> (down - 1)) + 1) >> 1
                if is_difference:
                    total = 0 - total
            if is_first:
                sums[0] = total
            elif is_sum:
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
