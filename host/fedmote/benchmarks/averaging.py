"""Averages the updates of a crowd in memory, in a process of its own: by fedmote's rule, or by Flower.

The process runs ``main`` with ENGINE, DEVICES and PARAMETERS, and prints an Average as JSON.
"""

import hashlib
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.benchmarks.crowd import LAYOUT, SAMPLES, Body, noise_of, scale_of, sizes_of
from fedmote.benchmarks.served import rss_bytes
from fedmote.federation.plan import Plan
from fedmote.federation.rules import RULES
from mote import wire

FEDMOTE, FLOWER = "fedmote", "flower"


@dataclass(frozen=True)
class Average:
    """seconds: of the aggregation alone. peak_rss_bytes: of the process, with all it must hold for it.
    grown_bytes: over what the process had with its modules loaded. sha256: of the result as float32.
    """

    version: str
    seconds: float
    peak_rss_bytes: int
    grown_bytes: int
    sha256: str


def by_fedmote(devices: int, parameters: int) -> tuple[float, NDArray[np.float32]]:
    """Return seconds and mean, float32 [D]. Bodies come one at a time, as from the store."""
    plan = Plan(LAYOUT, sizes_of(parameters), 0)
    form, rule, noise = plan.form(plan.codec), RULES[plan.rule](parameters), noise_of(parameters, devices)
    seconds = 0.0
    for number in range(devices):
        body = b"".join(Body.of(number, plan.sizes, noise, 0).parts)
        began = time.perf_counter()
        report, delta = form.decode(wire.UPDATE, body, 0)
        rule.add(delta, report.samples)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    mean = rule.result().astype(np.float32)
    return seconds + time.perf_counter() - began, mean


def by_flower(devices: int, parameters: int) -> tuple[float, NDArray[np.float32]]:
    """Return seconds and mean, float32 [D], of deltas that were decoded before."""
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
    from flwr.server.strategy import FedAvg

    noise = np.frombuffer(noise_of(parameters, devices), np.int8)
    results: list[tuple[Any, Any]] = []
    for number in range(devices):
        delta = noise[number : number + parameters] * scale_of(number)
        tensors = np.split(delta, np.cumsum(sizes_of(parameters))[:-1])
        results.append((None, FitRes(Status(Code.OK, ""), ndarrays_to_parameters(tensors), SAMPLES, {})))
    began = time.perf_counter()
    mean, _ = FedAvg().aggregate_fit(1, results, [])
    seconds = time.perf_counter() - began
    assert mean is not None
    return seconds, np.concatenate(parameters_to_ndarrays(mean)).astype(np.float32)


def version_of(engine: str) -> str:
    """Return the version of an engine. Raises ImportError where it is not installed."""
    from importlib.metadata import version

    return version({FEDMOTE: "fedmote", FLOWER: "flwr"}[engine])


def main() -> None:
    """Measure; the arguments are engine, devices and parameters."""
    engine, devices, parameters = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    average = {FEDMOTE: by_fedmote, FLOWER: by_flower}[engine]
    average(2, parameters)  # loads all modules
    before = rss_bytes()
    seconds, mean = average(devices, parameters)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    digest = hashlib.sha256(mean.astype("<f4").tobytes()).hexdigest()
    print(json.dumps(asdict(Average(version_of(engine), seconds, peak, peak - before, digest))))
