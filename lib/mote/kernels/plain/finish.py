"""How sums of products become the outputs of PRODUCTS and TAPS, in plain Python."""

from .arithmetic import int32_at, requantise


def finisher(bias, multipliers, shifts, zero_point, low, high):
    """Return f(sum of products, n) = output n of a PRODUCTS or TAPS op."""

    def finish(total, n):
        value = requantise(total + int32_at(bias, n), int32_at(multipliers, n), int32_at(shifts, n))
        return min(max(value + zero_point, low), high)

    return finish
