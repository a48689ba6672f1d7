"""What a user can rely on: federated averaging is the mean by samples, whatever the number of boards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmote.federation.rules import RULES


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_federated_averaging_equals_the_weighted_mean_of_numpy(weights: list[int], seed: int) -> None:
    deltas = np.random.default_rng(seed).normal(size=(len(weights), 17)).astype(np.float32)
    rule = RULES["fedavg"](17)
    for delta, weight in zip(deltas, weights, strict=True):
        rule.add(delta, weight)
    expected = np.average(deltas.astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(rule.result(), expected, rtol=1e-9, atol=1e-12)


def test_a_delta_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        RULES["fedavg"](3).add(np.ones(3, np.float32), 0)


def test_the_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no deltas"):
        RULES["fedavg"](3).result()
