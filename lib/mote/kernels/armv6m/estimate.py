"""What the native requantisation of an op needs: docs/kernels.md has the proof. Integers stay below 2^30 for
the usual output, as larger ones are slow on a board."""

import micropython
from micropython import const

from ..plain.arithmetic import requantise

# as in host/fedmote/kernels/armv6m/requantise.py: bits of fraction; of the sum 2 bits are dropped
_FRACTION = const(19)
_ONE = const(1 << 19)
_LARGEST_GUARD = const(1 << 16)
_LARGEST_PRODUCT = const(7 << 20)  # in 256s; O, which is added to it, is below 2^28


@micropython.native
def estimate(biases, spreads, multipliers, shifts, zero_point):
    """Return (offset of results, O, upper byte of each output's first uncertain fraction, 0 if all are).

    biases, spreads (how far a sum may be from it), shifts: an int for each output. multipliers: two, the
    lower and the upper 16 bits.
    """
    offset = zero_point + 128
    guard = 0
    widths = []
    for n in range(len(biases)):
        bias, spread, shift = biases[n], spreads[n], shifts[n]
        lower, upper = multipliers[2 * n], multipliers[2 * n + 1]
        below = width = _ONE
        if shift <= 0 and upper < 32768:
            multiplier = upper << 8 | lower >> 8  # and what follows is rounded up where that matters
            scale = 23 - _FRACTION - 2 - shift
            factor = multiplier >> scale
            if not factor and _is_always(offset, bias, spread, upper << 16 | lower, shift, offset):
                below, width = 0, 1
            elif ((abs(bias) + spread >> 10) + 1) * factor < _LARGEST_PRODUCT:
                rest = ((multiplier - (factor << scale)) << 8 >> scale) + (256 >> scale) + 1
                below = ((spread - bias >> 8) + 1) * rest >> 2 if spread > bias else 0
                width = ((spread + bias >> 8) + 1) * rest >> 2 if spread > -bias else 0
                if factor:  # sums beyond these give results beyond 0 to 255, whatever the error
                    limit = ((offset + 3) * rest << _FRACTION - 8) // factor + 1
                    if below > limit:
                        below = limit
                    limit = ((259 - offset) * rest << _FRACTION - 8) // factor + 1
                    if width > limit:
                        width = limit
                tie = (_ONE >> 1 - shift) + 2 if shift else 1
                below += tie
                width += tie + (3 * factor >> 2) + 1
        if below > _LARGEST_GUARD:
            width = _ONE
        elif below > guard:
            guard = below
        widths.append(width)
    zones = bytearray(len(widths))
    for n, width in enumerate(widths):
        if width < _ONE - guard:
            zones[n] = _ONE - guard - width >> _FRACTION - 8
    return offset, (_ONE >> 1) + offset * _ONE - guard, zones


def _is_always(result, bias, spread, multiplier, shift, offset):
    """Tell whether all sums of an output give this result."""
    for total in (bias - spread, bias + spread):
        if min(max(requantise(total, multiplier, shift) + offset, 0), 255) != result:
            return False
    return True
