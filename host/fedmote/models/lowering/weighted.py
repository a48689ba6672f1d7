"""Operators with weights: CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.models.graph import Code, Graph, Kind, Tensor
from fedmote.models.lowering.arithmetic import activation_range, factor_of
from fedmote.models.lowering.step import Step

_INT32 = 0x7FFFFFFF


def conv_2d(step: Step) -> None:
    """CONV_2D: weights [N, KH, KW, C]."""
    x, weights = step.x(0), step.array(1, "INT8")
    if weights.ndim != 4 or len(x.shape) != 4 or weights.shape[3] != x.shape[3]:
        raise step.refuse(
            f"weights {list(weights.shape)} do not fit the input {list(x.shape)}", step.index(1)
        )
    outputs, height, width, channels = weights.shape
    _convolve(step, Code.CONV, x, weights, outputs, (height, width), height * width * channels)


def depthwise_conv_2d(step: Step) -> None:
    """DEPTHWISE_CONV_2D: weights [1, KH, KW, C * multiplier]."""
    x, weights = step.x(0), step.array(1, "INT8")
    fits = weights.ndim == len(x.shape) == 4 and weights.shape[0] == 1 and weights.shape[3] % x.shape[3] == 0
    if not fits:
        raise step.refuse(
            f"weights {list(weights.shape)} do not fit the input {list(x.shape)}", step.index(1)
        )
    _, height, width, outputs = weights.shape
    _convolve(step, Code.DEPTHWISE, x, weights, outputs, (height, width), height * width)


def fully_connected(step: Step) -> None:
    """FULLY_CONNECTED: weights [N, K], of any number of rows of K values."""
    x, weights = step.x(0), step.array(1, "INT8")
    if weights.ndim != 2 or x.count % weights.shape[1]:
        raise step.refuse(
            f"weights {list(weights.shape)} do not fit the input {list(x.shape)}", step.index(1)
        )
    if step.text("weights_format") != "DEFAULT":
        raise step.refuse("shuffled weights are not supported; convert the model again", step.index(1))
    outputs, columns = weights.shape
    rows = x.count // columns
    shape = tuple(step.target().shape)
    if prod(shape) != rows * outputs or shape[-1:] != (outputs,):
        raise step.refuse(f"has the shape {list(shape)}, not {rows} x {outputs}", step.output_index())
    y = step.y(shape)
    low, high = activation_range(step.text("fused_activation_function"), step.scale(y), y.zero_point)
    inputs = _constants(step, x, y, weights, outputs)
    step.emit(Code.DENSE, [x, *inputs], y, (y.zero_point, low, high), rows * outputs * columns)


def weight_constants(
    graph: Graph,
    x: Tensor,
    y: Tensor,
    weights: NDArray[np.int8],
    bias: NDArray[Any],
    scales: NDArray[np.float32],
) -> list[Tensor]:
    """Return the constants of a DENSE, CONV or DEPTHWISE op: weights, bias, multipliers, shifts.

    weights: as the file has them, output channels first, but last for [1, H, W, N]. bias: [N]. scales: [1] or
    [N]. Raises ValueError where sums or factors do not fit.
    """
    last = weights.ndim == 4 and weights.shape[-1] == len(bias) and weights.shape[0] == 1
    axes = (0, 1, 2) if last else tuple(range(1, weights.ndim))
    base = x.zero_point + graph.offset
    folded = bias.astype(np.int64) - base * weights.sum(axes, dtype=np.int64)
    if np.abs(folded).max() > _INT32:
        raise ValueError("a bias with the zero point folded in exceeds 32 bits")
    factors = [factor_of(x.scale, float(scale), y.scale) for scale in scales]
    multipliers, shifts = np.broadcast_to(np.array(factors, np.int32), (len(bias), 2)).T
    return [
        graph.constant(weights.view(np.uint8) ^ np.uint8(graph.offset), Kind.INT8, scales),
        graph.constant(folded.astype("<i4"), Kind.INT32),
        graph.constant(multipliers.astype("<i4"), Kind.INT32),
        graph.constant(shifts.astype("<i4"), Kind.INT32),
    ]


def window(step: Step, x: Sequence[int], kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Return (height, width) of the output and (top, left) padding of a window moved over [1, H, W, C]."""
    if x[0] != 1:
        raise step.refuse(f"a batch of {x[0]} is not supported; convert the model with a batch of 1")
    sizes, paddings = [], []
    strides = step.integer("stride_h"), step.integer("stride_w")
    for length, size, stride, apart in zip(x[1:3], kernel, strides, dilation, strict=True):
        if min(size, stride, apart) < 1:
            raise step.refuse(f"a kernel of {size}, stride {stride} and dilation {apart} cannot be computed")
        reach = (size - 1) * apart + 1
        same = step.text("padding") == "SAME"
        count = (length + stride - 1) // stride if same else (length + stride - reach) // stride
        sizes.append(count)
        paddings.append(max((count - 1) * stride + reach - length, 0) // 2)
    return (*sizes, *paddings)


def _convolve(
    step: Step,
    code: Code,
    x: Tensor,
    weights: NDArray[np.int8],
    outputs: int,
    kernel: tuple[int, int],
    macs: int,
) -> None:
    """macs: of one output value."""
    dilation = step.integer("dilation_h_factor"), step.integer("dilation_w_factor")
    height, width, top, left = window(step, x.shape, kernel, dilation)
    y = step.y((1, height, width, outputs))
    low, high = activation_range(step.text("fused_activation_function"), step.scale(y), y.zero_point)
    inputs = _constants(step, x, y, weights, outputs)
    strides = step.integer("stride_h"), step.integer("stride_w")
    parameters = (x.zero_point, y.zero_point, low, high, *strides, *dilation, top, left)
    step.emit(code, [x, *inputs], y, parameters, height * width * outputs * macs)


def _constants(step: Step, x: Tensor, y: Tensor, weights: NDArray[np.int8], outputs: int) -> list[Tensor]:
    quantisation = step.tensor(1).quantisation
    if quantisation is None:
        raise step.refuse("has no scale; quantise the model to int8", step.index(1))
    if any(quantisation.zero_points):
        raise step.refuse(
            "weights with a zero point are not supported; quantise them symmetrically (int8, -127 to 127)",
            step.index(1),
        )
    scales = np.array(quantisation.scales, np.float32)
    if len(scales) not in (1, outputs):
        raise step.refuse(f"has {len(scales)} scales for {outputs} output channels", step.index(1))
    bias = step.array(2, "INT32").reshape(-1) if step.has(2) else np.zeros(outputs, np.int32)
    if len(bias) != outputs:
        raise step.refuse(f"has {len(bias)} values for {outputs} output channels", step.index(2))
    step.scale(x)
    return weight_constants(step.lowering.graph, x, y, weights, bias, scales)
