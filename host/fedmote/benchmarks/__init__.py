"""What ``fedmote bench`` can measure: benchmarks that show figures and tell which demands were missed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.table import Table

from fedmote.benchmarks import emulated, inference, intruder, kernels, learning, survival, throughput, ulab
from fedmote.models.application import Application

__all__ = [
    "BENCHMARKS",
    "EMULATED_BENCHMARKS",
    "FEDERATION_BENCHMARKS",
    "MODEL_BENCHMARKS",
    "Benchmark",
    "EmulatedBenchmark",
    "FederationBenchmark",
    "ModelBenchmark",
    "Outcome",
]


class Outcome(Protocol):
    """What a benchmark found."""

    def summary(self) -> dict[str, Any]:
        """Return all figures for machines, to be written as JSON."""

    def table(self) -> Table:
        """Return the figures that a person wants to see."""

    def missed(self) -> list[str]:
        """Return a sentence for every demand, such as those of ``[bar]`` in model.toml, that was not met."""


#: takes the application, the seed, and a function to call with (done, in all) on the way
Benchmark = Callable[[Application, int, Callable[[int, int], None]], Outcome]

#: takes a folder of .tflite files (None: the default one), the seed, and a function as above
ModelBenchmark = Callable[[Path | None, int, Callable[[int, int], None]], Outcome]


#: takes the name of the board, and what a ModelBenchmark takes
EmulatedBenchmark = Callable[[str, Path | None, int, Callable[[int, int], None]], Outcome]


class FederationBenchmark(NamedTuple):
    """run: takes the seed, a function as above, and by name what is given of the ``options``."""

    run: Callable[..., Outcome]
    options: tuple[str, ...]


#: name on the command line -> benchmark of an application
BENCHMARKS: dict[str, Benchmark] = {"learning": learning.run}

#: name on the command line, in place of an application -> benchmark of .tflite models
MODEL_BENCHMARKS: dict[str, ModelBenchmark] = {"inference": inference.run, "kernels": kernels.run}

#: name on the command line -> the benchmark on an emulated board
EMULATED_BENCHMARKS: dict[str, EmulatedBenchmark] = {"inference": emulated.run, "ulab": ulab.run}

#: name on the command line, in place of an application -> benchmark of a federation's processes
FEDERATION_BENCHMARKS = {
    "survival": FederationBenchmark(survival.run, ("boards", "kills", "rounds")),
    "throughput": FederationBenchmark(throughput.run, ("devices",)),
    "intruder": FederationBenchmark(intruder.run, ("messages", "boards")),
}
