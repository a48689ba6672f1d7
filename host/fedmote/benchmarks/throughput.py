"""How many updates one aggregator takes in a second, and in how much memory: a crowd of devices on a real
broker, with Flower's averaging of the same updates beside it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from fedmote.benchmarks.averaging import FEDMOTE, FLOWER, Average, version_of
from fedmote.benchmarks.crowd import Sent
from fedmote.benchmarks.served import Served, Task
from fedmote.errors import FedmoteError
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.store import STORE_NAME

PARAMETERS = 50_000
#: a round of this many devices within this time is what is asked for
AIM_DEVICES, AIM_S = 10_000, 60.0
#: more memory for each device more, what is known of it, never its update; and for caches that fill up
AIM_BYTES_PER_DEVICE, CACHE_BYTES = 4_000, 20 << 20
_PATIENCE_S = 1200.0
_MIB = 1 << 20
_RUN = "from fedmote.benchmarks.{} import main; main()"


@dataclass(frozen=True)
class Round:
    """One round of a crowd. flower: None where flwr is not installed. load: of the machine when it ended."""

    devices: int
    served: Served
    sent: Sent
    fedmote: Average
    flower: Average | None
    load: float

    @property
    def updates_per_s(self) -> float:
        """Updates that were taken, checked, stored, averaged and published in a second."""
        return self.served.updates / self.served.round_s


@dataclass(frozen=True)
class Throughput:
    """What came of all crowds, the smallest first."""

    parameters: int
    cores: int
    rounds: tuple[Round, ...]

    def missed(self) -> list[str]:
        """Return a sentence for every demand that was not met."""
        missed = []
        for one in self.rounds:
            if one.served.updates != one.devices:
                missed.append(f"{one.served.updates} updates of {one.devices} devices count")
            if one.served.sha256 != one.fedmote.sha256:
                missed.append(f"the model of {one.devices} updates is not their mean, to the bit")
            if one.devices <= AIM_DEVICES and one.served.round_s > AIM_S:
                missed.append(
                    f"a round of {one.devices} devices took {one.served.round_s:.0f} s, at most {AIM_S:.0f}"
                )
        first, last = self.rounds[0], self.rounds[-1]
        more = last.devices - first.devices
        growth = last.served.peak_rss_bytes - first.served.peak_rss_bytes
        limit = CACHE_BYTES + AIM_BYTES_PER_DEVICE * more
        if growth > limit:
            missed.append(f"{more} devices more take {growth / _MIB:.0f} MiB, at most {limit / _MIB:.0f}")
        return missed

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        rounds = [{**asdict(one), "updates_per_s": round(one.updates_per_s, 1)} for one in self.rounds]
        return {
            "parameters": self.parameters,
            "cores": self.cores,
            "rounds": rounds,
            "missed": self.missed(),
        }

    def table(self) -> Table:
        """Return the figures for a person."""
        title = f"one aggregator, {self.parameters} parameters, int8, {self.cores} cores"
        table = Table(box=None, title=title, title_justify="left")
        for name in _COLUMNS:
            table.add_column(name, justify="right")
        for one in self.rounds:
            table.add_row(*(cell(one) for cell in _COLUMNS.values()))
        return table


_COLUMNS: dict[str, Callable[[Round], str]] = {
    "devices": lambda one: str(one.devices),
    "round": lambda one: f"{one.served.round_s:.1f} s",
    "updates/s": lambda one: f"{one.updates_per_s:.0f}",
    "messages/s": lambda one: f"{one.sent.messages / one.served.round_s:.0f}",
    "CPU": lambda one: f"{one.served.cpu_s:.1f} s",
    "peak memory": lambda one: f"{one.served.peak_rss_bytes / _MIB:.0f} MiB",
    "averaging": lambda one: f"{one.fedmote.seconds:.2f} s, +{one.fedmote.grown_bytes / _MIB:.0f} MiB",
    "Flower": lambda one: (
        f"{one.flower.seconds:.2f} s, +{one.flower.grown_bytes / _MIB:.0f} MiB" if one.flower else "–"
    ),
}


def run(
    seed: int,
    progress: Callable[[int, int], None],
    devices: tuple[int, ...] = (1000, 10_000),
    parameters: int = PARAMETERS,
) -> Throughput:
    """Measure one round for each number of devices. seed: has no meaning here, the crowd is always the same.

    Raises FedmoteError where a process fails.
    """
    rounds = []
    for done, count in enumerate(sorted(devices)):
        progress(done, len(devices))
        rounds.append(_round(count, parameters))
    return Throughput(parameters, os.cpu_count() or 1, tuple(rounds))


def _round(devices: int, parameters: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="fedmote-throughput-") as folder, EmbeddedBroker() as broker:
        url = broker.address.url
        task = Task(str(Path(folder) / STORE_NAME), url, devices, parameters)
        aggregator = _start("served", json.dumps(asdict(task)))
        try:
            assert aggregator.stdout is not None
            aggregator.stdout.readline()  # it serves
            sent = Sent(**_finish(_start("crowd", url, devices, parameters)))
            served = Served(**_finish(aggregator))
        finally:
            aggregator.kill()
    fedmote = Average(**_finish(_start("averaging", FEDMOTE, devices, parameters)))
    flower = None
    if _has_flower():
        flower = Average(**_finish(_start("averaging", FLOWER, devices, parameters)))
    return Round(devices, served, sent, fedmote, flower, os.getloadavg()[0])


def _has_flower() -> bool:
    try:
        version_of(FLOWER)
    except ImportError:
        return False
    return True


def _start(module: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _RUN.format(module), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return what a process prints last. Raises FedmoteError where it fails or takes too long."""
    try:
        out, err = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise FedmoteError(f"the benchmark took more than {_PATIENCE_S:.0f} s") from None
    if process.returncode:
        raise FedmoteError(f"a process of the benchmark failed:\n{err}")
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures
