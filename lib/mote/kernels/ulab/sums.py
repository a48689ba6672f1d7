"""Sums of products of int8 numbers, exactly and without floats: the inner loop of dense layers and
convolutions.

The products of a block are made where they lie, in an array of int16 that was copied from a tile: in place,
ulab takes a third less time for them, and leaves no garbage to collect. An int8 product fits an int16, and so
does the sum of two: 127 * 128 + 128 * 128 = 32640 at most, unless both weights are -128. So the products are
added in pairs, p[k] + p[k + half], each p = 256 * u + l, u its upper byte, signed, and l its lower, 0 to 255.

A sum S of up to 128 pairs is found from two that ulab makes quickly:
  H = sum of u, |H| <= 128 * 128, and L = sum of p in int16 arithmetic, which is S modulo 2^16.
S - 256 * H is the sum of all l, between 0 and 128 * 255 = 32640, so that L - 256 * H in int16 arithmetic is
that number itself, and S = 256 * H + (L - 256 * H).
"""

from ulab import numpy as np
from ulab.utils import from_int16_buffer

from . import scratch

LONGEST = 256  # products in one sum
_SHORTEST = 8

_TO_UPPER = np.array([256], dtype=np.int16)


def piece_of(columns):
    """Return how many products of a row are summed before float32 is used, a divisor; 0 for none."""
    for parts in range((columns + LONGEST - 1) // LONGEST, max(1, columns // _SHORTEST) + 1):
        if columns % parts == 0:
            return columns // parts
    return 0


def pairs_fit(weights):
    """Tell whether no two weights that are -128 can meet. weights: a view of bytes."""
    return not any(b"\x80" in bytes(weights[start : start + 512]) for start in range(0, len(weights), 512))


def share(total, limit):
    """Return the size of the fewest equal parts of ``total`` that are no larger than ``limit``."""
    limit = max(1, limit)
    parts = (total + limit - 1) // limit
    return (total + parts - 1) // parts


def most_outputs():
    """Return how many sums are to be requantised at a time."""
    return scratch.limit() // 6


def block_for(products):
    """Return how many products an op of that many makes at a time: fewer where memory is worth more."""
    return min(scratch.limit(), max(1024, products // 4))


class Sums:
    """The sums of one group of outputs, ``pieces`` numbers each: H and L of the docstring above, side by
    side."""

    def __init__(self, most, pieces=1):
        self._pieces = pieces
        numbers = most * pieces
        scratch.reserve(scratch.HIGH, numbers)
        scratch.reserve(scratch.LOW, numbers)
        scratch.reserve(scratch.PRODUCT, 5 * numbers)

    def views(self, shape, width=0):
        """Return (H, L), int16 [count * pieces], for one run of groups of this shape, to be added to after
        ``clear``. width: of the rows whose H has also that of the rows before it; 0 for none.

        The values lie among the products, of which nothing is needed any more, behind as many.
        """
        count = self._pieces * (shape[0] if len(shape) == 1 else shape[0] * shape[1])
        self._shape, self._later = shape, None
        self._high, self._low = (scratch.int16s(piece, count) for piece in (scratch.HIGH, scratch.LOW))
        memory = memoryview(scratch.of(scratch.PRODUCT))
        self._of_value = memory[4 * count : 8 * count]
        self._of_upper = memory[8 * count : 10 * count]
        self._of_high = memoryview(scratch.of(scratch.HIGH))[: 2 * count]
        self._value = np.frombuffer(self._of_value, dtype=np.float)
        self._shaped = self._value.reshape(
            shape if self._pieces == 1 else (count // self._pieces, self._pieces)
        )
        self._upper = np.frombuffer(self._of_upper, dtype=np.int16)
        if 0 < width < count:
            self._later, self._earlier = self._high[width:], self._upper[: count - width]
        return self._high, self._low

    def clear(self):
        """Start a group."""
        for numbers in self._high, self._low:
            numbers -= numbers

    def values(self):
        """Return (floats, their bytes or None) of the sums. L holds L - 256 * H from then on."""
        low, upper, value, later = self._low, self._upper, self._value, self._later
        self._of_upper[:] = self._of_high
        if later is not None:
            later -= self._earlier
            self._of_upper[:] = self._of_high
        upper *= _TO_UPPER
        low -= upper
        from_int16_buffer(self._high, out=value)
        value *= 256.0
        value += low
        if self._pieces > 1:
            return np.sum(self._shaped, axis=1).reshape(self._shape), None
        return self._shaped, self._of_value

    def total(self, n):
        """Return sum n as an integer, after ``values``."""
        total = 0
        for k in range(n * self._pieces, (n + 1) * self._pieces):
            total += 256 * int(self._high[k]) + int(self._low[k])
        return total


class Block:
    """Rows of int16 numbers that are multiplied by int8 ones and summed, ``piece`` products to a sum."""

    def __init__(self, rows, columns, piece):
        self.rows, self.columns, self._piece = rows, columns, piece
        #: sums of the block
        self.sums = rows * (columns // piece)
        self._half = (piece + 1) // 2
        scratch.reserve(scratch.TILE, rows * columns)
        scratch.reserve(scratch.PRODUCT, rows * columns)
        scratch.reserve(scratch.UPPER, self.sums * self._half)

    def views(self):
        """Return (tile, its bytes, multiplied, forget), for one run: an int16 array [rows, columns] to be
        filled, and f(operand) = (H, L), int16 [sums], of tile * operand; H with that of all calls since
        forget()."""
        shape = self.rows, self.columns
        size = self.rows * self.columns
        tile = scratch.int16s(scratch.TILE, size).reshape(shape)
        source = memoryview(scratch.of(scratch.TILE))[: 2 * size]
        target = memoryview(scratch.of(scratch.PRODUCT))[: 2 * size]
        product = scratch.int16s(scratch.PRODUCT, size).reshape(shape)
        of_sums = product.reshape((self.sums, self._piece))
        half, others = self._half, self._piece // 2
        pairs, first, second = of_sums[:, :half], of_sums[:, :others], of_sums[:, half:]
        upper = np.frombuffer(target, dtype=np.int8).reshape((self.sums, 2 * self._piece))[
            :, 1 : 2 * half : 2
        ]
        uppers = scratch.int16s(scratch.UPPER, self.sums * half).reshape((self.sums, half))

        def forget(uppers=uppers):
            uppers -= uppers

        def multiplied(operand, product=product, first=first, uppers=uppers):
            target[:] = source
            product *= operand
            if others:
                first += second
            uppers += upper
            return np.sum(uppers, axis=1), np.sum(pairs, axis=1)

        return tile, source, multiplied, forget
