"""Writes .mote files: int8 networks that a board runs in place. docs/mote-format.md has the bytes."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mote import quantise
from mote.model import DENSE, SOFTMAX

#: kernel -> weight form that it wants
FORMS = {"plain": 0, "ulab": 0, "viper": 1, "reference": 0}

INT8, INT32, FLOAT32 = 0, 1, 2
ARENA, FILE = 0, 1
WEIGHTS, BIAS = 0, 1

_VERSION = 1
_HEADER_BYTES = 64
_INFO_BYTES = 4096
_NAME_BYTES = 16
_BIAS_LIMIT = 0x3FFFFFFF


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (value - zero_point), for int8. scale is rounded to float32.

    Raises ValueError for a scale that is not a positive normal float32, or a zero point that is no int8.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        limits = np.finfo(np.float32)
        if not limits.tiny <= self.scale <= limits.max:
            raise ValueError(f"scale {self.scale} is not a positive normal float32")
        if not -128 <= self.zero_point <= 127:
            raise ValueError(f"zero point {self.zero_point} is no int8")

    @property
    def bits(self) -> int:
        """The scale's float32 bit pattern, as mote.quantise wants it."""
        return int(quantise.bits_of(self.scale))


SOFTMAX_OUTPUT = Quantisation(1 / 256, -128)


