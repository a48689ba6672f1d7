"""Aggregation rules: how the deltas of a round become one. Pure
arithmetic in O(D) memory; it knows no boards and no store."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Rule(Protocol):
    """Takes the deltas of a round one by one."""

    def add(self, delta: NDArray[np.float32], weight: float) -> None:
        """Take one delta, float32 [D], with its weight: the number of samples behind it, at most.

        A shorter one holds the last values, of a board that trains no others.
        """

    def result(self) -> NDArray[np.float64]:
        """Return the aggregate, float64 [D]."""


class FederatedAveraging:
    """The mean of the deltas weighted by samples: FedAvg, McMahan et al. 2017 (Communication-Efficient
    Learning of Deep Networks from Decentralized Data, AISTATS), in the form of deltas.

    Each value is the mean over the boards that train it, and stays where none does. size: D. The sum is kept
    in float64, so the deltas must come in a fixed order where the result is to be the same to the bit.
    """

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size)
        self._weights: dict[int, float] = {}  # by the first value that the deltas hold

    def add(self, delta: NDArray[np.float32], weight: float) -> None:
        """Take one delta, float32 [D] or its end, with its weight.

        Raises ValueError for a weight of 0 or less.
        """
        if not weight > 0:
            raise ValueError(f"weight {weight}: a delta weighs as much as the samples behind it, more than 0")
        start = len(self._sum) - len(delta)
        self._sum[start:] += weight * delta.astype(np.float64)
        self._weights[start] = self._weights.get(start, 0.0) + weight

    def result(self) -> NDArray[np.float64]:
        """Return the mean, float64 [D]. Raises ValueError where nothing was added."""
        if not self._weights:
            raise ValueError("there is no mean of no deltas")
        weights = np.zeros(len(self._sum))
        for start, weight in self._weights.items():
            weights[start:] += weight
        return np.divide(self._sum, weights, out=np.zeros(len(weights)), where=weights > 0)


RULES: dict[str, Callable[[int], Rule]] = {"fedavg": FederatedAveraging}
