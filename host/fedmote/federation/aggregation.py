"""From the updates of a round to the next model. It decides on no round; in the store it notes only what
sparse steps leave for the next one."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fedmote.federation.bodies import Form, Report
from fedmote.federation.rules import RULES
from fedmote.federation.selection import weight_of
from fedmote.federation.steps import ternary_step
from fedmote.federation.store import Model, Store
from mote import codec, wire

_REST = "steps' rest"  # the check sum of the model that it is for, and float64 [D] in base 64


def aggregate(
    store: Store, rule_name: str, form: Form, base: Model, updates: Iterable[tuple[str, int]]
) -> NDArray[np.float32]:
    """Return the new model, float32 [D], of the updates (device, round it was made for).

    They are taken one at a time in the order of the devices' names, so that arrival does not matter. One that
    is for an older version than ``base`` weighs less. Where updates are ternary, so is the step to the new
    model; to be called within the transaction in which the model is stored.
    """
    rule = RULES[rule_name](len(base.values))
    for device, number in sorted(updates):
        body, version, samples = store.body_of(number, device)
        _, delta = form.decode(wire.UPDATE, body, version)
        rule.add(delta, weight_of(samples, base.version - version))
    if codec.CODECS[form.codec] != codec.TERNARY:
        return (base.values + rule.result()).astype(np.float32)
    new, rest = ternary_step(base.values, rule.result() + _rest(store, base.values))
    store.set_meta(_REST, f"{_sum(new)} {b64encode(rest.tobytes()).decode()}")
    return new


def mean_ranges(reports: Sequence[Report]) -> NDArray[np.float64] | None:
    """Return the mean of the reported ranges, weighted by samples, None where nobody measured any: one odd
    board must not stretch everybody's scales."""
    measured = [report for report in reports if report.evaluated and report.ranges]
    if not measured:
        return None
    weights = [report.evaluated for report in measured]
    return np.asarray(np.average([report.ranges for report in measured], axis=0, weights=weights))


def _rest(store: Store, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what earlier steps have left, zeros where they led to another model, as before a roll-back."""
    whose, _, text = (store.meta(_REST) or "").partition(" ")
    if whose != _sum(values):
        return np.zeros(len(values))
    return np.frombuffer(b64decode(text), np.float64)


def _sum(values: NDArray[np.float32]) -> str:
    return f"{crc32(values.astype(np.float32).tobytes()):08x}"
