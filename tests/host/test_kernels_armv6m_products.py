"""What the products of Cortex-M0+ have on top of what all kernels in machine code have."""

import numpy as np
import pytest
from native_kernels import native
from product_cases import Case, arguments, results

from fedmote.models import reference


@pytest.mark.parametrize("outputs", [3, 8, 9, 30])
def test_two_cores_make_the_same_bytes(outputs: int) -> None:
    kernel = native("armv6m", cores=2)
    for case in (
        Case((5, 4, 8), outputs, (3, 3), padded=True),
        Case((1, 1, 33), outputs),
        Case((4, 4, 12), outputs),
    ):
        given = arguments(case, outputs)
        assert results(kernel, given) == results(reference, given)


@pytest.mark.parametrize("zero_point", [-128, -100, 0, 127])
def test_certain_estimates_are_the_exact_results(zero_point: int) -> None:
    rng = np.random.default_rng(zero_point + 128)
    count = 300
    multipliers = rng.integers(1 << 30, 1 << 31, count)
    shifts = -np.minimum(rng.integers(0, 14, count), rng.integers(0, 40, count))
    biases = rng.integers(-20000, 20000, count)
    spreads = rng.integers(1, 1 << 20, count)
    estimate = native("armv6m").products.__globals__["estimate"]
    halves = multipliers.astype("<u4").view("<u2").tolist()
    _, start, zones = estimate(biases.tolist(), spreads.tolist(), halves, shifts.tolist(), zero_point)
    certain = 0
    for bias, spread, multiplier, shift, zone in zip(
        biases, spreads, multipliers, shifts, zones, strict=True
    ):
        if not zone:
            continue
        far = min(int(spread), 300 << (1 - shift) if shift > -20 else int(spread))  # where bytes change
        sums = np.unique(
            np.concatenate([rng.integers(-far, far + 1, 3000) + bias, [bias - spread, bias + spread]])
        )
        sums = sums[abs(sums - bias) <= spread]
        high = (sums * multiplier + (1 << 30)) >> 31
        exact = (high + (1 << -shift >> 1) - (high < 0)) >> -shift if shift else high
        estimated = (sums >> 2) * (multiplier >> 10 - shift) + start
        assert (abs(estimated) < 1 << 31).all()
        sure = (estimated < 0) | ((estimated & 0x7FFFF) < int(zone) << 11)
        certain += sure.sum()
        expected = np.clip(exact + zero_point + 128, 0, 255)
        assert np.array_equal(np.clip(estimated >> 19, 0, 255)[sure], expected[sure])
    assert certain > 100 * count