@dataclass(frozen=True)
class DenseLayer:
    """A FULLY_CONNECTED layer as a .tflite holds it.

    weights: int8 [N, K]. bias: int32 [N], of scale input * weight. weight_scales: float32 [1], or [N] for one
    per output. output: of the N values. relu: whether a ReLU is fused.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    weight_scales: NDArray[np.float32]
    output: Quantisation
    relu: bool


def compile_mlp(
    name: str,
    layers: Sequence[int],
    labels: Sequence[str],
    features: Mapping[str, Any],
    values: NDArray[np.float32] | None = None,
    ranges: Sequence[float] | None = None,
    input_scale: float = 1 / 32,
    kernel: str = "viper",
    frozen: int = 0,
) -> bytes:
    """Return the .mote file of a multilayer perceptron with ReLU and a softmax over the classes.

    layers: units, inputs first. features: settings for lib/mote/features.py. values: float32 [D] in the order
    of ``sizes``, zeros when None. ranges: largest activation of each layer, the class scores' last, as boards
    report them. kernel: the one that the board will use. frozen: how many layers, from the input on, a board
    may not train.

    Raises ValueError where these do not fit each other.
    """
    if values is None:
        values = np.zeros(sum(sizes(layers)), np.float32)
    if len(values) != sum(sizes(layers)):
        raise ValueError(f"{len(values)} values, a network {list(layers)} has {sum(sizes(layers))}")
    spans = [1.0] * (len(layers) - 1) if ranges is None else list(ranges)
    if len(spans) != len(layers) - 1:
        raise ValueError(f"{len(spans)} ranges for {len(layers) - 1} layers")
    given = Quantisation(input_scale, 0)
    dense: list[DenseLayer] = []
    position = 0
    for (columns, rows), span in zip(pairwise(layers), spans, strict=True):
        weights = values[position : position + rows * columns].reshape(rows, columns)
        bias = values[position + rows * columns : position + rows * columns + rows]
        position += rows * columns + rows
        relu = len(dense) < len(layers) - 2
        dense.append(quantise_dense(weights, bias, span, dense[-1].output if dense else given, relu))
    return compile_dense(name, labels, features, given, dense, kernel, frozen=frozen)


def sizes(layers: Sequence[int]) -> list[int]:
    """Return the number of values of every trainable tensor: weights [N, K], bias [N], layer by layer."""
    return [size for columns, rows in pairwise(layers) for size in (rows * columns, rows)]


def initial_values(layers: Sequence[int], seed: int) -> NDArray[np.float32]:
    """Return float32 [D] to start from: zero bias, normal weights of deviation sqrt(2/K) (He et al. 2015)."""
    random = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    for columns, rows in pairwise(layers):
        parts += [random.normal(0, np.sqrt(2 / columns), rows * columns), np.zeros(rows)]
    return np.concatenate(parts).astype(np.float32)


def quantise_dense(
    weights: NDArray[np.float32], bias: NDArray[np.float32], span: float, given: Quantisation, relu: bool
) -> DenseLayer:
    """Return a float layer in int8, rounded as in lib/mote/train.py: board and host write the same bytes.

    weights: [N, K]. bias: [N]. span: its largest absolute output. given: of its input.
    """
    scale = np.float32((float(np.abs(weights).max()) or 1.0) / 127)
    whole = np.clip(np.rint(weights.astype(np.float64) / float(scale)), -127, 127).astype(np.int8)
    unit = float(np.float32(given.scale)) * float(scale)
    whole_bias = np.rint(np.clip(bias.astype(np.float64) / unit, -_BIAS_LIMIT, _BIAS_LIMIT)).astype(np.int32)
    output = Quantisation(span / 255, -128) if relu else Quantisation(span / 127, 0)
    return DenseLayer(whole, whole_bias, scale.reshape(1), output, relu)


def compile_dense(
    name: str,
    labels: Sequence[str],
    features: Mapping[str, Any],
    given: Quantisation,
    layers: Sequence[DenseLayer],
    kernel: str = "viper",
    softmax: bool = True,
    frozen: int = 0,
) -> bytes:
    """Return the .mote file of int8 layers with explicit scales, whatever trained and quantised them.

    given: of the input. softmax: whether one follows. The other arguments are those of ``compile_mlp``.
    Raises ValueError where shapes, scales or sums do not fit.
    """
    if kernel not in FORMS:
        raise ValueError(f"kernel {kernel!r} is unknown, choose one of: {', '.join(FORMS)}")
    if not layers or len(labels) != len(layers[-1].weights):
        raise ValueError(f"{len(labels)} labels for {len(layers[-1].weights) if layers else 0} outputs")
    file = _File(FORMS[kernel], len(layers) + softmax)
    first = x = file.activation(layers[0].weights.shape[1], given, born=-1)
    for number, layer in enumerate(layers):
        x = file.dense(x, layer, number >= frozen)
    if softmax:
        x = file.softmax(x)
    info = json.dumps(
        {"name": name, "labels": list(labels), "features": dict(features)}, separators=(",", ":")
    )
    return file.finish(first, x, info.encode())


@dataclass
class _Tensor:
    """A row of the tensor table. Activations live from op ``born`` to ``dies``, constants have content."""

    size: int
    kind: int
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0
    content: bytes | None = None
    channel_scales: bytes = b""
    born: int = 0
    dies: int = 0
    offset: int = 0


class _File:
    """A .mote file under construction."""

    def __init__(self, form: int, op_count: int) -> None:
        self._form, self._op_count = form, op_count
        self._tensors: list[_Tensor] = []
        self._ops: list[bytes] = []
        self._trainables: list[bytes] = []
        self._values = 0  # in the flat vector so far

    def activation(self, count: int, of: Quantisation, born: int) -> int:
        """Add an int8 tensor in the arena, written by op ``born``; return its number."""
        scale = float(np.float32(of.scale))
        return self._add(_Tensor(count, INT8, (count,), scale, of.zero_point, born=born, dies=self._op_count))

    def dense(self, x: int, layer: DenseLayer, trainable: bool) -> int:
        """Add a DENSE op; return the number of its output."""
        given, number = self._tensors[x], len(self._ops)
        rows, columns = layer.weights.shape
        scales = np.asarray(layer.weight_scales, np.float32).reshape(-1)
        if (columns, len(layer.bias)) != (given.size, rows) or len(scales) not in (1, rows):
            raise ValueError(
                f"layer {number}: weights {rows} x {columns}, {len(layer.bias)} biases, "
                f"{len(scales)} scales, {given.size} inputs"
            )
        if trainable and len(scales) != 1:
            raise ValueError(f"layer {number}: what a board trains has one weight scale, not {len(scales)}")
        base = given.zero_point + 128 * self._form
        folded = layer.bias.astype(np.int64) - base * layer.weights.sum(1, dtype=np.int64)
        if np.abs(folded).max() > 0x7FFFFFFF:
            raise ValueError(f"layer {number}: a bias with the zero point folded in exceeds 32 bits")
        factors = [
            quantise.multiplier_of(
                quantise.bits_of(given.scale), quantise.bits_of(scale), layer.output.bits, len(scales) > 1
            )
            for scale in scales
        ]
        multipliers, shifts = np.broadcast_to(np.array(factors, np.int32), (rows, 2)).T
        stored = layer.weights.view(np.uint8) ^ (128 if self._form else 0)
        inputs = [
            x,
            self._constant(stored, INT8, scales),
            self._constant(folded.astype("<i4"), INT32),
            self._constant(multipliers.astype("<i4"), INT32),
            self._constant(shifts.astype("<i4"), INT32),
        ]
        y = self.activation(rows, layer.output, born=number)
        low = max(-128, layer.output.zero_point) if layer.relu else -128
        self._op(DENSE, inputs, y, [layer.output.zero_point, low, 127])
        if trainable:
            self._trainable(number, WEIGHTS, (rows, columns))
            self._trainable(number, BIAS, (rows,))
        return y

    def softmax(self, x: int) -> int:
        """Add a SOFTMAX op; return the number of its output."""
        given = self._tensors[x]
        y = self.activation(given.size, SOFTMAX_OUTPUT, born=len(self._ops))
        self._op(SOFTMAX, [x], y, quantise.softmax_parameters(quantise.bits_of(given.scale)))
        return y

    def finish(self, first: int, last: int, info: bytes) -> bytes:
        """Place everything and return the file."""
        if len(info) > _INFO_BYTES:
            raise ValueError(
                f"name, labels and features take {len(info)} bytes, at most {_INFO_BYTES} are free"
            )
        arena = _plan([tensor for tensor in self._tensors if tensor.content is None])
        ops, trainables = b"".join(self._ops), b"".join(self._trainables)
        tensors_at = _HEADER_BYTES
        ops_at = tensors_at + 32 * len(self._tensors)
        trainables_at = ops_at + len(ops)
        info_at = trainables_at + len(trainables)
        table, data = self._place(_aligned(info_at + len(info)))
        body = struct.pack(
            "<IHHHBBHHIIIII12x",
            arena, len(self._tensors), len(self._ops), len(self._trainables), self._form, 0, first, last,
            tensors_at, ops_at, trainables_at, info_at, len(info),
        ) + table + ops + trainables + _padded(info) + data  # fmt: skip
        size = 16 + len(body)
        return struct.pack("<4sHHII", b"MOTE", _VERSION, _HEADER_BYTES, size, zlib.crc32(body)) + body

    def _place(self, start: int) -> tuple[bytes, bytes]:
        """Give each constant its offset from ``start`` on; return the tensor table and the constants."""
        table, data = bytearray(), bytearray()
        for tensor in self._tensors:
            if tensor.content is not None:
                tensor.offset = start + len(data)
                data += _padded(tensor.content)
            scales_at = start + len(data) if tensor.channel_scales else 0
            data += tensor.channel_scales
            table += struct.pack(
                "<IIBBBx4HfiI",
                tensor.offset, tensor.size, tensor.kind, ARENA if tensor.content is None else FILE,
                len(tensor.shape), *_four(tensor.shape), tensor.scale, tensor.zero_point, scales_at,
            )  # fmt: skip
        return bytes(table), bytes(data)

    def _constant(self, values: NDArray[Any], kind: int, scales: NDArray[np.float32] | None = None) -> int:
        content = np.ascontiguousarray(values).tobytes()
        tensor = _Tensor(len(content), kind, values.shape, content=content)
        if scales is not None and len(scales) == 1:
            tensor.scale = float(scales[0])
        elif scales is not None:
            tensor.channel_scales = scales.astype("<f4").tobytes()
        return self._add(tensor)

    def _add(self, tensor: _Tensor) -> int:
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _op(self, code: int, inputs: list[int], output: int, parameters: Sequence[int]) -> None:
        for tensor in inputs:
            self._tensors[tensor].dies = len(self._ops)
        head = struct.pack("<4B", code, len(inputs), 1, len(parameters))
        tensors = struct.pack(f"<{len(inputs) + 1}H", *inputs, output)
        self._ops.append(head + _padded(tensors) + struct.pack(f"<{len(parameters)}i", *parameters))

    def _trainable(self, op: int, role: int, shape: tuple[int, ...]) -> None:
        count = int(np.prod(shape))
        name = f"dense{op}/{'weights' if role == WEIGHTS else 'bias'}".encode()[:_NAME_BYTES]
        self._trainables.append(
            struct.pack("<HBB4HII16s", op, role, len(shape), *_four(shape), count, self._values, name)
        )
        self._values += count


def _plan(activations: Sequence[_Tensor]) -> int:
    """Give each activation the lowest offset that is free while it lives; return the bytes of the arena."""
    placed: list[_Tensor] = []
    for tensor in activations:
        others = [other for other in placed if other.born <= tensor.dies and tensor.born <= other.dies]
        tensor.offset = 0
        for other in sorted(others, key=lambda one: one.offset):
            if tensor.offset + tensor.size <= other.offset:
                break
            tensor.offset = max(tensor.offset, _aligned(other.offset + other.size))
        placed.append(tensor)
    return _aligned(max(tensor.offset + tensor.size for tensor in placed))


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape + (1,) * (4 - len(shape))


def _aligned(offset: int) -> int:
    return offset + (-offset % 4)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
