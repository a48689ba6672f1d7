"""What the families of the ulab kernel share: where float32 is
exact, and requantisation within.

ulab does not write results into a given array, so each call of a ``run`` allocates a few; PIECE limits them.
"""

from struct import unpack

from ulab import numpy as np

PIECE = 512  # values per temporary array, where the op can be cut
LIMIT = 1 << 23  # sums that ``requantiser`` takes are smaller


def int8s(view, shape=None):
    """Return the buffer as an array of int8. It does not keep the
    buffer alive: whoever uses it has to."""
    array = np.frombuffer(view, dtype=np.int8)
    return array if shape is None else array.reshape(shape)


def ints(view):
    """Return the int32 numbers of a view of bytes as a tuple."""
    return unpack("<%di" % (len(view) // 4), view)


def largest_sum(w, bias):
    """Return what no sum of int8 products with a row of w, plus its bias, exceeds in size. w: [N, K]."""
    rows, columns = w.shape
    largest = 16384 * columns + max(max(bias), -min(bias))
    if largest < LIMIT:
        return largest
    largest = 0
    for row in range(rows):
        of_row = w[row]
        total = 0
        for start in range(0, columns, PIECE):
            piece = of_row[start : start + PIECE]
            total += int(np.dot(piece > 0, piece) - np.dot(piece < 0, piece))
        largest = max(largest, 128 * total + abs(bias[row]))
    return largest


def fits(multipliers, shifts, zero_point, low, high):
    """Tell whether ``requantiser`` takes these factors, and int8 what is clamped to [low, high]."""
    return (
        all(multiplier == 0 or multiplier >> 30 == 1 for multiplier in multipliers)
        and max(shifts) <= 0
        and -128 <= zero_point <= 127
        and -128 <= low <= high <= 127
    )


def requantiser(multipliers, shifts, zero_point):
    """Return f(sums) = plain.requantise(sums) + zero_point, exact in float32. It overwrites sums.

    Needs |sums| < LIMIT, [..., N], and multipliers in [2^30, 2^31) or 0 and shifts below 1, N each or one.
    The sum a and the multiplier m are multiplied as digits, a = a1 * 2^12 + a0 and m = m2 * 2^20 + m1 * 2^8 +
    m0, from the lowest up. After each addition floor drops the bits that no carry comes from, so that no
    value needs over 24 bits. Shifts beyond 15 are made in two steps, and beyond 31 nothing is left.
    """
    right = [min(-shift, 31) if multiplier else 31 for multiplier, shift in zip(multipliers, shifts)]
    multipliers = [multiplier or 1 << 30 for multiplier in multipliers]
    m0 = np.array([m & 255 for m in multipliers]) * 0.00390625
    m1 = np.array([m >> 8 & 4095 for m in multipliers])
    m2 = np.array([m >> 20 for m in multipliers])
    m2_doubled = m2 * 2.0
    ties = None if min(right) else np.array([shift > 0 for shift in right])
    first_scale = np.array([1 / (1 << max(shift - 15, 0)) for shift in right]) if max(right) > 15 else None
    offset = np.array([((2 * zero_point + 1) << min(shift, 15)) >> 1 for shift in right])
    scale = np.array([1 / (1 << min(shift, 15)) for shift in right])

    def requantised(a0):
        a1 = np.floor(a0 * 0.000244140625)
        a0 -= a1 * 4096.0
        # a * m + 2^30 in units of 2^8, then 2^12, 2^20 and 2^31
        low = np.floor(a0 * m0)
        low += a0 * m1
        low *= 0.0625
        low = np.floor(low)
        low *= 0.00390625
        low += a1 * m0
        low = np.floor(low)
        a0 *= m2
        a0 += low
        a0 += a1 * m1
        a0 *= 0.00048828125
        a0 += 0.5
        a0 = np.floor(a0)
        a0 += a1 * m2_doubled
        # divide by 2^right, ties away from zero
        a0 -= a0 < 0.0 if ties is None else (a0 < 0.0) * ties
        if first_scale is not None:
            a0 *= first_scale
            a0 = np.floor(a0)
        a0 += offset
        a0 *= scale
        return np.floor(a0)

    return requantised
