"""Writes what a board has learned back to .tflite networks, whose outputs are the board's, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.models.compiler import SOFTMAX_OUTPUT, compile_network
from fedmote.models.graph import Code
from fedmote.models.loading import load
from fedmote.models.lowering.arithmetic import activation_range
from fedmote.models.tflite import Network, Operator, OptionValue, Quantisation, Subgraph, Tensor

_KERNELS = {0: "plain", 1: "viper", 2: "armv6m"}  # weight form -> a kernel that wants it
_ACTIVATIONS = ("RELU", "NONE", "RELU6", "RELU_N1_TO_1")
_FULLY_CONNECTED_VERSIONS = {False: 4, True: 5}  # whether there is a scale per output -> version
_SOFTMAX_VERSION = 2


@dataclass(frozen=True)
class _Layer:
    """A DENSE op as a .tflite file has it. weights: int8 [N, K]. bias: int32 [N]. scales: of the weights."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scales: tuple[float, ...]
    input: Quantisation
    output: Quantisation
    low: int
    high: int

    @property
    def weights_quantisation(self) -> Quantisation:
        return Quantisation(self.scales, (0,) * len(self.scales))

    @property
    def bias_quantisation(self) -> Quantisation:
        products = (np.float32(self.input.scales[0]) * np.float32(scale) for scale in self.scales)
        return Quantisation(tuple(float(scale) for scale in products), (0,) * len(self.scales))

    @property
    def activation(self) -> str | None:
        """The fused activation, None if it is none that .tflite has."""
        (scale,), (zero_point,) = self.output.scales, self.output.zero_points
        for activation in _ACTIVATIONS:
            if activation_range(activation, scale, zero_point) == (self.low, self.high):
                return activation
        return None


def dense_network(mote: bytes) -> Network:
    """Return a .mote file of dense layers, and at most a softmax, as a .tflite network.

    Raises FedmoteError where it has other ops, or numbers that TensorFlow Lite Micro would not compute.
    """
    model = load(mote)
    tensors = [_activation("input", model.input_tensor)]
    operators: list[Operator] = []
    x = model.input_tensor
    for op in model.ops:
        if op.tensors[0].number != x.number or op.code not in (Code.DENSE, Code.SOFTMAX):
            raise FedmoteError(
                f"op {op.number} ({op.name}) is not one of dense layers in a row: this network came from a "
                ".tflite file, name it with --like"
            )
        if op.code == Code.DENSE:
            operators.append(_fully_connected(_layer(model, op), op.number, tensors))
        else:
            tensors.append(
                Tensor("probabilities", tensors[-1].shape, "INT8", None, _as_tflite(SOFTMAX_OUTPUT))
            )
            last = len(tensors) - 1
            operators.append(Operator("SOFTMAX", _SOFTMAX_VERSION, (last - 1,), (last,), {"beta": 1.0}))
        x = op.tensors[-1]
    main = Subgraph("main", tuple(tensors), tuple(operators), (0,), (len(tensors) - 1,))
    network = Network(3, str(model.info.get("name", "")), (main,))
    _check(model, network)
    return network


def into(mote: bytes, original: Network) -> Network:
    """Return the network that a .mote file was compiled from, with the weights that the board has learned.

    Raises FedmoteError where it was compiled from another one, or has numbers that TensorFlow Lite Micro
    would not compute.
    """
    model = load(mote)
    trained = sorted({row.op for row in model.trainables})
    compiled = compile_network(original, _KERNELS[model.form], trainable=len(trained))
    before = load(compiled.mote)
    if [_outline(op) for op in before.ops] != [_outline(op) for op in model.ops]:
        raise FedmoteError("the .mote file was not compiled from this .tflite file: their ops differ")
    main = original.subgraphs[0]
    tensors, operators = list(main.tensors), list(main.operators)
    for number in trained:
        layer = _layer(model, model.ops[number])
        _replace(layer, compiled.ops[number - compiled.setup].operator, tensors, operators)
    main = replace(main, tensors=tuple(tensors), operators=tuple(operators))
    network = replace(original, subgraphs=(main, *original.subgraphs[1:]))
    _check(model, network)
    return network


def _layer(model: Any, op: Any) -> _Layer:
    x, weights, bias, _, _, y = op.tensors
    rows = bias.size // 4
    flip = 128 if model.form else 0
    stored = np.frombuffer(bytes(weights.data), np.uint8) ^ np.uint8(flip)
    values = stored.view(np.int8).reshape(rows, -1)
    base = x.zero_point + flip
    whole = np.frombuffer(bytes(bias.data), "<i4").astype(np.int64) + base * values.sum(1, dtype=np.int64)
    if np.abs(whole).max() > 0x7FFFFFFF:
        raise FedmoteError(f"op {op.number} (dense): a bias exceeds 32 bits")
    _, low, high = op.parameters
    return _Layer(
        values,
        whole.astype(np.int32),
        _scales(model, weights, rows),
        _quantisation(x),
        _quantisation(y),
        low,
        high,
    )


