"""What ``fedmote bench`` can measure: benchmarks that show figures and tell which demands were missed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rich.table import Table

from fedmote.benchmarks import inference, learning
from fedmote.models.application import Application

__all__ = ["BENCHMARKS", "MODEL_BENCHMARKS", "Benchmark", "ModelBenchmark", "Outcome"]


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

#: name on the command line -> benchmark of an application
BENCHMARKS: dict[str, Benchmark] = {"learning": learning.run}

#: name on the command line, in place of an application -> benchmark of .tflite models
MODEL_BENCHMARKS: dict[str, ModelBenchmark] = {"inference": inference.run}
