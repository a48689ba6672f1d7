"""Multipliers are TensorFlow Lite Micro's, to the last bit, without relying on the interpreter's floats."""

from struct import pack, unpack

from raising import text_of

from mote.quantise import bits_of, multiplier_of, product_bits, softmax_parameters


def test_multipliers_known_from_tflm():
    # QuantizeMultiplier of 0.5, 1, 1.5: mantissas 2^30, 2^30, 0.75 * 2^31
    one = bits_of(1.0)
    assert multiplier_of(one, bits_of(0.5), one) == (1 << 30, 0)
    assert multiplier_of(one, one, one) == (1 << 30, 1)
    assert multiplier_of(one, bits_of(1.5), one) == (3 << 29, 1)
    # 0.1 * 0.3 / 0.7 in double: 0.04285714286... = 0.6857142857... * 2^-4
    assert multiplier_of(0x3DCCCCCD, 0x3E99999A, 0x3F333333) == (1472560321, -4)


def test_product_is_not_rounded_to_float32():
    # float32(x * w) / y is exactly 2^-4, the product of doubles a hair less
    x, w, y = 0x3DB57875, 0x3DCEA307, 0x3E127A7F  # 0.0886087, 0.1008969, 0.1430454
    assert multiplier_of(x, w, y) == (2147483605, -4)


def test_softmax_parameters_known_from_tflm():
    # scale 1/16: 2^22 -> multiplier 2^30, shift 23; smallest difference -floor(31 * 2^26 / 2^23)
    assert softmax_parameters(bits_of(1 / 16)) == (1 << 30, 23, -248)


def test_products_are_those_of_float32():
    for scale in (0.1, 1 / 256, 0.0235, 3.0):
        bits = bits_of(scale)
        for factor in (-383, -255, -1, 0, 1, 7, 200, 383):
            if len(set([1.0, 1.0 + 2**-40])) == 2:  # floats are doubles: one rounding, as float32 has it
                (exact,) = unpack("<f", pack("<I", bits))
                assert product_bits(factor, bits) == bits_of(factor * exact)
    assert product_bits(3, bits_of(0.5)) == 0x3FC00000 and product_bits(-2, bits_of(1.0)) == 0xC0000000


def test_impossible_scales_are_refused():
    for value in (0.0, -1.0, float("inf"), float("nan")):
        assert "positive" in text_of(ValueError, multiplier_of, bits_of(value), bits_of(1.0), bits_of(1.0))
