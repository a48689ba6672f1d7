"""Compares compiled networks, run by MicroPython or on emulated cores, with TensorFlow Lite Micro: every byte
of every op."""

import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.table import Table

from fedmote import assets
from fedmote.boards import image, virtual
from fedmote.errors import FedmoteError
from fedmote.kernels import CORES
from fedmote.kernels.board_code import stand_in
from fedmote.models import reference, tflite, verify_board
from fedmote.models.compiler import Compiled, compile_network
from fedmote.models.oracle import DTYPES, Answer, Oracle, Values, inputs_for
from mote.model import load

#: kernels that can be verified: the first ones under MicroPython, those of CORES on emulated cores
KERNELS = ("plain", "viper", "ulab", *CORES, "reference")
#: A Pico's heap has 229 kB free. Here, pointers and so most objects are twice as wide: of the heap of a large
#: streamed network, library and tables take more than 120 kB here, half of it on a Pico. So these 274 kB are
#: about 212 kB there.
PICO_HEAP_BYTES = 268 * 1024
#: what compiling the library takes, which boards get compiled
_COMPILING_BYTES = 128 * 1024
#: heap beyond model and arena, for the library and the interpreter, where weights are not streamed
_SPARE_BYTES = 512 * 1024
_SECONDS = 900.0


@dataclass(frozen=True)
class Watched:
    """An op's output that exists in the compiled network.

    operator, tensor: numbers in the .tflite file. compiled: number of the .mote tensor. after: number of the
    .mote op that completes it.
    """

    operator: int
    tensor: int
    compiled: int
    after: int


@dataclass(frozen=True)
class Difference:
    """The first value that differs. input: its number. position: in the tensor. expected: TFLM's value."""

    operator: int
    code: str
    tensor: str
    input: int
    position: tuple[int, ...]
    expected: Any
    found: Any

    def __str__(self) -> str:
        return (
            f"operator {self.operator} ({self.code}), tensor {self.tensor!r}, input {self.input}, position "
            f"{list(self.position)}: TensorFlow Lite Micro has {self.expected}, the compiled network "
            f"{self.found}"
        )


@dataclass(frozen=True)
class Row:
    """What was compared of one operator. elements: values over all inputs, of which ``differing`` differ."""

    operator: int
    code: str
    shape: tuple[int, ...]
    elements: int
    differing: int


