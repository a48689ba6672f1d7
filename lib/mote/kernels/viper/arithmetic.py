"""What the viper ops share: int32 sums become int8 outputs, a chunk at a time.

An op is a function that writes the sums of some outputs into a buffer. Whether few or many, a chunk is
requantised by one call, so that the calls cost little and the text stands here once. Every step fits 32 bits,
none relies on wrapping at 32. int32 values are read as 16-bit halves: a 32-bit load of viper is signed on a
board and unsigned on a 64-bit host.
"""

import micropython

_CHUNK = 256
_sums = bytearray(4 * _CHUNK)  # of all ops: one runs at a time, and none leaves anything behind


def buffer_of(outputs, pixels):
    """Return (buffer for int32 sums, pixels per chunk) for so many pixels of so many outputs."""
    if outputs > _CHUNK:
        return bytearray(4 * outputs), 1
    return _sums, min(pixels, _CHUNK // outputs)


def requantised(
    add_up, sums, chunk, pixels, outputs, multipliers, shifts, y, zero_point, low, high, pitch=1, origin=b"\0\0"
):  # fmt: skip
    """Return run(): for every chunk, ``add_up(start)`` writes the sums of ``chunk`` pixels (fewer at the end)
    from number ``start`` on, which become y[pixel * pitch + origin + n]."""
    target = (chunk, pixels, outputs, multipliers, shifts, zero_point, low, high, pitch, origin)

    def run():
        start = 0
        while start < pixels:
            add_up(start)
            _requantise(sums, y, start, target)
            start += chunk

    return run


# The first three arguments of a viper function live in registers, whatever they hold: below, ``total`` is the
# first pixel's number, then each value in turn.
@micropython.viper
def _requantise(sums: ptr16, y: ptr8, total: int, target):
    pixels = int(target[1]) - total
    chunk = int(target[0])
    if pixels > chunk:
        pixels = chunk
    last = int(target[2]) << 1
    multipliers = ptr16(target[3])
    shifts = ptr16(target[4])
    zero_point = int(target[5])
    low = int(target[6])
    high = int(target[7])
    pitch = int(target[8])
    origin = ptr16(target[9])
    y = ptr8(int(y) + total * pitch + origin[0])
    pitch -= last >> 1
    while pixels:
        i = 0
        while i < last:
            a_low = sums[0]
            a_high = (sums[1] ^ 32768) - 32768
            shift = shifts[i] + (((shifts[i + 1] ^ 32768) - 32768) << 16)
            if shift > 0:
                total = ((a_high << 16) + a_low) << shift
                a_high = total >> 16
                a_low = total & 65535
            # (a * b + 2^30) >> 31
            b_low = multipliers[i]
            b_high = multipliers[i + 1]
            cross = a_high * b_low
            other = a_low * b_high
            corner = (a_low * (b_low >> 8) + ((a_low * (b_low & 255)) >> 8)) >> 8
            total = (cross & 32767) + (other & 32767) + (corner & 32767) + 16384
            total = (total >> 15) + ((a_high * b_high) << 1)
            total += (cross >> 15) + (other >> 15) + (corner >> 15)
            if shift < 0:  # rounding, ties away from zero
                if total < 0:
                    total -= 1
                total = ((total >> (0 - shift - 1)) + 1) >> 1
            total += zero_point
            if total < low:
                total = low
            if total > high:
                total = high
            y[0] = total
            y = ptr8(int(y) + 1)
            sums = ptr16(int(sums) + 4)
            i += 2
        y = ptr8(int(y) + pitch)
        pixels -= 1
