"""Times ops with products on an emulated board under CircuitPython, whose kernel is ulab's, beside the bare
calls of ulab that they are made of."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.table import Column, Table

from fedmote.benchmarks import inference, layers
from fedmote.benchmarks.emulated_pico import EmulatedPico
from fedmote.benchmarks.ulab_board import FILES, PROGRAM
from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError
from fedmote.models import reference, tflite
from fedmote.models.compiler import compile_network
from mote.model import Model
from mote.port import crc32

_RUNTIME = "circuitpython"
_KERNEL = "ulab"
_WEIGHT_FORM = 0
_SECONDS = 900.0
#: of a layer with its arena, and of a model's arena: what the heap has room for
_LARGEST = 60_000
#: times what ulab offers for sums of products, and the calls of the requantisation
_BAR = 1.15


@dataclass(frozen=True)
class Op:
    """An op. accumulating_us: of bare np.dot calls for its products or, if those are faster, int16 products
    that are split in bytes. products_us: of the bare calls that the kernel has instead. requantising_us: of
    those for its outputs. differs: of any byte of the arena after it."""

    name: str
    macs: int
    outputs: int
    us: float
    accumulating_us: float
    products_us: float
    requantising_us: float
    differs: bool


@dataclass(frozen=True)
class Run:
    """A layer, or a model. place: of its weights, heap or file. left_bytes: of heap beside it.
    products_at_once: as memory allowed. us: of all its ops."""

    name: str
    place: str
    left_bytes: int
    products_at_once: int
    us: float
    ops: tuple[Op, ...]

    @property
    def ratio(self) -> float:
        """Time of the ops with products to that of bare calls of np.dot, or the split, and of those for
        outputs."""
        return self._us / sum(op.accumulating_us + op.requantising_us for op in self.ops)

    @property
    def overhead(self) -> float:
        """Time of the ops with products to that of the bare calls that the kernel makes."""
        return self._us / sum(op.products_us + op.requantising_us for op in self.ops)

    @property
    def _us(self) -> float:
        return sum(op.us for op in self.ops)

    def missed(self) -> list[str]:
        """Return what is wrong."""
        sentences = []
        if any(op.differs for op in self.ops):
            sentences.append("an op's values differ from the reference")
        if self.place == "heap" and self.ratio > _BAR:  # what reads a file is not ulab
            sentences.append(f"{self.ratio:.2f} times bare calls of ulab, the bar is {_BAR}")
        return sentences


@dataclass(frozen=True)
class Ulab:
    """What was measured. firmware: name of the image."""

    board: str
    firmware: str
    runs: tuple[Run, ...]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "board": self.board,
            "firmware": self.firmware,
            "runs": [
                {**asdict(run), "ratio": round(run.ratio, 3), "overhead": round(run.overhead, 3)}
                for run in self.runs
            ],
            "bar": _BAR,
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return a row per layer and model; dot or split, requantised: of the bare calls, in ms; own calls:
        the time as a multiple of theirs."""
        names = "ms", "dot or split", "requantised", "ratio", "own calls", "µs a MAC", "at once", "left"
        columns = (Column(name, justify="right", no_wrap=True) for name in names)
        table = Table(Column("", no_wrap=True), "weights", *columns, box=None)
        for run in self.runs:
            spent, macs = sum(op.us for op in run.ops), sum(op.macs for op in run.ops)
            accumulating = sum(op.accumulating_us for op in run.ops)
            table.add_row(
                *(run.name, run.place, f"{run.us / 1000:.1f}"),
                f"{accumulating / 1000:.1f}",
                f"{sum(op.requantising_us for op in run.ops) / 1000:.1f}",
                *(f"{run.ratio:.2f}", f"{run.overhead:.2f}", f"{spent / macs:.2f}"),
                *(f"{run.products_at_once:,}", f"{run.left_bytes:,}"),
                style="bold red" if run.missed() else "",
            )
        return table

    def missed(self) -> list[str]:
        """Return a sentence where values differ, or an op takes longer than the bar allows."""
        return [f"{run.name}, {run.place}: {what}" for run in self.runs for what in run.missed()]


def run(board: str, folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> Ulab:
    """Measure layers, and the .tflite files of a folder, of the one that FEDMOTE_MODELS_DIR names by default,
    that the board has room for.

    progress: called with (done, in all). Raises FedmoteError where the board cannot be emulated, and where
    something that takes is missing.
    """
    start = perf_counter()
    chosen = catalogue.find(board)
    if _RUNTIME not in chosen.runtimes:
        raise FedmoteError(f"{board} has no CircuitPython, choose another board")
    pico = EmulatedPico.find(chosen, _RUNTIME)
    program = image.program(chosen, _RUNTIME)
    library = {path: content for path, content in program.items() if path.startswith("lib/mote/")}
    cases = [*_layers(seed), *_models(folder)]
    runs = []
    for done, (name, mote, place) in enumerate(cases):
        progress(done, len(cases))
        runs.append(_run(name, mote, place, pico, library, seed))
    return Ulab(board, pico.firmware.name, tuple(runs), round(perf_counter() - start, 1))


def _layers(seed: int) -> Iterator[tuple[str, bytes, str]]:
    for layer in layers.LAYERS:
        mote = layers.compiled(layer, _WEIGHT_FORM, seed)
        if len(mote) + len(Model(mote, reference).arena) <= _LARGEST:
            yield layer.name, mote, "heap"


def _models(folder: Path | None) -> Iterator[tuple[str, bytes, str]]:
    for path in inference.models_in(folder):
        compiled = compile_network(tflite.read(path.read_bytes()), _KERNEL)
        if compiled.arena_bytes <= _LARGEST // 2:
            if compiled.resident_bytes <= _LARGEST:
                yield path.stem, compiled.mote, "heap"
            yield path.stem, compiled.mote, "file"


def _run(name: str, mote: bytes, place: str, pico: EmulatedPico, library: dict[str, bytes], seed: int) -> Run:
    expected = Model(mote, reference)
    values = np.random.default_rng(seed).integers(-128, 128, len(expected.input), np.int8)
    files = {**library, **FILES, "model.mote": mote, "input.bin": values.tobytes()}
    found = pico.run(files, f"RESIDENT = {place == 'heap'}\n{PROGRAM}", {}, _SECONDS)
    expected.input[:] = values.data
    checks = []
    for step in expected.steps:
        step()
        checks.append(crc32(expected.arena) & 0xFFFF_FFFF)
    differs = [wanted != got for wanted, got in zip(checks, found["checks"], strict=True)]
    ops = tuple(
        Op(op, macs, outputs, us, accumulating, products, requantising, differs[number])
        for number, op, macs, outputs, us, accumulating, products, requantising in found["ops"]
    )
    return Run(name, place, found["left"], found["limit"], found["us"], ops)
