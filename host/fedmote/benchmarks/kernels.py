"""Counts what native kernels take on emulated cores, layer by layer and model by model, beside CMSIS-NN. Only
machine code is counted: ``fedmote bench inference --emulated`` has the interpreter, too."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from rich.table import Column, Table

from fedmote.benchmarks import inference, layers
from fedmote.boards import catalogue, image
from fedmote.kernels.emulation import Core
from fedmote.kernels.stand_in import StandIn
from fedmote.models import reference, tflite
from fedmote.models.compiler import FORMS, compile_network
from mote.model import Model

#: what every layer and model took when it was last found to be right, written by ``make pins``
PINS = Path(__file__).with_name("pinned_cycles.json")
#: so much more than pinned is a regression
TOLERANCE = 0.03
CLOCK_HZ = 125_000_000
_CMSIS_HZ = 133_000_000


class Target(NamedTuple):
    """board: whose files are measured. core: what runs them here. unit: what it counts."""

    board: str
    core: Callable[[], Core]
    unit: str


#: native kernel -> how it is measured
TARGETS = MappingProxyType({"armv6m": Target("rpi_pico", Core.cortex_m0plus, "cycles")})


class Bar(NamedTuple):
    """ms: demanded of a whole model at CLOCK_HZ on one core. cmsis_ms: what CMSIS-NN takes for its
    convolutions and dense layers at 133 MHz."""

    ms: float
    cmsis_ms: float


#: name of a .tflite file -> what is demanded of the Cortex-M0+
BARS = MappingProxyType(
    {
        "tflm_person_detect": Bar(320, 864),
        "mlperf_kws_ref_model": Bar(120, 299),
        "mlperf_vww_96_int8": Bar(340, 900),
        "mlperf_pretrainedResnet_quant": Bar(420, 960),
        "tflm_micro_speech_quantized": Bar(12, 25),
        "mlperf_ad01_int8": Bar(12, 18),
    }
)


@dataclass(frozen=True)
class Step:
    """An op that has run. cycles: None where it has no machine code. differing: values that are not the
    reference's."""

    op: str
    macs: int
    cycles: int | None
    differing: int


@dataclass(frozen=True)
class Measured:
    """A layer, or a model where ``is_model``, on a kernel.

    bar, cmsis: cycles per MAC, for a model milliseconds at CLOCK_HZ; None where there is none. pinned:
    cycles.
    """

    kernel: str
    name: str
    is_model: bool
    steps: tuple[Step, ...]
    bar: float | None
    cmsis: float | None
    pinned: int | None

    @property
    def macs(self) -> int:
        """Multiplications."""
        return sum(step.macs for step in self.steps)

    @property
    def cycles(self) -> int:
        """All that were counted: instructions, for a core without a table."""
        return sum(step.cycles or 0 for step in self.steps)

    @property
    def per_mac(self) -> float:
        """Cycles per multiplication."""
        return self.cycles / self.macs

    @property
    def ms(self) -> float:
        """Time at CLOCK_HZ."""
        return 1000 * self.cycles / CLOCK_HZ

    @property
    def uncounted(self) -> list[str]:
        """Ops that took no cycles, as they have no machine code."""
        return sorted({step.op for step in self.steps if step.cycles is None})

    @property
    def differing(self) -> int:
        """Values that are not the reference's."""
        return sum(step.differing for step in self.steps)

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        unit = "ms" if self.is_model else "per_mac"
        figures: dict[str, Any] = {
            "kernel": self.kernel,
            "name": self.name,
            "macs": self.macs,
            TARGETS[self.kernel].unit: self.cycles,
            "per_mac": round(self.per_mac, 3),
            "ms": round(self.ms, 3),
            f"cmsis_{unit}": self.cmsis and round(self.cmsis, 2),
            f"bar_{unit}": self.bar,
            "pinned": self.pinned,
            "differing": self.differing,
        }
        if self.is_model:
            figures |= {"uncounted": self.uncounted, "ops": [asdict(step) for step in self.steps]}
        return figures

    def row(self) -> tuple[str, ...]:
        """Return the figures for people."""
        unit = " ms" if self.is_model else ""
        demands = [
            "" if one is None else f"{one:.{0 if unit else 2}f}{unit}" for one in (self.cmsis, self.bar)
        ]
        counted = f"{self.cycles:,}", f"{self.per_mac:.2f}", *demands, f"{self.ms:.1f}"
        return self.kernel, self.name, f"{self.macs:,}", *counted, str(self.differing)

    def missed(self) -> Iterator[str]:
        """Yield what is wrong."""
        value, unit = (self.ms, "ms") if self.is_model else (self.per_mac, "cycles per MAC")
        if self.differing:
            yield f"{self.differing} values differ from the reference"
        slow = {step.op for step in self.steps if step.macs and step.cycles is None}
        if slow:
            yield f"no machine code for {', '.join(sorted(slow))}"
        if self.bar is not None and value > self.bar:
            yield f"{value:.2f} {unit}, the bar is {self.bar:g}"
        if self.pinned is not None and self.cycles > self.pinned * (1 + TOLERANCE):
            yield f"{self.cycles} {TARGETS[self.kernel].unit}, more than {TOLERANCE:.0%} above {self.pinned}"


