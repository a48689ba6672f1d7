"""What the viper ops share: int32 sums become int8 outputs, a chunk at a time.

An op is a function that writes the sums of some outputs into memory. Whether few or many, a chunk is
requantised by one call, so that the calls cost little and the text stands here once. Every step fits 32 bits.
A 32-bit load of viper is signed on a board and unsigned on a 64-bit host. Buffers are arguments of their own,
and numbers that are never below 0 lie in one array: what viper reads from a tuple takes a board some hundred
cycles.
"""

from array import array

import micropython

from . import scratch

_START = array("H", [0])


def requantised(add_up, pixels, multiplier, shift, y, zero_point, low, high):
    """Return run(): for every chunk, ``add_up(start, count, sums)`` writes the sums of ``count`` values from
    number ``start`` on, which become y[start + ...]. One multiplier and shift for all."""
    chunk = min(pixels, scratch.MOST_SUMS)
    scratch.reserve(scratch.SUMS, 4 * chunk)
    multipliers, shifts = array("i", [multiplier]), array("i", [shift])
    numbers = limits_of(zero_point, low, high)

    def run():
        sums = scratch.pieces[scratch.SUMS]
        start = 0
        while start < pixels:
            count = min(chunk, pixels - start)
            add_up(start, count, sums)
            requantise(sums, 0, start, count, chunk, 0, 1, multipliers, shifts, y, _START, numbers)
            start += chunk

    return run


def limits_of(zero_point, low, high, pitch=1):
    """Return the numbers of an op that ``requantise`` wants."""
    return array("i", (zero_point + 128, max(low, -128) + 128, min(high, 127) + 128, pitch))


# Sum number n * chunk + p becomes y[(start + p) * pitch + origin + first + n], by the constants of output
# first + n, for p below ``pixels`` and n below ``outputs``. The first two variables of a viper function live
# in registers, so they are those that are used most; ``total`` is any number.
#
# Most outputs are known from 16 bits of the sum (T) times 16 bits of the multiplier (F). Where T fits, the
# quotient with its rounding constant and the zero point lies in [E, E + width] / 2^fraction: T is at most 1
# too small and F off by at most 1/2, which is -2^14 to 2^14 + 2^15 of the product, and rounding twice shifts
# it by at most 2^14 >> right. Where that leaves two integers, or T does not fit, the exact product decides.
@micropython.viper
def requantise(
    sums: ptr32, total: int, start: int, pixels: int, chunk: int, first: int, outputs: int,
    multipliers: ptr16, shifts: ptr16, y: ptr8, origin: ptr16, numbers: ptr32,
):  # fmt: skip
    zero_point = numbers[0]
    low = numbers[1]
    high = numbers[2]
    narrow = low | (255 - high)  # 0: all that a byte holds
    pitch = numbers[3]
    column = int(y) + start * pitch + origin[0] + first
    chunk = (chunk - pixels) << 2
    sign = 32768
    sign = sign << 16  # as a constant it would be no small integer on a board
    i = first << 1
    while outputs:
        b_low = multipliers[i]
        b_high = multipliers[i + 1]
        shift = (shifts[i] ^ 32768) - 32768
        i += 2
        factor = ((b_high << 1) + (b_low >> 15) + 1) >> 1
        right = 0
        fraction = 15 - shift
        if shift < -6:
            right = -6 - shift
            fraction = 21
        if shift > 0:
            fraction = 16  # nothing is certain
        mask = (1 << fraction) - 1
        width = 16386
        if right < 15:
            width += 16384 >> right
        begin = (zero_point << fraction) + (1 << (fraction - 1)) - width
        width += width + 32768
        y = ptr8(column)
        column += 1
        left = pixels
        while left:
            total = ((sums[0] ^ sign) - sign) >> right
            exact = (total + 32768) >> 16
            total = total * factor + begin
            exact = (((total & mask) + width) >> fraction) | exact
            total = total >> fraction
            if exact:
                total = (sums[0] ^ sign) - sign
                if shift > 0:
                    total = total << shift
                a_high = total >> 16
                a_low = total & 65535
                # (a * b + 2^30) >> 31
                cross = a_high * b_low
                total = (a_low * (b_low >> 8) + ((a_low * (b_low & 255)) >> 8)) >> 8
                a_low = a_low * b_high + total + 16384
                total = ((a_low & 32767) + (cross & 32767)) >> 15
                total += (a_low >> 15) + (cross >> 15) + ((a_high * b_high) << 1)
                if shift < 0:  # rounding, ties away from zero
                    if total < 0:
                        total -= 1
                    total = ((total >> (0 - shift - 1)) + 1) >> 1
                total += zero_point
            if (total >> 8) | narrow:
                if total < low:
                    total = low
                if total > high:
                    total = high
            y[0] = total ^ 128
            y = ptr8(int(y) + pitch)
            sums = ptr32(int(sums) + 4)
            left -= 1
        sums = ptr32(int(sums) + chunk)
        outputs -= 1
