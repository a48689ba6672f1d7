"""An erasure code over GF(256): any K fragments of a message of K give it back. It knows no radio.

Fragments 0 to K - 1 are the message itself, those up to 255 are combinations of all of them by a Cauchy
matrix, of which every square part can be inverted (Blömer et al. 1995, An XOR-Based Erasure-Resilient Coding
Scheme).
"""

#: fragments that can be told apart, and the most that a message may have, so that half of the loss can be
#: made good
FRAGMENTS = 256
LARGEST_COUNT = 170

_POLYNOMIAL = 0x11D


def _tables():
    exponents, logarithms = bytearray(510), bytearray(256)
    value = 1
    for power in range(255):
        exponents[power] = exponents[power + 255] = value
        logarithms[value] = power
        value <<= 1
        if value & 256:
            value ^= _POLYNOMIAL
    return bytes(exponents), bytes(logarithms)


_EXPONENTS, _LOGARITHMS = _tables()


def fragment_into(target, message, count, index):
    """Fill ``target``, a bytearray, with fragment ``index`` of a message of ``count`` fragments as long as
    ``target``.

    message: buffer; what is missing to count * len(target) bytes counts as zeros.
    """
    size = len(target)
    if index < count:
        part = message[index * size : (index + 1) * size]
        target[: len(part)] = part
        for i in range(len(part), size):
            target[i] = 0
        return
    for i in range(size):
        target[i] = 0
    for column in range(count):
        _add(target, message[column * size : (column + 1) * size], _coefficient(index, column))


class Gathering:
    """Takes fragments in any order and puts the message together.

    count, size: fragments that are needed, and bytes of each. Raises ValueError for a count that cannot be.
    """

    def __init__(self, count, size):
        if not 0 < count <= LARGEST_COUNT or size <= 0:
            raise ValueError("%d fragments of %d bytes" % (count, size))
        self.count, self.size = count, size
        self._fragments = {}

    @property
    def received(self):
        """How many different fragments are there, at most ``count``."""
        return len(self._fragments)

    def add(self, index, fragment):
        """Take a fragment. Return the message with its padding once there are enough, else None.

        Raises ValueError for an index or a length that cannot be.
        """
        if not 0 <= index < FRAGMENTS or len(fragment) != self.size:
            raise ValueError("fragment %d of %d bytes, must have %d" % (index, len(fragment), self.size))
        if len(self._fragments) < self.count:
            self._fragments[index] = bytearray(fragment)
        return self._message() if len(self._fragments) == self.count else None

    def _message(self):
        there = self._fragments
        missing = [column for column in range(self.count) if column not in there]
        rows = [(there[index], index) for index in there if index >= self.count]
        for right, index in rows:  # what is known is taken out of each combination
            for column in range(self.count):
                if column in there:
                    _add(right, there[column], _coefficient(index, column))
        solved = _solve(
            [[_coefficient(index, c) for c in missing] for _, index in rows], [r for r, _ in rows]
        )
        self._fragments = {column: there[column] for column in range(self.count) if column in there}
        for column, fragment in zip(missing, solved):
            self._fragments[column] = fragment
        message = bytearray(self.count * self.size)
        for column in range(self.count):
            message[column * self.size : (column + 1) * self.size] = self._fragments[column]
        return message


def _solve(matrix, right):
    """Return the bytearrays x with matrix * x = right, by Gauss and Jordan. Both are used up."""
    for k in range(len(matrix)):
        pivot = k
        while not matrix[pivot][k]:
            pivot += 1
        matrix[k], matrix[pivot] = matrix[pivot], matrix[k]
        right[k], right[pivot] = right[pivot], right[k]
        inverse = _inverse(matrix[k][k])
        for line in (matrix[k], right[k]):
            for i in range(len(line)):
                line[i] = _product(line[i], inverse)
        for other in range(len(matrix)):
            factor = matrix[other][k]
            if other != k and factor:
                _add(matrix[other], matrix[k], factor)
                _add(right[other], right[k], factor)
    return right


def _add(target, source, factor):
    """target += factor * source, for as many values as ``source`` has."""
    exponents, logarithms, power = _EXPONENTS, _LOGARITHMS, _LOGARITHMS[factor]
    for i in range(len(source)):
        value = source[i]
        if value:
            target[i] ^= exponents[logarithms[value] + power]


def _coefficient(index, column):
    return _inverse(index ^ column)


def _inverse(value):
    return _EXPONENTS[255 - _LOGARITHMS[value]]


def _product(a, b):
    return _EXPONENTS[_LOGARITHMS[a] + _LOGARITHMS[b]] if a and b else 0
