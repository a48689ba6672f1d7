"""The numpy kernel trains as the boards' kernel in plain Python does. (Its int8 part is compared in
test_models_exact.)"""

from array import array

import numpy as np

from fedmote.models import reference
from mote import kernels

plain = kernels.choose("plain")

ROWS, COLUMNS = 5, 9


def floats(random: np.random.Generator, count: int) -> "array[float]":
    return array("f", random.normal(size=count).astype(np.float32))


def test_affine() -> None:
    random = np.random.default_rng(1)
    weights, bias, x = floats(random, ROWS * COLUMNS), floats(random, ROWS), floats(random, COLUMNS)
    results = []
    for kernel in (plain, reference):
        y = array("f", bytes(4 * ROWS))
        kernel.affine(memoryview(weights), memoryview(bias), x, y)
        results.append(y)
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_affine_backward_adds_to_the_slopes_and_overwrites_that_of_the_input() -> None:
    results = []
    for kernel in (plain, reference):
        random = np.random.default_rng(2)
        weights, x, slope = floats(random, ROWS * COLUMNS), floats(random, COLUMNS), floats(random, ROWS)
        sums = floats(random, ROWS * COLUMNS), floats(random, ROWS), floats(random, COLUMNS)
        kernel.affine_backward(memoryview(weights), x, slope, *sums)
        kernel.affine_backward(memoryview(weights), x, slope, *sums[:2], None)
        results.append(np.concatenate(sums))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)


def test_descend_decays_and_clears_the_slopes() -> None:
    results = []
    for kernel in (plain, reference):
        random = np.random.default_rng(3)
        values, slopes = floats(random, 40), floats(random, 40)
        kernel.descend(values, slopes, 0.1, 0.01)
        assert not any(slopes)
        results.append(values)
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-7)
