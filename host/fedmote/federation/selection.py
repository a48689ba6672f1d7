"""Who trains in a round, for how long, and what a late update still weighs. Pure; it knows no store."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from fedmote.federation.plan import BUFFERED, Plan

#: versions that an update may be behind and still count, where late ones do
STALENESS_LIMIT = 16

_TRAINING_SHARE = 0.5  # of a deadline; fetching, measuring and sending take the rest


@dataclass(frozen=True)
class Choice:
    """goal: updates that end the round, 0 where all are waited for. devices: the learners that train, by
    name; None: every board does that comes."""

    goal: int
    devices: tuple[str, ...] | None


def choose(plan: Plan, number: int, learners: Iterable[str]) -> Choice:
    """Return who of the learners trains in a round; the same for the same seed, whatever their order."""
    buffered = plan.mode == BUFFERED
    if plan.fraction == 1 and (buffered or not plan.maximum):
        return Choice(plan.buffer if buffered else 0, None)
    ranked = rank(plan.seed, number, learners)
    wanted = ceil(plan.fraction * len(ranked))
    if not buffered:
        wanted = min(max(plan.minimum, wanted), plan.maximum or len(ranked), len(ranked))
    return Choice(plan.buffer if buffered else wanted, tuple(sorted(ranked[: more(plan, wanted)])))


def more(plan: Plan, count: int) -> int:
    """Return how many learners are chosen where so many updates are needed."""
    return ceil(round(count * (1 + plan.spare), 6))


def rank(seed: int, number: int, learners: Iterable[str]) -> list[str]:
    """Return the learners in the order in which a round chooses them."""
    return sorted(learners, key=lambda name: hashlib.sha256(f"{seed}/{number}/{name}".encode()).digest())


def epochs_for(plan: Plan, epoch_ms: float | None) -> int:
    """Return the local epochs of a board, fewer where it would not be done by the deadline.

    epoch_ms: how long a pass over its samples took it last, None where that is not known.
    """
    if not epoch_ms:
        return plan.epochs
    fits = _TRAINING_SHARE * 1000 * plan.deadline_s / epoch_ms
    return max(1, int(min(plan.epochs, fits)))


def weight_of(samples: int, staleness: int) -> float:
    """Return the weight of an update that is so many versions behind.

    The square root is that of FedAsync (Xie et al. 2019) and FedBuff (Nguyen et al. 2022).
    """
    return samples if staleness <= 0 else samples * float((1 + staleness) ** -0.5)
