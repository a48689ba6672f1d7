"""Softmax in viper."""

from array import array

import micropython
from micropython import const

# Numbers of the cells that int32 values stand in while softmax multiplies them: an integer of more
# than 30 bits, handed from one function to another, would be an object, made anew each time.
_FACTOR = const(7)
_EIGHTH = const(8)
_THIRD = const(9)
_START = const(10)
_SLOPE = const(11)
_ONE = const(12)
_A = const(13)
_B = const(14)
_C = const(15)
_D = const(16)
_CELLS = (
    1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242,  # exp(-2^k) for k = -2 to 4
    0,  # room for the multiplier
    1895147668, 715827883,  # exp(-1/8), 1/3
    1515870810, -1010580540,  # 48/17 and -32/17, in Q29
    2147483647,  # nearly 1
    0, 0, 0, 0,
)  # fmt: skip


def softmax(x, y, multiplier, shift, difference, depth):
    """See ``plain.softmax``. exp of every difference to the largest is kept: 1 KiB at most."""
    cells = array("i", _CELLS)
    cells[_FACTOR] = multiplier
    powers = array("i", bytes(4 * min(256, 1 - difference)))
    _fill_powers(powers, len(powers), shift, cells)
    layer = (powers, len(powers), depth, len(x) // depth, cells)

    def run():
        _softmax(x, y, 0, layer)

    return run


@micropython.viper
def _softmax(x: ptr8, y: ptr8, total: int, layer):
    powers = ptr32(layer[0])
    limit = int(layer[1])
    depth = int(layer[2])
    rows = int(layer[3])
    cells = layer[4]
    cell = ptr32(layer[4])
    while rows:
        largest = 0
        i = 0
        while i < depth:
            if x[i] ^ 128 > largest:
                largest = x[i] ^ 128
            i += 1
        total = 0
        i = 0
        while i < depth:
            distance = largest - (x[i] ^ 128)
            if distance < limit:
                total += ((powers[distance] >> 11) + 1) >> 1
            i += 1
        # 1 / total, by three Newton steps from 48/17 - 32/17 * total
        shift = 34
        while total <= 1073741823:  # 2^30 itself is no small integer on a board
            total = total << 1
            shift -= 1
        cell[_A] = total
        _high(cells, _B, _A, _SLOPE)
        cell[_B] = cell[_START] + cell[_B]
        i = 3
        while i:
            _high(cells, _C, _A, _B)
            cell[_C] = 536870912 - cell[_C]
            _high(cells, _C, _B, _C)
            cell[_B] = cell[_B] + (cell[_C] << 2)
            i -= 1
        total = cell[_B]
        cell[_A] = cell[_ONE] if total > 1073741823 else total << 1
        if shift > 32:
            shift = 32
        i = 0
        while i < depth:
            value = 0
            distance = largest - (x[i] ^ 128)
            if distance < limit:
                cell[_B] = powers[distance]
                _high(cells, _C, _A, _B)
                value = ((cell[_C] >> (shift - 1)) + 1) >> 1
                if value > 255:
                    value = 255
            y[i] = value - 128
            i += 1
        x = ptr8(int(x) + depth)
        y = ptr8(int(y) + depth)
        rows -= 1


# powers[d] = exp(-d * factor), the factor as multiplier and shift
@micropython.viper
def _fill_powers(powers: ptr32, count: int, shift: int, cells):
    cell = ptr32(cells)
    powers[0] = cell[_ONE]
    distance = 1
    while distance < count:
        cell[_A] = (0 - distance) << shift
        _high(cells, _A, _A, _FACTOR)
        if cell[_A] == 0:
            powers[distance] = powers[0]
        else:
            remainder = (cell[_A] & 16777215) - 16777216
            bits = (remainder - cell[_A]) >> 24
            x = (remainder << 5) + 268435456  # + 1/8
            cell[_A] = x
            _high(cells, _B, _A, _A)  # x^2
            _high(cells, _C, _B, _A)  # x^3
            _high(cells, _D, _B, _B)  # x^4
            cell[_C] = ((cell[_D] + 2) >> 2) + cell[_C]
            _high(cells, _C, _C, _THIRD)
            cell[_C] = cell[_C] + cell[_B]
            cell[_A] = x + ((cell[_C] + 1) >> 1)
            _high(cells, _A, _A, _EIGHTH)
            cell[_A] = cell[_EIGHTH] + cell[_A]
            power = 0
            while power < 7:
                if bits & 1:
                    _high(cells, _A, _A, power)
                bits = bits >> 1
                power += 1
            powers[distance] = cell[_A]
        distance += 1


# cell[target] = (cell[a] * cell[b] + 2^30) >> 31
@micropython.viper
def _high(cells: ptr16, target: int, a: int, b: int):
    a_low = cells[a << 1]
    a_high = (cells[(a << 1) + 1] ^ 32768) - 32768
    b_low = cells[b << 1]
    b_high = (cells[(b << 1) + 1] ^ 32768) - 32768
    cross = a_high * b_low
    other = a_low * b_high
    corner = (a_low * (b_low >> 8) + ((a_low * (b_low & 255)) >> 8)) >> 8
    total = ((cross & 32767) + (other & 32767) + (corner & 32767) + 16384) >> 15
    total += ((a_high * b_high) << 1) + (cross >> 15) + (other >> 15) + (corner >> 15)
    cells[target << 1] = total
    cells[(target << 1) + 1] = total >> 16
