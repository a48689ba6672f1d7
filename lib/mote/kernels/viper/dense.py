"""Dense layers in viper.

Weights are stored as weight + 128 and the input is copied as input + 128, so that both load as unsigned bytes
without a sign fix; docs/mote-format.md has the bias folded for that. Every step fits 32 bits, and none relies
on wrapping at 32.
"""

import micropython


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin):
    """See ``plain.dense``."""
    columns = len(weights) // (len(bias) // 4)
    layer = (
        x, bytearray(columns), columns, len(bias) // 4, bias, multipliers, shifts, y, zero_point, low, high,
        len(x) // columns, pitch, origin,
    )  # fmt: skip

    def run():
        _dense(weights, x, 0, layer)

    return run


# The first three arguments live in registers: the pointers and the sum of the inner loop are these.
@micropython.viper
def _dense(w: ptr8, x: ptr8, total: int, layer):
    shifted = ptr8(layer[1])
    count = int(layer[2])
    rows = int(layer[3])
    bias = ptr16(layer[4])
    multipliers = ptr16(layer[5])
    shifts = ptr16(layer[6])
    y = ptr8(int(ptr8(layer[7])) + int(ptr16(layer[13])[0]))
    zero_point = int(layer[8])
    low = int(layer[9])
    high = int(layer[10])
    samples = int(layer[11])
    pitch = int(layer[12])
    weights = int(w)
    inputs = int(x)
    sample = 0
    while sample < samples:
        x = ptr8(inputs)
        w = ptr8(weights)
        x_total = 0
        i = 0
        while i < count:
            value = x[i] ^ 128
            shifted[i] = value
            x_total += value
            i += 1
        row = 0
        while row < rows:
            x = shifted
            total = 0
            i = count >> 3
            while i:
                total += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3]
                total += w[4] * x[4] + w[5] * x[5] + w[6] * x[6] + w[7] * x[7]
                w = ptr8(int(w) + 8)
                x = ptr8(int(x) + 8)
                i -= 1
            i = count & 7
            while i:
                total += w[0] * x[0]
                w = ptr8(int(w) + 1)
                x = ptr8(int(x) + 1)
                i -= 1
            # int32 constants are read as halves, because a 32-bit load is signed on a board and unsigned on a
            # 64-bit host
            i = row << 1
            total += bias[i] + (((bias[i + 1] ^ 32768) - 32768) << 16) - (x_total << 7)
            shift = shifts[i] + (((shifts[i + 1] ^ 32768) - 32768) << 16)
            if shift > 0:
                total = total << shift
            # (total * multiplier + 2^30) >> 31 from 16-bit halves
            a_high = total >> 16
            a_low = total & 65535
            b_low = multipliers[i]
            b_high = multipliers[i + 1]
            cross = a_high * b_low
            other = a_low * b_high
            corner = (a_low * (b_low >> 8) + ((a_low * (b_low & 255)) >> 8)) >> 8
            total = (a_high * b_high) << 1
            total += (cross >> 15) + (other >> 15) + (corner >> 15)
            total += ((cross & 32767) + (other & 32767) + (corner & 32767) + 16384) >> 15
            if shift < 0:
                shift = 0 - shift
                value = 1 << (shift - 1)
                if total < 0:
                    value -= 1
                total = (total + value) >> shift
            total += zero_point
            if total < low:
                total = low
            if total > high:
                total = high
            y[row] = total
            row += 1
        y = ptr8(int(y) + pitch)
        inputs += count
        sample += 1
