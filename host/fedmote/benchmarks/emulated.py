"""Times .tflite models on an emulated Pico under an official image: cycles by SysTick, heap by gc, with all
that the interpreter does between two ops."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.table import Column, Table

from fedmote.benchmarks import inference
from fedmote.benchmarks.emulated_pico import FLASH, EmulatedPico, place_beside
from fedmote.benchmarks.kernel_figures import CLOCK_HZ
from fedmote.benchmarks.kernels import BARS
from fedmote.boards import catalogue, image
from fedmote.models import reference, tflite
from fedmote.models.compiler import Compiled, compile_network
from mote.model import Model
from mote.port import crc32

_SECONDS = 900.0
#: heap for the model and its arena, beside the library and what kernels take for themselves
_HEAP_BYTES = 130_000
#: files that only start the node
_STARTERS = ("main.py",)

# Checks the arena after every op, then times each. SysTick has 24 bits; the timer tells what is missing.
_PROGRAM = """
import gc, json, machine
from time import ticks_diff, ticks_us
gc.collect()
gc.threshold(4096)  # as starter.py has it
free = gc.mem_free()
source = open("input.bin", "rb")
from mote import model, port
gc.collect()
library = free - gc.mem_free()
network = model.mapped(ADDRESS) if ADDRESS else model.load("model.mote", resident=RESIDENT)

def give():
    source.seek(0)
    source.readinto(network.input)
    gc.collect()

def cycles(function):
    state = machine.disable_irq()
    start = ticks_us()
    machine.mem32[0xE000E014], machine.mem32[0xE000E018], machine.mem32[0xE000E010] = 0xFFFFFF, 0, 5
    function()
    spent = -machine.mem32[0xE000E018] & 0xFFFFFF
    machine.enable_irq(state)
    return spent + (ticks_diff(ticks_us(), start) * 125 - spent + 0x800000 >> 24 << 24)

give()
checks = []
for step in network.steps:
    step()
    checks.append(port.crc32(network.arena) & 0xFFFFFFFF)
give()
left = gc.mem_free()
gc.disable()
try:
    network.invoke()
except MemoryError:
    pass
allocated = left - gc.mem_free()
gc.enable()
give()
start = ticks_us()
network.invoke()
us = ticks_diff(ticks_us(), start)
give()
whole = cycles(network.invoke)
give()
spent = []
for number in range(FIRST, len(network.steps)):
    gc.collect()
    spent.append(cycles(network.steps[number]))
print(json.dumps({
    "kernel": network.kernel.NAME, "free": free, "library": library, "left": left, "allocated": allocated,
    "checks": checks, "cycles": spent, "whole": whole, "us": us,
}))
"""


@dataclass(frozen=True)
class Step:
    """An op. cycles: with the call of it. differs: whether any byte of the arena is not the reference's."""

    op: str
    macs: int
    cycles: int
    differs: bool


@dataclass(frozen=True)
class Run:
    """A model on the board.

    place: where its weights are: in the heap, in the flash, mapped, or in a file of the board's. cycles: of
    one inference as a whole, without interrupts. interrupted_ms: with them. library_bytes, model_bytes: of
    heap; the latter with arena, file (if it is there) and what the kernel keeps. left_bytes: of heap beside
    them. allocated: by one inference.
    """

    name: str
    kernel: str
    place: str
    cycles: int
    interrupted_ms: float
    library_bytes: int
    model_bytes: int
    left_bytes: int
    allocated: int
    steps: tuple[Step, ...]

    @property
    def ms(self) -> float:
        """Of one inference, without interrupts."""
        return 1000 * self.cycles / CLOCK_HZ

    @property
    def bar_ms(self) -> float | None:
        """What is demanded of it, None for one that reads its weights from a file."""
        return BARS[self.name].ms if self.name in BARS and self.place != "file" else None

    def missed(self) -> list[str]:
        """Return what is wrong."""
        sentences = []
        if any(step.differs for step in self.steps):
            sentences.append("an op's values differ from the reference")
        if self.bar_ms is not None and self.ms > self.bar_ms:
            sentences.append(f"{self.ms:.1f} ms, the bar is {self.bar_ms:g} ms")
        return sentences


