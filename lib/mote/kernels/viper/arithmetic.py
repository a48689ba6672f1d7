"""What the viper ops share: int32 sums become int8 outputs, a chunk at a time.

An op is a function that writes the sums of some outputs into a buffer. Whether few or many, a chunk is
requantised by one call, so that the calls cost little and the text stands here once. Every step fits 32 bits,
none relies on wrapping at 32. int32 values are read as 16-bit halves: a 32-bit load of viper is signed on a
board and unsigned on a 64-bit host. Numbers that are never below 0 lie in arrays and are read as 32 bits: an
element that viper reads from a tuple takes a board some hundred cycles.
"""

from array import array

import micropython

_CHUNK = 256
_sums = bytearray(4 * _CHUNK)  # of all ops: one runs at a time, and none leaves anything behind
_START = array("H", [0])


def buffer_of(outputs, pixels):
    """Return (buffer for int32 sums, pixels per chunk) for so many pixels of so many outputs."""
    if outputs > _CHUNK:
        return bytearray(4 * outputs), 1
    return _sums, min(pixels, _CHUNK // outputs)


def requantised(
    add_up, sums, chunk, pixels, outputs, multipliers, shifts, y, zero_point, low, high, pitch=1,
    origin=_START,
):  # fmt: skip
    """Return run(): for every chunk, ``add_up(start)`` writes the sums of ``chunk`` pixels (fewer at the end)
    from number ``start`` on, which become y[pixel * pitch + origin + n]."""
    numbers = (chunk, pixels, outputs, zero_point + 128, max(low, -128) + 128, min(high, 127) + 128, pitch)
    target = (sums, y, origin, multipliers, shifts, array("i", numbers))

    def run():
        start = 0
        while start < pixels:
            add_up(start)
            _requantise(start, 0, target)
            start += chunk

    return run


# The first two variables of a viper function live in registers: take those that are used most.
# ``total`` is the first pixel's number at first.
@micropython.viper
def _requantise(total: int, a_low: int, target):
    sums = ptr16(target[0])
    y = ptr8(target[1])
    origin = ptr16(target[2])
    multipliers = ptr16(target[3])
    shifts = ptr16(target[4])
    numbers = ptr32(target[5])
    pixels = numbers[1] - total
    if pixels > numbers[0]:
        pixels = numbers[0]
    last = numbers[2] << 1
    zero_point = numbers[3]
    low = numbers[4]
    high = numbers[5]
    pitch = numbers[6]
    y = ptr8(int(y) + total * pitch + origin[0])
    pitch -= last >> 1
    while pixels:
        i = 0
        while i < last:
            a_low = sums[0]
            a_high = (sums[1] ^ 32768) - 32768
            shift = (shifts[i] ^ 32768) - 32768
            if shift > 0:
                total = ((a_high << 16) + a_low) << shift
                a_high = total >> 16
                a_low = total & 65535
            # (a * b + 2^30) >> 31
            total = multipliers[i]
            cross = a_high * total
            total = (a_low * (total >> 8) + ((a_low * (total & 255)) >> 8)) >> 8
            i += 1
            b_high = multipliers[i]
            i += 1
            a_low = a_low * b_high + total + 16384
            total = ((a_low & 32767) + (cross & 32767)) >> 15
            total += (a_low >> 15) + (cross >> 15) + ((a_high * b_high) << 1)
            if shift < 0:  # rounding, ties away from zero
                if total < 0:
                    total -= 1
                total = ((total >> (0 - shift - 1)) + 1) >> 1
            total += zero_point
            if total < low:
                total = low
            if total > high:
                total = high
            y[0] = total ^ 128
            y = ptr8(int(y) + 1)
            sums = ptr16(int(sums) + 4)
        y = ptr8(int(y) + pitch)
        pixels -= 1
