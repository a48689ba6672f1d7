"""The steps of SGD in viper: float32 in integers, without a single float object, which a board would box."""

from array import array

import micropython


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
def _clear(values: ptr32, count: int):
    i = 0
    while i < count:
        values[i] = 0
        i += 1


# target += a * b over rows and columns, in float32 made of integers: viper knows no floats, and
# boxed ones made training on a Pico W seven times as slow. shape: rows, columns, then the steps of
# target, a and b from row to row and from column to column. Error: below two units in the last
# place of the larger term; what is below 2^-126 becomes zero, nan infinity.
@micropython.viper
def _add_products(target: ptr32, a: ptr32, b: ptr32, shape):
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
            if x_exponent and exponent:
                z = target[t]
                z_exponent = (z >> 23) & 255
                sign = (z >> 31) & 1
                if x_exponent == 255 or exponent == 255 or z_exponent == 255:
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
