"""Fixed-point arithmetic of TensorFlow Lite Micro's int8 kernels (gemmlowp), on Python integers."""


def requantise(value, multiplier, shift):
    """Return value * multiplier * 2^(shift - 31): a rounding
    doubling high multiply, then a rounding right shift."""
    if shift > 0:
        value <<= shift
    value = (value * multiplier + 0x40000000) >> 31
    return rounding_shift(value, -shift) if shift < 0 else value


def high(a, b):
    """Saturating rounding doubling high multiply of two int32."""
    if a == b == -0x80000000:
        return 0x7FFFFFFF
    return (a * b + 0x40000000) >> 31


def rounding_shift(value, shift):
    """Divide by 2^shift, ties away from zero."""
    return value if shift == 0 else (value + (1 << (shift - 1)) - (value < 0)) >> shift


def int32_at(view, index):
    """Return the int32 number ``index`` of a view of bytes, little-endian, without allocating."""
    index *= 4
    value = view[index] | view[index + 1] << 8 | view[index + 2] << 16 | view[index + 3] << 24
    return value - 0x100000000 if value & 0x80000000 else value
