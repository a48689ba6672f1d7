"""A small problem for the device tests: two kinds of rows that a network can tell apart after a few
epochs."""

from array import array

import small_network

from mote.features import Normaliser, Ring
from mote.local import Local
from mote.model import Model
from mote.train import Learner


def rows(count, seed=5, width=6):
    """Return [(row, label)]: label 1 rows have a larger second half."""
    random = small_network.Random(seed)
    out = []
    for n in range(count):
        label = n % 2
        row = [random.below(100) / 100 + (1.5 * label if k >= width // 2 else 0.0) for k in range(width)]
        out.append((array("f", row), label))
    return out


def local(form=0, frozen=0, learns=True, minimum=16, count=60, kernel="plain", seed=1, depth=0):
    """Return a Local over a network 6-40-2 (6-8-40-2 with frozen layers) whose ring holds ``count`` rows.

    depth: how many of the last layers it trains, 0 for all.
    """
    layers = [6, 8, 40, 2] if frozen else [6, 40, 2]
    learner = Learner(Model(small_network.build(layers, form, seed, frozen=frozen), kernel), depth)
    ring = Ring(64, 6)
    for row, label in rows(count):
        ring.add(row, label)
    return Local(learner, Normaliser(6, 0.001, 1 / 32), ring, 5, learns, minimum)


def start_values(local, seed=3):
    """Put small random weights into ``local.base``."""
    random = small_network.Random(seed)
    for k in range(len(local.base)):
        local.base[k] = (random.below(1000) - 500) / 1000


def drain(generator):
    """Run a generator to its end; return the number of slices."""
    slices = 0
    for _ in generator:
        slices += 1
    return slices