@dataclass(frozen=True)
class Kernels:
    """What was measured."""

    measured: tuple[Measured, ...]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return all figures: cycles, cycles per MAC, milliseconds at 125 MHz, CMSIS-NN's and the bars."""
        return {
            "layers": [one.summary() for one in self.measured if not one.is_model],
            "models": [one.summary() for one in self.measured if one.is_model],
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return a row per layer and model."""
        names = "MACs", "cycles", "a MAC", "CMSIS-NN", "bar", "ms", "differing"
        columns = (Column(name, justify="right", no_wrap=True) for name in names)
        table = Table("kernel", Column("", no_wrap=True), *columns, box=None)
        for one in self.measured:
            table.add_row(*one.row(), style="bold red" if any(one.missed()) else "")
        return table

    def missed(self) -> list[str]:
        """Return a sentence where values differ, a bar is missed, or cycles have grown by more than 3%."""
        return [f"{one.kernel}, {one.name}: {what}" for one in self.measured for what in one.missed()]


def run(folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> Kernels:
    """Measure the layers, and every .tflite file of a folder: of the one that FEDMOTE_MODELS_DIR names by
    default, of none where it names none.

    progress: called with (done, in all). Raises FedmoteError where the emulator is missing.
    """
    start = perf_counter()
    paths = inference.models_in(folder) if folder or inference.FOLDER_VARIABLE in os.environ else []
    pins = json.loads(PINS.read_text(encoding="utf-8"))
    measured: list[Measured] = []
    total = len(TARGETS) * (len(layers.LAYERS) + len(paths))
    for kernel in TARGETS:
        mpy = machine_code(kernel)
        jobs = [partial(_layer, layer, kernel, mpy, seed) for layer in layers.LAYERS]
        jobs += [partial(_model, path, kernel, mpy, seed) for path in paths]
        for job in jobs:
            progress(len(measured), total)
            measured.append(job(pins.get(kernel, {})))
    return Kernels(tuple(measured), round(perf_counter() - start, 1))


def machine_code(kernel: str) -> bytes:
    """Return the .mpy file of a kernel's machine code as a board has it."""
    files = image.program(catalogue.find(TARGETS[kernel].board), "micropython")
    return files[f"lib/mote/kernels/{kernel}/code.mpy"]


def _layer(layer: layers.Layer, kernel: str, mpy: bytes, seed: int, pins: dict[str, int]) -> Measured:
    steps = steps_of(layers.compiled(layer, FORMS[kernel], seed), kernel, mpy, [layer.macs], seed)
    bar, cmsis = (layer.bar, layer.cmsis) if kernel == "armv6m" else (None, None)
    return Measured(kernel, layer.name, False, steps, bar, cmsis, pins.get(layer.name))


def _model(path: Path, kernel: str, mpy: bytes, seed: int, pins: dict[str, int]) -> Measured:
    compiled = compile_network(tflite.read(path.read_bytes()), kernel)
    steps = steps_of(compiled.mote, kernel, mpy, [row.macs for row in compiled.ops], seed)
    bar = BARS.get(path.stem) if kernel == "armv6m" else None
    cmsis = bar and bar.cmsis_ms * _CMSIS_HZ / CLOCK_HZ
    return Measured(kernel, path.stem, True, steps, bar and bar.ms, cmsis, pins.get(path.stem))


def steps_of(mote: bytes, kernel: str, mpy: bytes, macs: list[int], seed: int) -> tuple[Step, ...]:
    """Run a model on a random input, op by op, beside the reference."""
    stand_in = StandIn(kernel, mpy, TARGETS[kernel].core())
    model, expected = Model(mote, stand_in), Model(mote, reference)
    values = np.random.default_rng(seed).integers(-128, 128, len(model.input), np.int8)
    model.input[:] = expected.input[:] = values.data
    steps = []
    first = len(model.steps) - len(macs)
    for number, op in enumerate(model.ops[first:], first):
        before = stand_in.memory.cycles
        model.steps[number]()
        expected.steps[number]()
        spent = stand_in.memory.cycles - before
        found, wanted = (
            np.frombuffer(one.ops[number].tensors[-1].data, np.int8) for one in (model, expected)
        )
        differing = int((found != wanted).sum())
        steps.append(Step(op.name, macs[number - first], spent or None, differing))
    return tuple(steps)
