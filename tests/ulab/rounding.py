"""The float requantisation of the ulab kernel against the integers,
where they are most likely to differ. See rules.py."""

from struct import pack

import small_network
from ulab import numpy as np

from mote.kernels.plain.arithmetic import requantise
from mote.kernels.ulab.arithmetic import Requantiser

_LIMIT = (1 << 23) - 1
_FEW = 60  # one sum in so many may be computed in integers, of those that lie anywhere


def test_requantisation_is_exact_next_to_every_output_step():
    random = small_network.Random(21)
    for shift in range(-20, 1):
        for _ in range(4):
            multiplier, bias = _multiplier(random), random.below(4096) - 2048
            sums = [
                (((2 * level - 1) << (30 - shift)) // multiplier) - bias + near
                for level in range(-127, 128)
                for near in range(-2, 3)
            ]
            sums = [total for total in sums if abs(total) <= _LIMIT]
            _compare(sums, [multiplier], shift, random, bias)


def test_requantisation_is_exact_next_to_ties_of_the_product():
    random = small_network.Random(22)
    sums, multipliers = [], []
    for _ in range(300):
        multiplier = _multiplier(random) | 1
        inverse = multiplier
        for _ in range(5):  # modulo 2^31, each step doubles the bits that are right
            inverse = inverse * (2 - multiplier * inverse) & 0x7FFFFFFF
        for product in range(0x40000000 - 300, 0x40000000 + 300):
            total = product * inverse & 0x7FFFFFFF
            total -= (total & 0x40000000) << 1
            if abs(total) <= _LIMIT:
                sums.append(total)
                multipliers.append(multiplier)
    assert len(sums) > 1000
    for shift in (0, -1, -2, -8, -16, -20):
        _compare(sums, multipliers, shift, random)


def test_requantisation_is_exact_for_any_sum_and_seldom_needs_integers():
    random = small_network.Random(23)
    for multiplier in (0, 1 << 30, (1 << 30) + 1, (1 << 31) - 1, _multiplier(random)):
        sums = [0, 1, -1, 4095, 4096, -4096, -4097, _LIMIT, -_LIMIT]
        sums += [random.below(1 << 23) - random.below(1 << 23) for _ in range(1000)]
        for shift in (0, -1, -5, -15, -16, -23, -31):
            counted = _compare(sums, [multiplier], shift, random)
            # half of the products of 2^30 are ties until so many bits are dropped
            assert counted * _FEW < len(sums) or multiplier - (1 << 30) in (0, 1) and shift > -6


def test_outputs_of_rows_and_of_columns_have_their_own_factors():
    random = small_network.Random(24)
    constants = [[random.below(100) - 50 for _ in range(5)], [_multiplier(random) for _ in range(5)]]
    constants.append([-random.below(3) - 9 for _ in range(5)])
    scaled = Requantiser([pack("<5i", *values) for values in constants], 3, -128, 127, 1 << 20, 40)
    totals = [[random.below(1 << 17) - (1 << 16) for _ in range(8)] for _ in range(5)]
    expected = [
        [min(max(requantise(total + bias, multiplier, shift) + 3, -128), 127) for total in row]
        for row, bias, multiplier, shift in zip(totals, *constants)
    ]
    of_rows = _written(scaled, totals, lambda place: totals[place[0]][place[1]], 0, True)
    assert of_rows.tolist() == expected
    turned = [list(column) for column in zip(*totals)][:6]
    some = [column[1:4] for column in turned]
    of_columns = _written(scaled, some, lambda place: some[place[0]][place[1]], 1)
    assert of_columns.tolist() == [[row[pixel] for row in expected[1:4]] for pixel in range(6)]


def test_factors_that_leave_too_much_in_doubt_are_not_possible():
    for bias, multiplier, shift, low in (
        (1 << 24, 1 << 30, 0, -128),  # the bias alone takes all bits of a float
        (0, 1 << 30, 1, -128),
        (0, -1, 0, -128),
        (0, 1 << 30, 0, -129),
    ):
        constants = [pack("<i", value) for value in (bias, multiplier, shift)]
        assert not Requantiser(constants, 0, low, 127, 100, 10).possible


def _written(scaled, sums, total_of, first=0, across=False):
    values = np.array(sums)
    target = np.ones(values.shape, dtype=np.int8)
    scaled.writer(values.shape, across)(values, total_of, target, first)
    return target


def _multiplier(random):
    return (1 << 30) + (random.below(1 << 15) << 15) + random.below(1 << 15)


def _compare(sums, multipliers, shift, random, bias=0):
    """Compare with integers, for an output range with its zero point at the lower end, and inside. Return how
    many sums were computed in integers, on average."""
    counted = []
    of_outputs = [bias] * len(multipliers), multipliers, [shift] * len(multipliers)
    constants = [pack("<%di" % len(multipliers), *values) for values in of_outputs]
    zero_point = random.below(256) - 128
    factors = multipliers if len(multipliers) > 1 else multipliers * len(sums)
    for low in (zero_point, -128):
        scaled = Requantiser(constants, zero_point, low, 127, _LIMIT, len(sums))
        assert scaled.possible

        def total_of(place):
            counted.append(place)
            return sums[place]

        results = _written(scaled, sums, total_of)
        expected = [requantise(total + bias, m, shift) + zero_point for total, m in zip(sums, factors)]
        assert results.tolist() == [min(max(value, low), 127) for value in expected], (shift, zero_point)
    return len(counted) // 2
