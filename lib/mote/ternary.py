"""Sparse ternary vectors <-> bits: a few places of a long vector hold plus or minus one number, the others
nothing. It knows no updates.

Sparse ternary compression is of Sattler et al. 2019 (Robust and Communication-Efficient Federated Learning
from Non-IID Data). The gaps between places are Rice coded (Golomb 1966 with a power of two), each followed by
a sign; what is left of the longest possible coding is zero, so that a length tells what is in it.
"""

from struct import unpack_from

#: of how many values one is sent
SPARSITY = 32


def places_of(count):
    """Return how many of ``count`` values an update carries."""
    return max(1, count // SPARSITY)


def packed_bytes(count, places):
    """Return the bytes that ``places`` places among ``count`` take, wherever they are."""
    return (_longest(count, places, _rice(count, places)) + 7) // 8


def largest(values, places):
    """Return the positions, ascending, of the largest magnitudes of ``values``, an array('f'); of equal ones
    the first."""
    # A radix selection: the magnitudes of floats are ordered as their bits are.
    threshold, wanted = 0, places
    for shift in (24, 16, 8, 0):
        counts = [0] * 256
        for at in range(0, 4 * len(values), 4):
            bits = unpack_from("<I", values, at)[0] & 0x7FFFFFFF
            if bits >> shift >> 8 == threshold:
                counts[bits >> shift & 255] += 1
        digit = 255
        while counts[digit] < wanted:
            wanted -= counts[digit]
            digit -= 1
        threshold = threshold << 8 | digit
    chosen = []
    for i in range(len(values)):
        bits = unpack_from("<I", values, 4 * i)[0] & 0x7FFFFFFF
        if bits == threshold:
            wanted -= 1
        if bits > threshold or (bits == threshold and wanted >= 0):
            chosen.append(i)
    return chosen


def pack(positions, negatives, count):
    """Return the bits of ``positions``, ascending and below ``count``. negatives: for each, whether it is
    minus."""
    rice = _rice(count, len(positions))
    out = bytearray(packed_bytes(count, len(positions)))
    at = expected = 0
    for position, negative in zip(positions, negatives):
        gap = position - expected
        expected = position + 1
        for _ in range(gap >> rice):
            out[at >> 3] |= 128 >> (at & 7)
            at += 1
        at += 1  # a zero ends the quotient
        for bit in range(rice - 1, -1, -1):
            out[at >> 3] |= (gap >> bit & 1) * 128 >> (at & 7)
            at += 1
        out[at >> 3] |= (128 if negative else 0) >> (at & 7)
        at += 1
    return out


def unpack(data, places, count):
    """Return (positions, negatives), lists, out of ``packed_bytes(count, places)`` bytes.

    Raises ValueError where a place lies outside, or the bits that are left are not zero.
    """
    rice = _rice(count, places)
    end = 8 * packed_bytes(count, places)
    if 8 * len(data) != end:
        raise ValueError("%d bytes for %d places, must be %d" % (len(data), places, end // 8))
    positions, negatives = [], []
    at = position = 0
    for _ in range(places):
        while at < end and data[at >> 3] << (at & 7) & 128:
            position += 1 << rice
            at += 1
        at += 1
        if at + rice >= end:
            raise ValueError("the places do not fit")
        rest = 0
        for _ in range(rice):
            rest = rest << 1 | (data[at >> 3] >> (7 - (at & 7)) & 1)
            at += 1
        position += rest
        if position >= count:
            raise ValueError("place %d of %d values" % (position, count))
        positions.append(position)
        negatives.append(bool(data[at >> 3] << (at & 7) & 128))
        position += 1
        at += 1
    while at < end:
        if data[at >> 3] << (at & 7) & 128:
            raise ValueError("bits behind the last place")
        at += 1
    return positions, negatives


def add_bits(a, b):
    """Return the bits of the float32 sum of two finite float32 given as bits, rounded to even.

    In integers: a board with short floats gets the same sum. Raises ValueError where the sum is too large.
    """
    (m, e), (n, f) = _parts(a), _parts(b)
    exponent = min(e, f)
    total = (m << (e - exponent)) + (n << (f - exponent))
    sign = 0x80000000 if total < 0 else 0
    total = abs(total)
    up = 0
    while total >> up >> 24:
        up += 1
    mantissa = total >> up
    rest = total - (mantissa << up)
    half = 1 << up >> 1
    if rest > half or (rest == half and up and mantissa & 1):
        mantissa += 1
    if mantissa >> 24:
        mantissa, up = mantissa >> 1, up + 1
    exponent += up
    while mantissa and not mantissa >> 23 and exponent > 1:
        mantissa, exponent = mantissa << 1, exponent - 1
    if exponent >= 255:
        raise ValueError("a sum that no float32 holds")
    return sign | ((exponent - 1) << 23) + mantissa if mantissa else sign and 0


def _rice(count, places):
    """Return the number of low bits of a gap that are written as they are: the one with the shortest longest
    coding."""
    rice = 0
    while _longest(count, places, rice + 1) < _longest(count, places, rice):
        rice += 1
    return rice


def _longest(count, places, rice):
    return places * (rice + 2) + ((count - places) >> rice)


def _parts(bits):
    """Return (mantissa, exponent): the value is mantissa * 2^(exponent - 150)."""
    exponent = bits >> 23 & 255
    mantissa = bits & 0x7FFFFF | (0x800000 if exponent else 0)
    return -mantissa if bits >> 31 else mantissa, exponent or 1
