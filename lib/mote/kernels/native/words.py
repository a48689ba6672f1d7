"""Arrays of words, as native functions take them."""

from array import array

from uctypes import addressof

_WORD = 0xFFFFFFFF
_PRODUCT = 1 << 14
_KEPT = bytes(4 * 24)  # words of the function's own, behind those that it gets


def words(*numbers):
    """Return addresses and numbers, which may be negative, as words."""
    table = array("I", [number & _WORD for number in numbers])
    table.extend(array("I", _KEPT))
    return table


def call(function, tables):
    """Return run(), which calls a native function for each array of words."""
    if len(tables) == 1:
        table = tables[0]

        def run():
            function(table)

    else:

        def run():
            for table in tables:
                function(table)

    return run


def by_address(function):
    """Return f(words) for a function that gets a quarter of their address, a small integer on every board."""

    def call(words):
        function(addressof(words) >> 2)

    return call


def near(bias, shifts, products):
    """Tell whether sums of so many products, with their bias and shifted left as far as any of the shifts
    says, fit 32 bits."""
    biases = array("i", bytes(bias))
    left = max(max(array("i", bytes(shifts))), 0)
    return max(max(biases), -min(biases)) + products * _PRODUCT << left < 1 << 31
