"""Weight form 2: turns the ops of a graph that have weights into PRODUCTS and TAPS, for kernels that compute
four outputs at a time (docs/mote-format.md has both ops, docs/kernels.md what they are for)."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedmote.models.graph import Code, Graph, Kind, Op, Tensor
from fedmote.models.quads import lanes

#: bias, multipliers and shifts of N outputs
Constants: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

#: number of the weight form in the file
FORM = 2

_QUAD = 4
_FARTHEST = 0xFFFF  # between the taps of a window, lib/mote/ops.py
_INT32 = 0x7FFFFFFF


def rewrite(graph: Graph) -> None:
    """Replace the DENSE, CONV and DEPTHWISE ops of a graph of form 2, where that can be had.

    An op that a board trains stays as it is, and so does one with a weight of -128, whose products would
    leave their lanes.
    """
    trained = {row.op for row in graph.trainables}
    for op in graph.ops:
        if op.code in _REWRITES and op not in trained:
            _REWRITES[op.code](graph, op)


def _dense(graph: Graph, op: Op) -> None:
    """Rows of K values are pixels of K channels."""
    weights = _signed(op)
    outputs, columns = weights.shape
    rows = op.inputs[0].count // columns
    if max(rows, columns) <= _FARTHEST:
        zero_point, low, high = op.parameters
        window = (op.inputs[0].zero_point, zero_point, low, high, 1, 1, 1, 1, 0, 0)
        _products(graph, op, weights.reshape(outputs, 1, 1, columns), window, rows)


def _conv(graph: Graph, op: Op) -> None:
    _products(graph, op, _signed(op), op.parameters)


def _products(
    graph: Graph, op: Op, weights: NDArray[np.int8], window: tuple[int, ...], rows: int | None = None
) -> None:
    """weights: [N, KH, KW, C]. window: the parameters of a CONV. rows: of DENSE, else None."""
    outputs, height, width, _ = weights.shape
    matrix = weights.reshape(outputs, -1)
    constants = _constants(op, matrix)
    if constants is None or not _reaches(window, height, width):
        return
    missing = -outputs % _QUAD
    quads = np.pad(matrix, ((0, missing), (0, 0))).reshape(-1, _QUAD, matrix.shape[1]).transpose(0, 2, 1)
    padded = [
        np.pad(values, (0, missing), constant_values=beyond)
        for values, beyond in zip(constants, _BEYOND, strict=True)
    ]
    x = op.inputs[0]
    if rows is not None:
        x = _seen_as_pixels(graph, x, rows)
        op.output = _seen_as_pixels(graph, op.output, rows)
    op.code = Code.PRODUCTS
    op.parameters = (*window, height, width, lanes.window(matrix))
    _replace(graph, op, x, quads.view(np.uint8) ^ np.uint8(128), padded)


def _taps(graph: Graph, op: Op) -> None:
    weights = _signed(op)
    _, height, width, outputs = weights.shape
    matrix = weights.reshape(-1, outputs).T
    constants = _constants(op, matrix)
    if constants is None or not _reaches(op.parameters, height, width):
        return
    op.code = Code.TAPS
    op.parameters = (*op.parameters, height, width, 0)
    _replace(graph, op, op.inputs[0], matrix, constants)


def _signed(op: Op) -> NDArray[np.int8]:
    """Return the weights of an op of form 1."""
    weights = op.inputs[1]
    stored = np.frombuffer(weights.content or b"", np.uint8).reshape(weights.shape)
    return (stored ^ np.uint8(128)).view(np.int8)


def _constants(op: Op, matrix: NDArray[np.int8]) -> Constants | None:
    """Return bias, multipliers, shifts for signed weights [N, K]; None where those or a bias do not fit."""
    bias, multipliers, shifts = (
        np.frombuffer(tensor.content or b"", "<i4").astype(np.int64) for tensor in op.inputs[2:]
    )
    bias = bias + 128 * matrix.sum(1, dtype=np.int64)
    if matrix.min() == -128 or np.abs(bias).max() > _INT32:
        return None
    return bias, multipliers, shifts


def _reaches(window: tuple[int, ...], height: int, width: int) -> bool:
    """Whether the taps of a window are as close together as boards want them."""
    down, right = window[6:8]
    return max((height - 1) * down, (width - 1) * right) <= _FARTHEST


def _seen_as_pixels(graph: Graph, tensor: Tensor, rows: int) -> Tensor:
    """Return an activation as [1, 1, rows, values], itself where boards see it so anyway."""
    shape = (1, 1, rows, tensor.count // rows)
    if (1,) * (4 - len(tensor.shape)) + tensor.shape == shape:
        return tensor
    return graph.view(tensor, shape, tensor.scale, tensor.zero_point, source=tensor.source)


def _replace(
    graph: Graph, op: Op, x: Tensor, weights: NDArray[Any], constants: Iterable[NDArray[np.int64]]
) -> None:
    """Give an op its new inputs."""
    graph.remove(op.inputs[1:])
    op.inputs = (
        x,
        graph.constant(weights, Kind.INT8),
        *(graph.constant(values.astype("<i4"), Kind.INT32) for values in constants),
    )


#: bias, multiplier and shift of rows that only fill up a quad
_BEYOND = (0, 1 << 30, 0)
_REWRITES: dict[Code, Callable[[Graph, Op], None]] = {
    Code.DENSE: _dense,
    Code.CONV: _conv,
    Code.DEPTHWISE: _taps,
}
