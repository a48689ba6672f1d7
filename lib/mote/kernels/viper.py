"""The kernel in viper, MicroPython's typed native code: the portable fast path of boards that run it.

Weights are stored as weight + 128 and the input is copied as input + 128, so that both load as unsigned bytes
without a sign fix; docs/mote-format.md has the bias folded for that. Every step fits 32 bits, and none relies
on wrapping at 32.
"""

from array import array

import micropython

from .plain import softmax  # noqa: F401 - the rest of the contract

NAME = "viper"
WEIGHT_FORMS = (1,)


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form):
    shape = (x, bytearray(len(x)), len(x), len(y), bias, multipliers, shifts, y, zero_point, low, high)

    def run():
        _dense(weights, x, 0, shape)

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
    y = ptr8(layer[7])
    zero_point = int(layer[8])
    low = int(layer[9])
    high = int(layer[10])
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


def affine(weights, bias, x, y):
    """See ``plain.affine``."""
    columns = len(x)
    y[:] = bias
    _add_products(y, weights, x, (len(y), columns, 1, 0, columns, 1, 0, 1))


def affine_backward(weights, x, slope, weights_slope, bias_slope, x_slope):
    """See ``plain.affine_backward``."""
    rows, columns = len(slope), len(x)
    for row in range(rows):
        bias_slope[row] += slope[row]
    _add_products(weights_slope, slope, x, (rows, columns, columns, 1, 1, 0, 0, 1))
    if x_slope is not None:
        for k in range(columns):
            x_slope[k] = 0.0
        _add_products(x_slope, slope, weights, (rows, columns, 0, 1, 1, 0, columns, 1))


def descend(values, slopes, rate, decay):
    """See ``plain.descend``."""
    along = (1, len(values), 0, 1, 0, 0, 0, 1)
    if decay:
        _add_products(slopes, array("f", [decay]), values, along)
    _add_products(values, array("f", [-rate]), slopes, along)
    _clear(slopes, len(slopes))


@micropython.viper
def _clear(values: ptr32, count: int):  # noqa: F821
    i = 0
    while i < count:
        values[i] = 0
        i += 1


# target += a * b over rows and columns, in float32 made of integers: viper knows no floats, and boxed ones cost a
# Pico W twenty times as much. shape: rows, columns, then the steps of target, a and b from row to row and from
# column to column. Error: one unit in the last place; below 2^-126 is zero, and nan is infinity.
@micropython.viper
def _add_products(target: ptr32, a: ptr32, b: ptr32, shape):  # noqa: F821
    rows = int(shape[0])
    columns = int(shape[1])
    t_row = int(shape[2])
    t_step = int(shape[3])
    a_row = int(shape[4])
    a_step = int(shape[5])
    b_row = int(shape[6])
    b_step = int(shape[7])
    highest = 255
    row = 0
    while row < rows:
        t = row * t_row
        p = row * a_row
        q = row * b_row
        column = columns
        while column:
            x = a[p]
            y = b[q]
            x_exponent = (x >> 23) & 255
            exponent = (y >> 23) & 255
            if (x_exponent != 0) & (exponent != 0):
                z = target[t]
                z_exponent = (z >> 23) & 255
                sign = (z >> 31) & 1
                if (x_exponent == 255) | (exponent == 255) | (z_exponent == 255):
                    z_exponent = highest
                    total = 0
                else:
                    # the product's 26 upper bits from 12-bit halves, then 28 bits with 4 below the last place
                    exponent += x_exponent - 127
                    x_high = ((x >> 12) & 2047) | 2048
                    y_high = ((y >> 12) & 2047) | 2048
                    x_low = x & 4095
                    y_low = y & 4095
                    cross = x_high * y_low + x_low * y_high + ((x_low * y_low) >> 12)
                    value = ((x_high * y_high) << 2) + (cross >> 10)
                    if value >> 25:
                        exponent += 1
                        value = value << 2
                    else:
                        value = value << 3
                    total = 0
                    if z_exponent:
                        total = ((z & 8388607) | 8388608) << 4
                    distance = exponent - z_exponent
                    if distance > 0:
                        total = total >> distance if distance < 29 else 0
                        z_exponent = exponent
                    else:
                        distance = 0 - distance
                        value = value >> distance if distance < 29 else 0
                    if (x ^ y ^ z) >> 31 & 1:
                        total -= value
                        if total < 0:
                            total = 0 - total
                            sign = sign ^ 1
                    else:
                        total += value
                    if total:
                        while total < 134217728:
                            total = total << 1
                            z_exponent -= 1
                        total += 8
                        if total >> 28:
                            total = total >> 1
                            z_exponent += 1
                    else:
                        z_exponent = 0
                    if z_exponent > 254:
                        z_exponent = highest
                        total = 0
                    if z_exponent < 1:
                        z_exponent = 0
                        sign = 0
                        total = 0
                target[t] = (sign << 31) | (z_exponent << 23) | ((total >> 4) & 8388607)
            t += t_step
            p += a_step
            q += b_step
            column -= 1
        row += 1
