"""The process that a benchmark measures: one aggregator that runs one round for a crowd of devices.

It runs ``main`` with a Task as JSON, says ``ready`` when it serves, and prints Served as JSON at the end.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fedmote.benchmarks.crowd import FEDERATION, LAYOUT, device_names, key_of, sizes_of
from fedmote.federation import events
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.plan import Plan
from fedmote.federation.service import serve
from fedmote.federation.store import Store

DEADLINE_S = 900.0


@dataclass(frozen=True)
class Task:
    """path: of the store. broker: URL. parameters: of the model."""

    path: str
    broker: str
    devices: int
    parameters: int


@dataclass(frozen=True)
class Served:
    """What one round cost an aggregator.

    round_s: from the announcement to the new model, on disk. cpu_s: of the process, for all it did.
    peak_rss_bytes: its memory at its largest. start_rss_bytes: and when the round began. sha256: of the new
    model.
    """

    updates: int
    round_s: float
    cpu_s: float
    peak_rss_bytes: int
    start_rss_bytes: int
    sha256: str


def main() -> None:
    """Serve one round."""
    task = Task(**json.loads(sys.argv[1]))
    plan = Plan(
        LAYOUT,
        sizes_of(task.parameters),
        0,
        minimum=task.devices,
        rounds=1,
        deadline_s=DEADLINE_S,
    )
    times: dict[str, float] = {}
    counted = 0

    def note(event: events.Event) -> None:
        nonlocal counted
        if isinstance(event, events.UpdateAccepted):
            counted += 1
        elif isinstance(event, events.RoundStarted):
            times.setdefault("started", time.perf_counter())
            times.setdefault("rss", rss_bytes())
        elif isinstance(event, events.RoundClosed):
            times.setdefault("closed", time.perf_counter())
            stop.set()

    with Store(Path(task.path)) as store:
        store.claim()
        store.adopt({name: key_of(name) for name in device_names(task.devices)})
        store.found("throughput", LAYOUT, np.zeros(task.parameters, np.float32))
        aggregator = Aggregator(store, FEDERATION, plan)
        aggregator.listeners.append(note)
        print("ready", flush=True)
        stop = asyncio.Event()
        asyncio.run(serve(aggregator, BrokerAddress.parse(task.broker), stop))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        served = Served(
            updates=counted,
            round_s=times["closed"] - times["started"],
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=usage.ru_maxrss * 1024,
            start_rss_bytes=int(times["rss"]),
            sha256=store.model().sha256,
        )
    print(json.dumps(asdict(served)))


def rss_bytes() -> int:
    """Return the memory that this process has now, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
