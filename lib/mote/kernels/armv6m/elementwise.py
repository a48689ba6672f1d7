"""Sums of activations of one shape: fills in what the native function wants to know. The rest is viper's."""

from array import array

from uctypes import addressof

from ..native.elementwise import one_shape
from ..viper.elementwise import add as _other
from . import code
from .limits import limited

# as in host/fedmote/kernels/armv6m/add.py: bits to the left, of fraction, of the zone
_LEFT, _FRACTION, _ZONE = 20, 20, 8
_WORD = 0xFFFFFFFF


def add(
    a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y,
    sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
):  # fmt: skip
    """See ``plain.add``."""
    alike = one_shape(y_shape, (a0, a1, a2, a3), (b0, b1, b2, b3))
    start = _start(
        zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b * sign, shift_b, multiplier_y, shift_y
    )
    if not start or not alike:
        return _other(
            a, b, y, zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y,
            shift_y, sign, low, high, a0, a1, a2, a3, b0, b1, b2, b3, y_shape,
        )  # fmt: skip
    numbers = (addressof(a), addressof(b), addressof(y), len(y)) + start + (
        zero_a, multiplier_a, shift_a, zero_b, multiplier_b, shift_b, sign, multiplier_y, shift_y,
        zero_y + 128,
    )  # fmt: skip
    words = array("I", [number & _WORD for number in numbers])

    def run():
        code.add(words)

    return limited(run, y, low, high, y_shape)


def _start(
    zero_a, zero_b, zero_y, multiplier_a, shift_a, multiplier_b, shift_b, multiplier_y, shift_y
):  # fmt: skip
    """Return the estimate's factors of a and b, and what it adds; None where they do not give it exactly."""
    if max(shift_a, shift_b, shift_y) > 0 or min(multiplier_a, multiplier_y) < 0:
        return None
    half = 1 << 61 - _LEFT - _FRACTION
    a, b = (
        (multiplier * multiplier_y + (half << -shift - shift_y)) >> 62 - _LEFT - _FRACTION - shift - shift_y
        for multiplier, shift in ((multiplier_a, shift_a), (multiplier_b, shift_b))
    )
    margin = 1 << _FRACTION - _ZONE - 1
    # of both factors; of the inputs' roundings, in y's units; of the last two
    error = 256 + 3 * ((multiplier_y >> 31 - _FRACTION - shift_y) + 1) + ((1 << _FRACTION) >> -shift_y) + 4
    added = (2 * (zero_y + 128) + 1 << _FRACTION - 1) + margin - zero_a * a - zero_b * b
    if error > margin or 128 * (abs(a) + abs(b)) + abs(added) >= 1 << 31:
        return None
    return a, b, added
