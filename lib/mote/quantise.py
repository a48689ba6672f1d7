"""TensorFlow Lite Micro's fixed-point multipliers, in integers: a board with short floats gets the same bits.

Source: `QuantizeMultiplier` and the int8 FULLY_CONNECTED and SOFTMAX preparations of tflite-micro.
Scales go in as the bit patterns of float32 values (``bits_of``), never as floats: CircuitPython keeps only 30
bits of one.
"""

import struct


def bits_of(value):
    """Return the bit pattern of ``value`` as float32."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


def multiplier_of(input_scale, weight_scale, output_scale):
    """Return (multiplier, shift) of ``input_scale * weight_scale / output_scale``.

    Arguments: float32 bit patterns of positive scales; the product is that of doubles. multiplier: Q31,
    2^30 to 2^31 - 1. shift: exponent, negative shifts right.
    Raises ValueError for a scale that is zero, negative, infinite or not a number.
    """
    x, x_exponent = _decompose(input_scale)
    w, w_exponent = _decompose(weight_scale)
    y, y_exponent = _decompose(output_scale)
    return _q31(x * w, y, x_exponent + w_exponent - y_exponent)


def product_bits(factor, scale):
    """Return the float32 bits of ``factor * scale``, rounded to even. factor: integer. scale: its bits.

    Raises ValueError for a scale that is not a positive normal float32, and for a product that is none.
    """
    if factor == 0:
        return 0
    mantissa, exponent = _decompose(scale)
    quotient, up = _round(abs(factor) * mantissa, 1, 24)
    if quotient >> 24:  # rounded up to the next power of two
        quotient, up = quotient >> 1, up + 1
    exponent += up + 150
    if not 0 < exponent < 255:
        raise ValueError("%d times the scale with bits 0x%08x is no normal float32" % (factor, scale))
    return (0x80000000 if factor < 0 else 0) | exponent << 23 | quotient & 0x7FFFFF


def softmax_parameters(input_scale):
    """Return (multiplier, left shift, smallest difference) of an int8 softmax with beta 1. input_scale:
    float32 bits."""
    mantissa, exponent = _decompose(input_scale)
    multiplier, shift = _q31(mantissa, 1, exponent + 26)
    if shift > 31:
        multiplier, shift = 0x7FFFFFFF, 31
    if shift < 0:
        raise ValueError("softmax input scale with bits 0x%08x is below 2^-26" % input_scale)
    return multiplier, shift, -((31 << 26) >> shift)


def _decompose(bits):
    """Return (mantissa, exponent): the value is mantissa * 2^exponent."""
    exponent = bits >> 23
    if not 0 < exponent < 255:
        raise ValueError("scale with bits 0x%08x is not a positive normal float32" % bits)
    return bits & 0x7FFFFF | 0x800000, exponent - 150


def _q31(numerator, denominator, exponent):
    quotient, up = _round(numerator, denominator, 53)  # a double
    quotient = (quotient + (1 << 21)) >> 22  # std::round to 31 bits
    exponent += up + 22 + 31
    if quotient == 1 << 31:
        quotient, exponent = 1 << 30, exponent + 1
    return quotient, exponent


def _round(numerator, denominator, bits):
    """Return (q, e): numerator / denominator is about q * 2^e, q has ``bits`` bits, ties to even."""
    shift = _length(denominator) - _length(numerator) + bits
    while True:
        n, d = (numerator << shift, denominator) if shift >= 0 else (numerator, denominator << -shift)
        quotient, rest = n // d, n % d
        if not quotient >> bits:
            break
        shift -= 1
    if 2 * rest > d or (2 * rest == d and quotient & 1):
        quotient += 1
    return quotient, -shift


def _length(number):
    length = 0
    while number:
        number >>= 1
        length += 1
    return length
