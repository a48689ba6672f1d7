"""Times .tflite models under MicroPython, kernel by kernel, and TensorFlow Lite Micro in the same run."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.table import Column, Table

from fedmote.boards import virtual
from fedmote.errors import FedmoteError
from fedmote.models import tflite, verify
from fedmote.models.oracle import Oracle, inputs_for

#: names the folder of .tflite files where no option does
FOLDER_VARIABLE = "FEDMOTE_MODELS_DIR"
_INPUTS = 4
#: kernel -> calls to take the shortest time from
_REPEATS = {"viper": 10, "ulab": 5, "plain": 2}
_TFLM_REPEATS = 30


@dataclass(frozen=True)
class Timing:
    """One kernel on one model. allocated: bytes of heap that a call takes. differing: values that differ from
    TFLM's, over all ops and inputs."""

    kernel: str
    microseconds: int
    file_bytes: int
    arena_bytes: int
    allocated: int
    differing: int


@dataclass(frozen=True)
class Measured:
    """One model. tflm_microseconds: of TFLM's reference kernels here. tflm_arena_bytes: of all that it
    allocates."""

    name: str
    file_bytes: int
    macs: int
    tflm_microseconds: float
    tflm_activation_bytes: int
    tflm_arena_bytes: int
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class Inference:
    """What was measured of all models."""

    models: tuple[Measured, ...]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return all figures: times in microseconds, ratios to TFLM's time, bytes."""
        return {
            "models": [
                {
                    "model": model.name,
                    "tflite_bytes": model.file_bytes,
                    "macs": model.macs,
                    "tflm": {
                        "microseconds": round(model.tflm_microseconds, 1),
                        "activation_bytes": model.tflm_activation_bytes,
                        "arena_bytes": model.tflm_arena_bytes,
                    },
                    "kernels": {
                        one.kernel: {
                            "microseconds": one.microseconds,
                            "ratio": round(one.microseconds / model.tflm_microseconds, 2),
                            "flash_bytes": one.file_bytes,
                            "arena_bytes": one.arena_bytes,
                            "bytes_allocated_per_call": one.allocated,
                            "differing": one.differing,
                        }
                        for one in model.timings
                    },
                }
                for model in self.models
            ],
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return a row per model and kernel."""
        table = Table(
            Column("model", no_wrap=True),
            *("kernel", "ms", "× TFLM", "arena", "TFLM's", "flash", ".tflite", "differing"),
            box=None,
        )
        for model in self.models:
            table.add_row(
                *(model.name, "TFLM", f"{model.tflm_microseconds / 1000:.2f}", "", "", ""),
                *("", str(model.file_bytes), ""),
                style="dim",
            )
            for one in model.timings:
                table.add_row(
                    *("", one.kernel, f"{one.microseconds / 1000:.2f}"),
                    f"{one.microseconds / model.tflm_microseconds:.1f}",
                    *(str(one.arena_bytes), str(model.tflm_activation_bytes)),
                    *(str(one.file_bytes), "", str(one.differing)),
                )
        return table

    def missed(self) -> list[str]:
        """Return a sentence where values differ, an arena is larger than TFLM's, or a call takes heap."""
        sentences = []
        for model in self.models:
            for one in model.timings:
                checks = (
                    (one.differing == 0, f"{one.differing} values differ from TFLM's"),
                    (
                        one.arena_bytes <= model.tflm_activation_bytes,
                        f"{one.arena_bytes} bytes of arena, TFLM has {model.tflm_activation_bytes}",
                    ),
                    (one.allocated == 0, f"a call takes {one.allocated} bytes of heap"),
                )
                sentences += [f"{model.name}, {one.kernel}: {what}" for met, what in checks if not met]
        return sentences


def run(folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> Inference:
    """Measure every .tflite file of a folder, the one that FEDMOTE_MODELS_DIR names by default.

    progress: called with (models done, models in all). Raises FedmoteError where there is none.
    """
    start = perf_counter()
    paths = models_in(folder)
    kernels = [kernel for kernel in _REPEATS if kernel != "ulab" or _has_ulab()]
    models = []
    for done, path in enumerate(paths):
        progress(done, len(paths))
        models.append(_measure(path, kernels, seed))
    return Inference(tuple(models), round(perf_counter() - start, 1))


def models_in(folder: Path | None) -> list[Path]:
    """Return the .tflite files of a folder, of the one that FEDMOTE_MODELS_DIR names where it is None. Raises
    FedmoteError where there are none."""
    named = folder or (Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else None)
    if named is None:
        raise FedmoteError(f"name a folder of .tflite files: --models FOLDER, or {FOLDER_VARIABLE}")
    paths = sorted(named.glob("*.tflite"))
    if not paths:
        raise FedmoteError(f"{named} has no .tflite files")
    return paths


def _measure(path: Path, kernels: list[str], seed: int) -> Measured:
    data = path.read_bytes()
    network = tflite.read(data)
    oracle = Oracle(data, network)
    oracle.run(inputs_for(network, 1, seed)[0])
    microseconds, arena = oracle.microseconds(_TFLM_REPEATS), oracle.arena_bytes()
    timings, macs = [], 0
    for kernel in kernels:
        case = verify.prepare(data, kernel, inputs=_INPUTS, seed=seed, repeats=_REPEATS[kernel])
        [ran] = verify.run([case])
        assert ran.microseconds is not None and ran.allocated is not None
        report, macs = verify.compare(case, ran), case.compiled.macs
        timings.append(
            Timing(
                kernel,
                ran.microseconds,
                len(case.compiled.mote),
                case.compiled.arena_bytes,
                ran.allocated,
                sum(row.differing for row in report.rows),
            )
        )
    return Measured(path.stem, len(data), macs, microseconds, arena["head"], arena["total"], tuple(timings))


def _has_ulab() -> bool:
    probe = [*virtual.interpreter(), "-c", "import ulab; print(1)"]
    return subprocess.run(probe, capture_output=True, timeout=30).stdout.strip() == b"1"
