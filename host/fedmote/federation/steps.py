"""Sparse ternary steps of the global model, so that a board can follow it by downlinks of a few bytes.

The other half of sparse ternary compression (Sattler et al. 2019): what the aggregator does not publish of a
change stays for the next round. Pure arithmetic; it knows no rounds.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from mote import ternary


def ternary_step(
    base: NDArray[np.float32], change: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return (new model, what of ``change`` is left for the next round), float32 [D] and float64 [D].

    base: the model now. change: what it should change by, what was left of earlier rounds included. One of
    mote.ternary.SPARSITY values moves, all by one magnitude.
    """
    values = array("f", change.astype(np.float32).tobytes())
    positions = ternary.largest(values, ternary.places_of(len(base)))
    magnitude = np.float32(np.abs(change[positions]).mean())
    new = base.copy()
    new[positions] += np.where(change[positions] < 0, -magnitude, magnitude).astype(np.float32)
    return new, change - (new.astype(np.float64) - base)
