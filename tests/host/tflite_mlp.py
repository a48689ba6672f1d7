"""Writes int8 multilayer perceptrons as .tflite files, to ask TensorFlow Lite Micro what they compute."""

from collections.abc import Sequence

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from fedmote.models.compiler import SOFTMAX_OUTPUT, DenseLayer, Quantisation


def write(given: Quantisation, layers: Sequence[DenseLayer], softmax: bool) -> bytes:
    """Return the .tflite file of FULLY_CONNECTED layers with their fused ReLU, and a SOFTMAX if wanted."""
    file = _File()
    first = x = file.activation(layers[0].weights.shape[1], given)
    for layer in layers:
        rows, columns = layer.weights.shape
        scales = layer.weight_scales
        weights = file.tensor(
            (rows, columns), schema.TensorType.INT8, layer.weights, scales, [0] * len(scales)
        )
        bias_scales = np.float32(given.scale) * scales
        bias = file.tensor((rows,), schema.TensorType.INT32, layer.bias, bias_scales, [0] * len(scales))
        y = file.activation(rows, layer.output)
        options = schema.FullyConnectedOptionsT()
        activations = schema.ActivationFunctionType
        options.fusedActivationFunction = activations.RELU if layer.relu else activations.NONE
        file.op(
            schema.BuiltinOperator.FULLY_CONNECTED,
            [x, weights, bias],
            y,
            schema.BuiltinOptions.FullyConnectedOptions,
            options,
        )
        x, given = y, layer.output
    if softmax:
        y = file.activation(len(layers[-1].bias), SOFTMAX_OUTPUT)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        file.op(schema.BuiltinOperator.SOFTMAX, [x], y, schema.BuiltinOptions.SoftmaxOptions, options)
        x = y
    return file.finish(first, x)


class _File:
    """A .tflite file under construction, through the Object API of tflite-micro's schema."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.subgraphs = [self._graph]
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []

    def activation(self, count: int, of: Quantisation) -> int:
        """Add an int8 tensor [1, count] without content; return its number."""
        return self.tensor((1, count), schema.TensorType.INT8, None, [of.scale], [of.zero_point])

    def tensor(
        self,
        shape: Sequence[int],
        kind: int,
        content: NDArray[np.generic] | None,
        scales: Sequence[float],
        zero_points: Sequence[int],
    ) -> int:
        """Add a tensor, of axis 0 where there are several scales; return its number."""
        tensor = schema.TensorT()
        tensor.name = f"tensor{len(self._graph.tensors)}"
        tensor.shape, tensor.type = list(shape), kind
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [float(scale) for scale in scales]
        tensor.quantization.zeroPoint = list(zero_points)
        if content is None:
            tensor.buffer = 0  # the empty one
        else:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def op(self, code: int, inputs: list[int], output: int, options_type: int, options: object) -> None:
        """Add an operator."""
        row = schema.OperatorCodeT()
        row.builtinCode = row.deprecatedBuiltinCode = code
        row.version = 5 if code == schema.BuiltinOperator.FULLY_CONNECTED else 2
        self._model.operatorCodes.append(row)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        self._graph.operators.append(operator)

    def finish(self, first: int, last: int) -> bytes:
        """Return the file."""
        self._graph.inputs, self._graph.outputs = [first], [last]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
