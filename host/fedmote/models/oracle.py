"""TensorFlow Lite Micro itself, as the judge of what a network computes; its package is an optional extra."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.models.tflite import Network

Values = NDArray[Any]

#: tensor type -> how numpy holds it, for the types that can be compared
DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT32": np.dtype("<i4"),
    "FLOAT32": np.dtype("<f4"),
}
#: what TFLM may use for a network, on top of the file's own size: more than any network that fits a board
_ARENA_BYTES = 4 << 20
_ALLOCATIONS = re.compile(r"Arena allocation (\w+) (\d+) bytes")


@dataclass(frozen=True)
class Answer:
    """What TFLM gave for one input: the network's outputs, and op outputs by number of the tensor."""

    outputs: list[Values]
    tensors: dict[int, Values] = field(default_factory=dict)


class Oracle:
    """A network in TFLM, fresh from its reset; streaming networks keep their state from one call to the next.

    data: the .tflite file. every_op: also return each op's output, where it can be read. Raises FedmoteError
    where the package is missing or TFLM refuses the network.
    """

    def __init__(self, data: bytes, network: Network, *, every_op: bool = False) -> None:
        self._runtime = _runtime()
        main = network.subgraphs[0]
        for number, operator in enumerate(main.operators):
            if operator.code == "DEPTHWISE_CONV_2D" and operator.inputs[2:3] == (-1,):
                raise FedmoteError(
                    f"operator {number}, DEPTHWISE_CONV_2D, has -1 for its bias: TFLM would crash on it, "
                    "give it a bias of zeros to compare"
                )
        self._outputs = len(main.outputs)
        self._given = len(main.inputs)
        # Resources are no tensors that can be read: asking for one ends the process.
        self._read = [
            tensor
            for operator in main.operators
            for tensor in operator.outputs
            if every_op and main.tensors[tensor].type in DTYPES
        ]
        config = self._runtime.InterpreterConfig
        self._interpreter = self._start(
            data, config.kPreserveAllTensors if every_op else config.kAllocationRecording
        )

    def run(self, inputs: Sequence[Values]) -> Answer:
        """Return the answer to one input (an array per input tensor). Raises FedmoteError."""
        if len(inputs) != self._given:
            raise FedmoteError(f"the network has {self._given} inputs, {len(inputs)} were given")
        for number, values in enumerate(inputs):
            self._interpreter.set_input(values, number)
        self._invoke()
        outputs = [np.array(self._interpreter.get_output(number)) for number in range(self._outputs)]
        tensors = {
            number: np.array(self._interpreter.GetTensor(number, 0)["tensor_data"]) for number in self._read
        }
        return Answer(outputs, tensors)

    def microseconds(self, repeats: int) -> float:
        """Return the shortest time of one call with the inputs as they are. repeats: calls to choose from."""
        times = []
        for _ in range(repeats):
            start = perf_counter()
            self._invoke()
            times.append(perf_counter() - start)
        return min(times) * 1e6

    def arena_bytes(self) -> dict[str, int]:
        """Return what TFLM allocated: "head" for activations, "tail" for what stays, "total" for both."""
        self._invoke()
        with _standard_error() as said:
            self._interpreter.print_allocations()
            return {name: int(size) for name, size in _ALLOCATIONS.findall(said())}

    def _start(self, data: bytes, config: Any) -> Any:
        with _standard_error() as said:
            try:
                return self._runtime.Interpreter.from_bytes(
                    data, arena_size=_ARENA_BYTES + 20 * len(data), intrepreter_config=config
                )
            except (RuntimeError, ValueError) as error:
                reason = said().strip().splitlines() or [str(error)]
        raise FedmoteError(f"TensorFlow Lite Micro refuses the network: {reason[0]}")

    def _invoke(self) -> None:
        with _standard_error() as said:
            try:
                self._interpreter.invoke()
                return
            except RuntimeError as error:
                reason = said().strip().splitlines() or [str(error)]
        raise FedmoteError(f"TensorFlow Lite Micro cannot run the network: {reason[0]}")


def inputs_for(network: Network, count: int, seed: int = 1) -> list[list[Values]]:
    """Return ``count`` inputs (an array per input tensor): noise, smooth, all lowest, all highest, and again.

    The extremes come once; after them noise and smooth take turns. The same seed gives the same inputs.
    Raises FedmoteError for a network whose inputs are of another type than DTYPES.
    """
    random = np.random.default_rng(seed)
    main = network.subgraphs[0]
    chosen = []
    for number in range(count):
        kind = _KINDS[number] if number < len(_KINDS) else _KINDS[number % 2]
        values = []
        for tensor in (main.tensors[given] for given in main.inputs):
            if tensor.type not in DTYPES:
                raise FedmoteError(f"input {tensor.name!r} is {tensor.type}, wanted: {', '.join(DTYPES)}")
            values.append(kind(random, tensor.shape, DTYPES[tensor.type]))
        chosen.append(values)
    return chosen


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind == "f":
        return -60.0, 60.0
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _noise(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    low, high = _limits(dtype)
    if dtype.kind == "f":
        return random.uniform(low, high, shape).astype(dtype)
    return random.integers(int(low), int(high), shape, dtype, endpoint=True)


def _smooth(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    """A random walk over the whole range."""
    low, high = _limits(dtype)
    walk = np.cumsum(random.standard_normal(int(np.prod(shape))))
    spread = np.ptp(walk)
    walk = low + (walk - walk.min()) / (spread if spread else 1) * (high - low)
    return (walk if dtype.kind == "f" else np.round(walk)).astype(dtype).reshape(shape)


def _lowest(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    return np.full(shape, _limits(dtype)[0], dtype)


def _highest(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    return np.full(shape, _limits(dtype)[1], dtype)


_KINDS = (_noise, _smooth, _lowest, _highest)


def _runtime() -> Any:
    try:
        from tflite_micro import runtime
    except ImportError:
        raise FedmoteError(
            "to compare with TensorFlow Lite Micro: pip install 'fedmote[verify]' "
            "(its package tflite-micro has wheels for Linux x86-64 only)"
        ) from None
    return runtime


@contextmanager
def _standard_error() -> Iterator[Any]:
    """Catch what native code writes to standard error; gives a function that returns it so far."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:

        def said() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