@dataclass(frozen=True)
class Report:
    """What a comparison found. rows: per operator; the last one is the network's output.

    absent: operators whose outputs do not exist in the compiled network, where every op was asked for: they
    are part of others. difference: the first one, None where there is none.
    """

    kernel: str
    inputs: int
    rows: tuple[Row, ...]
    absent: tuple[str, ...]
    difference: Difference | None
    seconds: float = 0.0
    free_bytes: int = 0

    @property
    def elements(self) -> int:
        """All values compared."""
        return sum(row.elements for row in self.rows)

    @property
    def sentence(self) -> str:
        """What was found, in short."""
        differing = sum(row.differing for row in self.rows)
        return (
            f"{self.kernel}: {differing} of {self.elements} values differ, {len(self.rows)} operators, "
            f"{self.inputs} inputs, {self.seconds:.1f} s"
            + (f"; not compared, as they are part of others: {', '.join(self.absent)}" if self.absent else "")
        )

    def table(self) -> Table:
        """Return a row for every operator."""
        table = Table("", "operator", "shape", "values", "differing", box=None)
        for row in self.rows:
            shape = " × ".join(map(str, row.shape))
            style = "bold red" if row.differing else ""
            table.add_row(
                str(row.operator), row.code, shape, str(row.elements), str(row.differing), style=style
            )
        return table

    def summary(self) -> dict[str, Any]:
        """Return all figures for machines, to be written as JSON."""
        return {
            "kernel": self.kernel,
            "inputs": self.inputs,
            "elements": self.elements,
            "differing": sum(row.differing for row in self.rows),
            "ops": [
                {
                    "operator": row.operator,
                    "code": row.code,
                    "shape": list(row.shape),
                    "elements": row.elements,
                    "differing": row.differing,
                }
                for row in self.rows
            ],
            "not_compared": list(self.absent),
            "difference": None if self.difference is None else str(self.difference),
            "free_bytes": self.free_bytes,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Case:
    """A network, compiled, with the inputs for it and TFLM's answers."""

    network: tflite.Network
    compiled: Compiled
    kernel: str
    inputs: list[list[Values]]
    answers: list[Answer]
    watched: tuple[Watched, ...]
    streamed: bool = False
    repeats: int = 0

    @property
    def runs_here(self) -> bool:
        """Whether this interpreter runs it: numpy, or machine code on an emulated core."""
        return self.kernel == "reference" or self.kernel in CORES

    @property
    def watch(self) -> list[list[int]]:
        """What verify_board.run wants to know."""
        return [[one.after, one.compiled] for one in self.watched]

    @property
    def given(self) -> bytes:
        """All inputs, one after the other."""
        return b"".join(values.tobytes() for one in self.inputs for values in one)

    @cached_property
    def expected(self) -> list[list[tuple[int, Values]]]:
        """For each input, (operator, TFLM's value) in the order in which the board gives them."""
        last = _output_operator(self.network)
        return [
            [*((one.operator, answer.tensors[one.tensor]) for one in self.watched), (last, answer.outputs[0])]
            for answer in self.answers
        ]


@dataclass(frozen=True)
class Ran:
    """What a run gave. values: all bytes asked for. microseconds, allocated: of one call, where measured."""

    values: bytes
    free_bytes: int = 0
    microseconds: int | None = None
    allocated: int | None = None


def verify(
    data: bytes,
    kernel: str,
    *,
    inputs: int = 20,
    per_op: bool = False,
    streamed: bool = False,
    heap_bytes: int | None = None,
    seed: int = 1,
) -> Report:
    """Compile a .tflite file for a kernel, run it and compare it with TFLM.

    streamed: weights stay in the file, within a Pico's heap. heap_bytes: of MicroPython, if not by default.
    Raises FedmoteError where the file cannot be compiled or run.
    """
    start = perf_counter()
    case = prepare(data, kernel, inputs=inputs, per_op=per_op, streamed=streamed, seed=seed)
    [ran] = run([case], heap_bytes=heap_bytes)
    return compare(case, ran, seconds=perf_counter() - start)


def prepare(
    data: bytes,
    kernel: str,
    *,
    inputs: int,
    per_op: bool = True,
    streamed: bool = False,
    seed: int = 1,
    repeats: int = 0,
) -> Case:
    """Compile a .tflite file and let TFLM answer. repeats: calls to measure under MicroPython, besides.

    Raises FedmoteError.
    """
    if kernel not in KERNELS:
        raise FedmoteError(f"kernel {kernel!r} is unknown, choose one of: {', '.join(KERNELS)}")
    if streamed and kernel == "reference":
        raise FedmoteError("the reference kernel runs on this machine, it does not stream weights")
    network = tflite.read(data)
    compiled = compile_network(network, kernel, "verify", [])
    given = inputs_for(network, inputs, seed)
    oracle = Oracle(data, network, every_op=per_op)
    watched = _watched(network, compiled) if per_op else ()
    answers = [oracle.run(one) for one in given]
    return Case(network, compiled, kernel, given, answers, watched, streamed, repeats)


def run(cases: Sequence[Case], *, heap_bytes: int | None = None, timeout: float = _SECONDS) -> list[Ran]:
    """Run every case, those for MicroPython in one process. Raises FedmoteError where one cannot run."""
    away = [case for case in cases if not case.runs_here]
    ran = iter(_on_micropython(away, heap_bytes or _heap_bytes(away), timeout) if away else [])
    return [_here(case) if case.runs_here else next(ran) for case in cases]


def compare(case: Case, ran: Ran, *, seconds: float = 0.0) -> Report:
    """Compare what ran with TFLM's answers."""
    operators = case.network.subgraphs[0].operators
    elements: Counter[int] = Counter()
    differing: Counter[int] = Counter()
    shapes: dict[int, tuple[int, ...]] = {}
    first: Difference | None = None
    order = [*(one.tensor for one in case.watched), case.network.subgraphs[0].outputs[0]]
    at = 0
    for number, values in enumerate(case.expected):
        for (operator, expected), tensor in zip(values, order, strict=True):
            found = _values(ran.values[at : at + expected.nbytes], expected, case, operator)
            at += expected.nbytes
            wrong = np.flatnonzero(_bits(expected) != _bits(found))
            elements[operator] += expected.size
            differing[operator] += len(wrong)
            shapes[operator] = expected.shape
            if first is None and len(wrong):
                place = tuple(int(n) for n in np.unravel_index(wrong[0], expected.shape or (1,)))
                first = Difference(
                    operator,
                    operators[operator].code,
                    case.network.subgraphs[0].tensors[tensor].name,
                    number,
                    place,
                    expected.flat[wrong[0]].item(),
                    found.flat[wrong[0]].item(),
                )
    rows = tuple(
        Row(number, operators[number].code, shapes[number], elements[number], differing[number])
        for number in sorted(shapes)
    )
    return Report(case.kernel, len(case.inputs), rows, _absent(case), first, seconds, ran.free_bytes)


def _values(found: bytes, expected: Values, case: Case, operator: int) -> Values:
    if len(found) != expected.nbytes:
        code = case.network.subgraphs[0].operators[operator].code
        raise FedmoteError(f"operator {operator} ({code}) gave {len(found)} bytes, wanted {expected.nbytes}")
    return np.frombuffer(found, expected.dtype).reshape(expected.shape)


def _bits(values: Values) -> Values:
    """Return the values as integers: floats must agree in every bit."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}").reshape(-1)


def _output_operator(network: tflite.Network) -> int:
    main = network.subgraphs[0]
    writers = [number for number, one in enumerate(main.operators) if main.outputs[0] in one.outputs]
    return writers[-1] if writers else len(main.operators) - 1


def _watched(network: tflite.Network, compiled: Compiled) -> tuple[Watched, ...]:
    main = network.subgraphs[0]
    rows = tuple(enumerate(compiled.ops, compiled.setup))
    completed = {row.tensor: op for op, row in rows}
    found = []
    for number, operator in enumerate(main.operators):
        # A tensor that no op of its own completes is a part of another, or was joined from others.
        done = max((op for op, row in rows if row.operator <= number), default=compiled.setup - 1)
        for tensor in operator.outputs:
            if tensor in compiled.tensors and main.tensors[tensor].type in DTYPES:
                after = completed.get(tensor, done)
                found.append(Watched(number, tensor, compiled.tensors[tensor], after))
    return tuple(sorted(found, key=lambda one: (one.after, one.operator, one.tensor)))


def _absent(case: Case) -> tuple[str, ...]:
    main = case.network.subgraphs[0]
    known = {one.tensor for one in case.watched} | {main.outputs[0]}
    return tuple(
        f"{number} ({operator.code})"
        for number, operator in enumerate(main.operators)
        if case.watched
        and any(main.tensors[tensor].type in DTYPES for tensor in operator.outputs)
        and not known & set(operator.outputs)
    )


def _here(case: Case) -> Ran:
    kernel = stand_in(case.kernel) if case.kernel in CORES else reference
    source, target = BytesIO(case.given), BytesIO()
    with tempfile.TemporaryDirectory(prefix="fedmote-verify-") as folder:
        path = Path(folder, "model.mote")
        path.write_bytes(case.compiled.mote)
        model = load(str(path), kernel, not case.streamed)
        first, count = case.compiled.setup, len(case.inputs)
        verify_board.run(model, source.readinto, target.write, first, count, case.watch)
    return Ran(target.getvalue())


def _heap_bytes(cases: Iterable[Case]) -> int:
    return max(
        PICO_HEAP_BYTES
        if case.streamed
        else len(case.compiled.mote) + case.compiled.arena_bytes + _SPARE_BYTES
        for case in cases
    )


def on_micropython(
    folder: Path, jobs: Sequence[dict[str, Any]], heap_bytes: int, timeout: float = _SECONDS
) -> list[dict[str, Any]]:
    """Let MicroPython do jobs of verify_board.py on files in ``folder``, and return its answers.

    An answer with "error" is what went wrong in one job. Raises FedmoteError where the interpreter itself
    ended early or did not end.
    """
    (folder / "jobs").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    library = assets.library().parent
    if image.native_arch():
        image.write(folder / "image")
        library = folder / "image" / "lib"
    else:
        heap_bytes += _COMPILING_BYTES
    command = [*virtual.interpreter(), "-X", f"heapsize={heap_bytes}", verify_board.__file__, "jobs"]
    path = os.pathsep.join([str(library), ".frozen"])
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "MICROPYPATH": path},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise FedmoteError(f"MicroPython did not finish within {timeout:g} s") from None
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(answers) != len(jobs):
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise FedmoteError(f"MicroPython ended after {len(answers)} of {len(jobs)} networks: {said[-1]}")
    return answers


def _on_micropython(cases: Sequence[Case], heap_bytes: int, timeout: float) -> list[Ran]:
    with tempfile.TemporaryDirectory(prefix="fedmote-verify-") as name:
        folder = Path(name)
        jobs = [_job(folder, number, case) for number, case in enumerate(cases)]
        ran = []
        for number, answer in enumerate(on_micropython(folder, jobs, heap_bytes, timeout)):
            if "error" in answer:
                network = cases[number].network.description or "the network"
                raise FedmoteError(f"{network}: MicroPython: {answer['error']}")
            output = folder / f"{number}.out"
            values = output.read_bytes() if output.exists() else b""
            ran.append(Ran(values, answer["free"], answer.get("microseconds"), answer.get("allocated")))
        return ran


def _job(folder: Path, number: int, case: Case) -> dict[str, Any]:
    (folder / f"{number}.mote").write_bytes(case.compiled.mote)
    (folder / f"{number}.in").write_bytes(case.given)
    return {
        "model": f"{number}.mote",
        "inputs": f"{number}.in",
        "outputs": f"{number}.out",
        "kernel": case.kernel,
        "resident": not case.streamed,
        "count": len(case.inputs),
        "first": case.compiled.setup,
        "watch": case.watch,
        "repeats": case.repeats,
    }
