"""Compiles int8 networks, from .tflite files or dense layers of our own, to .mote files that boards run.

docs/mote-format.md has the bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.models import lowering, planner, quads, tflite, writer
from fedmote.models.graph import Code, Graph, Op, Tensor
from fedmote.models.loading import load
from fedmote.models.lowering.step import LARGEST_BYTES
from fedmote.models.lowering.weighted import weight_constants
from mote import quantise
from mote.streaming import rows_of_block

#: kernel -> weight form that it wants
FORMS = {
    "plain": 0, "ulab": 0, "viper": 1, "armv6m": quads.FORM, "armv8m": quads.FORM, "rv32": quads.FORM,
    "xtensa": quads.FORM, "reference": 0,
}  # fmt: skip

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
    graph = Graph(FORMS[kernel])
    graph.input = x = graph.activation((1, layers[0].weights.shape[1]), given.scale, given.zero_point)
    for number, layer in enumerate(layers):
        op = _dense(graph, x, layer)
        if number >= frozen and len(layer.weight_scales) != 1:
            raise ValueError(
                f"layer {number}: what a board trains has one weight scale, not {len(layer.weight_scales)}"
            )
        if number >= frozen:
            graph.train(op)
        x = op.output
    if softmax:
        y = graph.activation(x.shape, SOFTMAX_OUTPUT.scale, SOFTMAX_OUTPUT.zero_point)
        graph.op(Code.SOFTMAX, [x], y, quantise.softmax_parameters(quantise.bits_of(x.scale)))
        x = y
    graph.output = x
    return writer.write(graph, planner.plan(graph), _info(name, labels, features))


@dataclass(frozen=True)
class Row:
    """A device op for people. op: its name. operator: number of the .tflite operator that it comes from.

    tensor: number of the .tflite tensor that is complete once it has run, or None. shape: of its output.
    bytes: of its constants.
    """

    op: str
    operator: int
    tensor: int | None
    shape: tuple[int, ...]
    macs: int
    bytes: int


@dataclass(frozen=True)
class Lifetime:
    """Bytes ``offset`` to ``offset + size`` of the arena, taken from op ``born`` to op ``dies``.

    born -1: the input, written before the first op. tensors: numbers of the .tflite tensors in it.
    """

    tensors: tuple[int, ...]
    offset: int
    size: int
    born: int
    dies: int


@dataclass(frozen=True)
class Compiled:
    """A compiled network. mote: the file. setup: number of set-up ops, which stand before ``ops`` in it.

    ops: those that run at every call. arena_bytes: of the whole arena. peak_op: number of the one of ``ops``
    at which the most bytes of the arena are in use, ``peak_bytes`` of them. tensors: .tflite tensor -> tensor
    of the .mote file that has its value, at the end of the op that writes it. input, output: .tflite tensors.
    weight_bytes: of weights that a board may leave in the file; block_bytes: of the buffer that it then reads
    them into. notes: what the user should know.
    """

    mote: bytes
    setup: int
    ops: tuple[Row, ...]
    arena_bytes: int
    peak_op: int
    peak_bytes: int
    lifetimes: tuple[Lifetime, ...]
    tensors: dict[int, int]
    input: int
    output: int
    weight_bytes: int
    block_bytes: int
    notes: tuple[str, ...]

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(row.macs for row in self.ops)

    @property
    def resident_bytes(self) -> int:
        """Heap that a board needs where it holds the file in memory: the file and the arena."""
        return len(self.mote) + self.arena_bytes

    @property
    def streamed_bytes(self) -> int:
        """Heap that a board needs where it reads weights from the file as it goes."""
        return len(self.mote) - self.weight_bytes + self.block_bytes + self.arena_bytes


def compile_network(
    network: tflite.Network,
    kernel: str = "viper",
    name: str = "",
    labels: Sequence[str] = (),
    features: Mapping[str, Any] | None = None,
    trainable: int | None = None,
) -> Compiled:
    """Compile a .tflite network; the board's int8 output is that of TensorFlow Lite Micro, bit for bit.

    kernel: the one that the board will use. name: of the model, the network's description when empty. labels:
    class names in order of the output, or none. features: settings for lib/mote/features.py. trainable: how
    many of the last FULLY_CONNECTED layers a board may train, none by default.

    Raises FedmoteError naming operator, tensor and reason where boards cannot run it.
    """
    if kernel not in FORMS:
        raise FedmoteError(f"kernel {kernel!r} is unknown, choose one of: {', '.join(FORMS)}")
    lowered = lowering.lower(network, FORMS[kernel], trainable or 0)
    graph = lowered.graph
    assert graph.input is not None and graph.output is not None
    if labels and len(labels) != graph.output.count:
        raise FedmoteError(f"{len(labels)} labels for the {graph.output.count} values of the output")
    if graph.form == quads.FORM:
        quads.rewrite(graph)
    plan = planner.plan(graph)
    if plan.arena_bytes > LARGEST_BYTES:
        raise FedmoteError(f"the arena takes {plan.arena_bytes} bytes, boards take at most {LARGEST_BYTES}")
    try:
        mote = writer.write(graph, plan, _info(name or network.description, labels, features or {}))
    except ValueError as error:
        raise FedmoteError(str(error)) from None
    load(mote)
    numbers = {tensor: number for number, tensor in enumerate(graph.tensors)}
    streamable = graph.streamable
    return Compiled(
        mote=mote,
        setup=len(graph.setup),
        ops=tuple(_rows(graph)),
        arena_bytes=plan.arena_bytes,
        peak_op=plan.peak_op,
        peak_bytes=plan.peak_bytes,
        lifetimes=tuple(_lifetimes(graph, plan)),
        tensors={index: numbers[tensor] for index, tensor in lowered.values.items()},
        input=_number(graph.input),
        output=_number(graph.output),
        weight_bytes=sum(weights.size for weights in streamable),
        block_bytes=max((prod(rows_of_block(op)) for op in streamable.values()), default=0),
        notes=tuple(lowered.notes),
    )


def _dense(graph: Graph, x: Tensor, layer: DenseLayer) -> Op:
    """Add a DENSE op. Raises ValueError where the layer does not fit."""
    number = len(graph.ops)
    rows, columns = layer.weights.shape
    scales = np.asarray(layer.weight_scales, np.float32).reshape(-1)
    if (columns, len(layer.bias)) != (x.count, rows) or len(scales) not in (1, rows):
        raise ValueError(
            f"layer {number}: weights {rows} x {columns}, {len(layer.bias)} biases, "
            f"{len(scales)} scales, {x.count} inputs"
        )
    zero_point = layer.output.zero_point
    y = graph.activation((1, rows), layer.output.scale, zero_point)
    try:
        constants = weight_constants(graph, x, y, layer.weights, layer.bias, scales)
    except ValueError as error:
        raise ValueError(f"layer {number}: {error}") from None
    low = max(-128, zero_point) if layer.relu else -128
    return graph.op(Code.DENSE, [x, *constants], y, (zero_point, low, 127))


def _info(name: str, labels: Sequence[str], features: Mapping[str, Any]) -> bytes:
    info = {"name": name, "labels": list(labels), "features": dict(features)}
    return json.dumps(info, separators=(",", ":")).encode()


def _rows(graph: Graph) -> list[Row]:
    last = {op.output: number for number, op in enumerate(graph.ops)}
    return [
        Row(
            op.code.name,
            -1 if op.operator is None else op.operator,
            op.output.source if last[op.output] == number else None,
            op.output.shape,
            op.macs,
            op.constant_bytes,
        )
        for number, op in enumerate(graph.ops)
    ]


def _lifetimes(graph: Graph, plan: planner.Plan) -> list[Lifetime]:
    inside: dict[Any, list[int]] = {}
    for tensor in graph.tensors:
        if tensor.storage is not None and tensor.source is not None:
            inside.setdefault(tensor.storage, []).append(tensor.source)
    return [
        Lifetime(tuple(inside.get(one.storage, ())), one.offset, one.size, one.born, one.dies)
        for one in plan.lifetimes
    ]


def _number(tensor: Tensor) -> int:
    return -1 if tensor.source is None else tensor.source
