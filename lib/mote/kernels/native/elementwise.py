"""Sums of activations of one shape: fills in what a native function wants to know. The rest is viper's."""

from uctypes import addressof

from ..viper.elementwise import add as _other
from .words import call, words


def binder(function):
    """Return the ``add`` of a kernel: see ``plain.add``."""

    def add(
        a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y,
        sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
    ):  # fmt: skip
        a_steps, b_steps = (a0, a1, a2, a3), (b0, b1, b2, b3)
        if not one_shape(y_shape, a_steps, b_steps) or max(shift_a, shift_b, shift_y) > 0:
            return _other(
                a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y,
                shift_y, sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
            )  # fmt: skip
        table = words(
            addressof(a), addressof(b), addressof(y), len(y), zero_a, multiplier_a, -shift_a,
            zero_b, multiplier_b, -shift_b, sign, multiplier_y, -shift_y, zero_y, low, high,
        )  # fmt: skip
        return call(function, (table,))

    return add


def one_shape(y_shape, a_steps, b_steps):
    """Tell whether nothing is broadcast, so that values stand in the same order everywhere."""
    _, n1, n2, n3 = y_shape
    steps = zip(y_shape, a_steps, b_steps, (n1 * n2 * n3, n2 * n3, n3, 1))
    return all(n < 2 or p == q == s for n, p, q, s in steps)