def _scales(model: Any, weights: Any, rows: int) -> tuple[float, ...]:
    """Return the scales of weights: one, or one per row."""
    (at,) = np.frombuffer(model.buffer, "<u4", 1, weights.row + 28)
    if not at:
        return (_float(weights.scale),)
    if at + 4 * rows > len(model.buffer):
        raise FedmoteError(f"tensor {weights.number}: its scales lie outside of the file")
    return tuple(float(scale) for scale in np.frombuffer(model.buffer, "<f4", rows, int(at)))


def _fully_connected(layer: _Layer, number: int, tensors: list[Tensor]) -> Operator:
    """Add a layer's tensors and return its operator, which reads the last one so far."""
    activation = layer.activation
    if activation is None:
        raise FedmoteError(f"op {number} (dense): no activation clamps to {layer.low} to {layer.high}")
    x, shape = len(tensors) - 1, layer.weights.shape
    tensors += [
        Tensor(f"dense{number}/weights", shape, "INT8", layer.weights.tobytes(), layer.weights_quantisation),
        Tensor(
            f"dense{number}/bias",
            shape[:1],
            "INT32",
            layer.bias.astype("<i4").tobytes(),
            layer.bias_quantisation,
        ),
        Tensor(f"dense{number}", (1, shape[0]), "INT8", None, layer.output),
    ]
    options: dict[str, OptionValue] = {
        "fused_activation_function": activation,
        "weights_format": "DEFAULT",
        "keep_num_dims": False,
        "asymmetric_quantize_inputs": False,
        "quantized_bias_type": "FLOAT32",
    }
    version = _FULLY_CONNECTED_VERSIONS[len(layer.scales) > 1]
    return Operator("FULLY_CONNECTED", version, (x, x + 1, x + 2), (x + 3,), options)


def _replace(layer: _Layer, number: int, tensors: list[Tensor], operators: list[Operator]) -> None:
    """Put a layer into operator ``number``."""
    operator = operators[number]
    weights, bias = (*operator.inputs, -1)[1:3]
    for index in (weights, bias):
        if index >= 0 and sum(other.inputs.count(index) for other in operators) != 1:
            raise FedmoteError(f"operator {number} (FULLY_CONNECTED) shares tensor {index} with another one")
    if bias < 0:
        tensors.append(Tensor("bias", layer.bias.shape, "INT32"))
        bias = len(tensors) - 1
        operators[number] = replace(operator, inputs=(*operator.inputs[:2], bias))
    tensors[weights] = replace(
        tensors[weights], data=layer.weights.tobytes(), quantisation=layer.weights_quantisation
    )
    tensors[bias] = replace(
        tensors[bias], data=layer.bias.astype("<i4").tobytes(), quantisation=layer.bias_quantisation
    )
    (y,) = operator.outputs
    tensors[y] = replace(tensors[y], quantisation=layer.output)


def _check(model: Any, network: Network) -> None:
    """Raise FedmoteError where compiling the network does not give the ops of the model again."""
    count = len({row.op for row in model.trainables})
    again = load(compile_network(network, _KERNELS[model.form], trainable=count).mote)
    if len(again.ops) != len(model.ops):
        raise FedmoteError(
            f"the network would be compiled to {len(again.ops)} ops, the file has {len(model.ops)}"
        )
    for ours, theirs in zip(model.ops, again.ops, strict=True):
        if _content(ours) != _content(theirs):
            raise FedmoteError(
                f"op {ours.number} ({ours.name}) has factors, or a clamp, that TensorFlow Lite Micro would "
                "not compute from its scales: the file was changed by something else than fedmote"
            )


def _outline(op: Any) -> tuple[int, Sequence[Any]]:
    """Return what training does not change."""
    return op.code, [(tensor.shape, tensor.is_activation) for tensor in op.tensors]


def _content(op: Any) -> list[Any]:
    """Return all that an op computes with."""
    constants = [bytes(tensor.data) for tensor in op.tensors if not tensor.is_activation]
    return [op.code, op.parameters, constants]


def _activation(name: str, tensor: Any) -> Tensor:
    return Tensor(name, (1, tensor.size), "INT8", None, _quantisation(tensor))


def _quantisation(tensor: Any) -> Quantisation:
    return Quantisation((_float(tensor.scale),), (tensor.zero_point,))


def _as_tflite(quantisation: Any) -> Quantisation:
    return Quantisation((quantisation.scale,), (quantisation.zero_point,))


def _float(bits: int) -> float:
    return float(np.array(bits, np.uint32).view(np.float32))
