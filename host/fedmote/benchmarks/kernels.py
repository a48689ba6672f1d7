"""Counts what native kernels take on emulated cores, layer by layer and model by model, beside CMSIS-NN. Only
machine code is counted: ``fedmote bench inference --emulated`` has the interpreter, too."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import which
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from fedmote.benchmarks import inference, layers
from fedmote.benchmarks.kernel_figures import CLOCK_HZ, Kernels, Measured, Step
from fedmote.kernels import qemu
from fedmote.kernels.board_code import stand_in, viper_beside
from fedmote.kernels.stand_in import StandIn
from fedmote.models import reference, tflite
from fedmote.models.compiler import FORMS, compile_network
from mote.model import Model

#: what every layer and model took when it was last found to be right, written by ``make pins``
PINS = Path(__file__).with_name("pinned_cycles.json")
#: the one that CMSIS-NN and the bars are for
_CMSIS_KERNEL = "armv6m"
_CMSIS_HZ = 133_000_000


class Target(NamedTuple):
    """unit: what the kernel's core counts. cores: 2 where it uses both of a board. viper: whether that can be
    measured on the core, too. program: its emulator, where that is no Python package."""

    unit: str
    cores: int = 1
    viper: bool = True
    program: str | None = None


#: native kernel -> how it is measured
TARGETS = MappingProxyType(
    {
        "armv6m": Target("cycles", cores=2),
        "armv8m": Target("instructions"),
        "rv32": Target("instructions"),
        "xtensa": Target("instructions", program=qemu.PROGRAM),
    }
)


class Bar(NamedTuple):
    """ms: demanded of a whole model at CLOCK_HZ on one core. cmsis_ms: what CMSIS-NN takes for its
    convolutions and dense layers at 133 MHz. both_ms: demanded of two cores."""

    ms: float
    cmsis_ms: float
    both_ms: float | None = None


#: name of a .tflite file -> what is demanded of the Cortex-M0+
BARS = MappingProxyType(
    {
        "tflm_person_detect": Bar(320, 864, both_ms=140),
        "mlperf_kws_ref_model": Bar(120, 299),
        "mlperf_vww_96_int8": Bar(340, 900),
        "mlperf_pretrainedResnet_quant": Bar(420, 960),
        "tflm_micro_speech_quantized": Bar(12, 25),
        "mlperf_ad01_int8": Bar(12, 18),
    }
)


def here() -> list[str]:
    """Return the kernels of TARGETS to measure: not those whose emulator is a program that is missing."""
    return [name for name, target in TARGETS.items() if target.program is None or which(target.program)]


def run(folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> Kernels:
    """Measure the layers, and every .tflite file of a folder: of the one that FEDMOTE_MODELS_DIR names by
    default, of none where it names none.

    progress: called with (done, in all). Raises FedmoteError where the emulator of ``here`` is missing.
    """
    start = perf_counter()
    paths = inference.models_in(folder) if folder or inference.FOLDER_VARIABLE in os.environ else []
    pins = json.loads(PINS.read_text(encoding="utf-8"))
    measured: list[Measured] = []
    total = len(here()) * (len(layers.LAYERS) + len(paths))
    for kernel in here():
        bench = _Bench(kernel, seed, pins)
        jobs = [partial(bench.layer, layer) for layer in layers.LAYERS]
        jobs += [partial(bench.model, path) for path in paths]
        for job in jobs:
            progress(len(measured), total)
            measured.append(job())
    return Kernels(tuple(measured), round(perf_counter() - start, 1))


def steps_of(mote: bytes, kernel: StandIn, macs: list[int], seed: int) -> tuple[Step, ...]:
    """Run a model on a random input, op by op, beside the reference."""
    model, expected = Model(mote, kernel), Model(mote, reference)
    values = np.random.default_rng(seed).integers(-128, 128, len(model.input), np.int8)
    model.input[:] = expected.input[:] = values.data
    steps = []
    first = len(model.steps) - len(macs)
    for number, op in enumerate(model.ops[first:], first):
        before = kernel.memory.cycles
        model.steps[number]()
        expected.steps[number]()
        spent = kernel.memory.cycles - before
        found, wanted = (
            np.frombuffer(one.ops[number].tensors[-1].data, np.int8) for one in (model, expected)
        )
        differing = int((found != wanted).sum())
        steps.append(Step(op.name, macs[number - first], spent or None, differing))
    return tuple(steps)


class _Bench:
    """Measures with a kernel. pins: cycles by kernel and name."""

    def __init__(self, kernel: str, seed: int, pins: dict[str, dict[str, int]]) -> None:
        self._kernel = kernel
        self._target = TARGETS[kernel]
        self._seed = seed
        self._pins = pins

    def layer(self, layer: layers.Layer) -> Measured:
        """Measure a layer, by viper as well."""
        compiled = partial(layers.compiled, layer, seed=self._seed)
        found = self._run(stand_in(self._kernel), compiled(FORMS[self._kernel]), layer.name, [layer.macs])
        if self._target.viper:
            mote = compiled(FORMS["viper"])
            by_viper = self._run(viper_beside(self._kernel), mote, layer.name, [layer.macs], "viper on ")
            found = replace(found, viper=by_viper)
        return replace(found, bar=layer.bar, cmsis=layer.cmsis) if self._kernel == _CMSIS_KERNEL else found

    def model(self, path: Path) -> Measured:
        """Measure a .tflite file, on both cores as well."""
        compiled = compile_network(tflite.read(path.read_bytes()), self._kernel)
        macs = [row.macs for row in compiled.ops]
        found = self._run(stand_in(self._kernel), compiled.mote, path.stem, macs)
        bar = BARS.get(path.stem) if self._kernel == _CMSIS_KERNEL else None
        if bar:
            found = replace(found, bar=bar.ms, cmsis=bar.cmsis_ms * _CMSIS_HZ / CLOCK_HZ)
        if self._target.cores > 1:
            kernel = stand_in(self._kernel, self._target.cores)
            both = self._run(kernel, compiled.mote, path.stem, macs, "both cores, ")
            found = replace(found, both=replace(both, bar=bar and bar.both_ms))
        return found

    def _run(self, kernel: StandIn, mote: bytes, name: str, macs: list[int], how: str = "") -> Measured:
        """how: before the kernel's name, where it is not measured as it usually is."""
        steps = steps_of(mote, kernel, macs, self._seed)
        called = how + self._kernel
        pinned = self._pins.get(called, {}).get(name)
        return Measured(called, self._target.unit, name, len(steps) > 1, steps, pinned=pinned)
