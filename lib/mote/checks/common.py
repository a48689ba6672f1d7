"""What the ops of several families have in common."""

from ..kernels.plain.arithmetic import int32_at

LONGEST_SUM = 32768  # so many products of two bytes stay within an int32
_FARTHEST_SHIFT = 62


def four(shape):
    """Return a shape as four dimensions, the missing ones before it as 1."""
    return (1,) * (4 - len(shape)) + tuple(shape)


def constants_fit(tensors, outputs):
    """Tell whether bias, multipliers and shifts are int32 [outputs] of the file, and no shift is too far."""
    if any(t.is_activation or t.size != 4 * outputs for t in tensors[2:5]):
        return False
    shifts = tensors[4].data
    return all(are_shifts(int32_at(shifts, n)) for n in range(outputs))


def are_shifts(*shifts):
    """Tell whether these are numbers of bits."""
    return -_FARTHEST_SHIFT <= min(shifts) and max(shifts) <= _FARTHEST_SHIFT


def are_bounds(low, high):
    """Tell whether these are bounds of an int8."""
    return -128 <= low <= high <= 127