@dataclass(frozen=True)
class Emulated:
    """What was measured of all models. firmware: name of the image."""

    board: str
    firmware: str
    runs: tuple[Run, ...]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "board": self.board,
            "firmware": self.firmware,
            "models": [
                {
                    **{key: value for key, value in asdict(run).items() if key != "steps"},
                    "ms": round(run.ms, 2),
                    "bar_ms": run.bar_ms,
                    "ops": [asdict(step) for step in run.steps],
                }
                for run in self.runs
            ],
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return a row per model: from library on, bytes of heap; products: their part of the cycles."""
        names = "ms", "bar", "cycles", "products", "library", "model", "left", "a call"
        columns = (Column(name, justify="right", no_wrap=True) for name in names)
        table = Table(Column("", no_wrap=True), Column("kernel", no_wrap=True), "in", *columns, box=None)
        for run in self.runs:
            spent = sum(step.cycles for step in run.steps)
            weighted = sum(step.cycles for step in run.steps if step.macs)
            table.add_row(
                *(run.name, run.kernel, run.place, f"{run.ms:.1f}"),
                "" if run.bar_ms is None else f"{run.bar_ms:g}",
                *(f"{run.cycles:,}", f"{weighted / spent:.0%}"),
                *(
                    f"{size:,}"
                    for size in (run.library_bytes, run.model_bytes, run.left_bytes, run.allocated)
                ),
                style="bold red" if run.missed() else "",
            )
        return table

    def missed(self) -> list[str]:
        """Return a sentence where values differ or a model is slower than its bar."""
        return [f"{run.name}: {what}" for run in self.runs for what in run.missed()]


def run(board: str, folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> Emulated:
    """Measure every .tflite file of a folder, of the one that FEDMOTE_MODELS_DIR names by default.

    progress: called with (models done, models in all). Raises FedmoteError where there are none, where the
    board cannot be emulated, and where something that takes is missing.
    """
    start = perf_counter()
    chosen = catalogue.find(board)
    paths = inference.models_in(folder)
    pico = EmulatedPico.find(chosen)
    program = image.program(chosen, "micropython")
    files = {path: content for path, content in program.items() if path not in _STARTERS}
    kernel = image.bundled_kernels(chosen, "micropython")[0]
    runs = []
    for done, path in enumerate(paths):
        progress(done, len(paths))
        compiled = compile_network(tflite.read(path.read_bytes()), kernel)
        places = ("heap",) if compiled.resident_bytes <= _HEAP_BYTES else ("flash", "file")
        runs += [_run(path.stem, compiled, place, pico, files, seed) for place in places]
    return Emulated(board, pico.firmware.name, tuple(runs), round(perf_counter() - start, 1))


def _run(
    name: str, compiled: Compiled, place: str, pico: EmulatedPico, files: dict[str, bytes], seed: int
) -> Run:
    expected = Model(compiled.mote, reference)
    values = np.random.default_rng(seed).integers(-128, 128, len(expected.input), np.int8)
    files = {**files, "input.bin": values.tobytes()}
    placed = {}
    address = 0
    if place == "flash":
        at = place_beside(files, pico.layout, len(compiled.mote))
        placed[at], address = compiled.mote, FLASH + at
    else:
        files["model.mote"] = compiled.mote
    constants = f"ADDRESS, RESIDENT, FIRST = {address}, {place == 'heap'}, {compiled.setup}\n"
    found = pico.run(files, constants + _PROGRAM, placed, _SECONDS)
    expected.input[:] = values.data
    checks = []
    for step in expected.steps:
        step()
        checks.append(crc32(expected.arena) & 0xFFFF_FFFF)
    differs = [wanted != got for wanted, got in zip(checks, found["checks"], strict=True)]
    return Run(
        name,
        found["kernel"],
        place,
        found["whole"],
        found["us"] / 1000,
        found["library"],
        found["free"] - found["library"] - found["left"],
        found["left"],
        found["allocated"],
        tuple(
            Step(row.op.lower(), row.macs, spent, differing)
            for row, spent, differing in zip(
                compiled.ops, found["cycles"], differs[compiled.setup :], strict=True
            )
        ),
    )
