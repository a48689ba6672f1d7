"""The float requantisation of the ulab kernel against the integers,
where they are most likely to differ. See rules.py."""

import small_network
from ulab import numpy as np

from mote.kernels.plain.arithmetic import requantise
from mote.kernels.ulab.arithmetic import requantiser

_LIMIT = (1 << 23) - 1


def test_requantisation_is_exact_next_to_every_output_step():
    random = small_network.Random(21)
    for shift in range(-20, 1):
        for _ in range(4):
            multiplier = _multiplier(random)
            sums = [
                (((2 * level - 1) << (30 - shift)) // multiplier) + near
                for level in range(-127, 128)
                for near in range(-2, 3)
            ]
            sums = [total for total in sums if abs(total) <= _LIMIT]
            _compare(sums, [multiplier] * len(sums), shift, random)


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
    for shift in (0, -1, -2, -8, -20):
        _compare(sums, multipliers, shift, random)


def test_requantisation_is_exact_for_any_sum():
    random = small_network.Random(23)
    for multiplier in (1 << 30, (1 << 30) + 1, (1 << 31) - 1, _multiplier(random)):
        sums = [0, 1, -1, 4095, 4096, -4096, -4097, _LIMIT, -_LIMIT]
        sums += [random.below(1 << 23) - random.below(1 << 23) for _ in range(1000)]
        for shift in (0, -1, -5, -15, -16, -23, -40):
            _compare(sums, [multiplier] * len(sums), shift, random)


def _multiplier(random):
    return (1 << 30) + (random.below(1 << 15) << 15) + random.below(1 << 15)


def _compare(sums, multipliers, shift, random):
    zero_point = random.below(256) - 128
    results = requantiser(multipliers, [shift] * len(sums), zero_point)(np.array(sums))
    expected = [requantise(total, m, shift) + zero_point for total, m in zip(sums, multipliers)]
    results -= np.array(expected)  # as arrays: a Python float may have fewer bits
    assert not any(results.tolist()), (shift, zero_point)
