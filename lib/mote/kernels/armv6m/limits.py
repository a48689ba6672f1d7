"""Outputs with other limits than those of int8: cut off after an op whose native function knows no others."""

from uctypes import addressof

from ..native.words import words
from . import code


def limited(run, y, low, high, y_shape):
    """Return run() and, where the limits ask for it, an average of each value alone within them."""
    if (low, high) == (-128, 127):
        return run
    _, height, width, channels = y_shape
    at = addressof(y)
    table = words(at, at, low, high, 1, 1, 1, 1, 0, 0, height, width, channels, height, width)

    def run_and_limit():
        run()
        code.average_pool(table)

    return run_and_limit
