"""Operators on pairs of values, with broadcasting; with a single constant value they become a table."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fedmote.models.graph import Code, Kind, Tensor
from fedmote.models.lowering.arithmetic import activation_range, clamp, multiplier_of, requantise, table_of
from fedmote.models.lowering.step import Step

_SHIFT = 20  # left, before the inputs of a sum are rescaled

Pair = Callable[[int, int], int]


def add(step: Step) -> None:
    """ADD."""
    _sum(step, 1)


def sub(step: Step) -> None:
    """SUB."""
    _sum(step, -1)


def mul(step: Step) -> None:
    """MUL."""
    a_scale, b_scale, scale = _scales(step)
    a, b, y = step.source(0), step.source(1), step.y(_broadcast(step))
    low, high = _range(step, y)
    multiplier, shift = multiplier_of(a_scale * b_scale / scale)

    def pair(left: int, right: int) -> int:
        product = (left - a.zero_point) * (right - b.zero_point)
        return clamp(requantise(product, multiplier, shift) + y.zero_point, low, high)

    if not _as_table(step, a, b, y, pair):
        parameters = (a.zero_point, b.zero_point, y.zero_point, multiplier, shift, low, high)
        _emit(step, Code.MUL, y, parameters)


def dequantize(step: Step) -> None:
    """DEQUANTIZE, which a board does at the end of a network only: no operator takes floats."""
    x = step.x(0)
    step.scale(x)
    step.emit(Code.DEQUANTIZE, [x], step.y(step.tensor(0).shape, Kind.FLOAT32))


def _sum(step: Step, sign: int) -> None:
    x_scale, y_scale, scale = _scales(step)
    twice = 2 * max(x_scale, y_scale)
    of_a, of_b, of_y = x_scale / twice, y_scale / twice, twice / ((1 << _SHIFT) * scale)
    a, b, y = step.source(0), step.source(1), step.y(_broadcast(step))
    low, high = _range(step, y)
    if not max(of_a, of_b, of_y) < 1 or not math.isfinite(of_y):
        raise step.refuse("its scale is too small for those of the inputs", y.source)
    factors = [multiplier_of(factor) for factor in (of_a, of_b, of_y)]

    def pair(left: int, right: int) -> int:
        total = requantise((left - a.zero_point) << _SHIFT, *factors[0])
        total += sign * requantise((right - b.zero_point) << _SHIFT, *factors[1])
        return clamp(requantise(total, *factors[2]) + y.zero_point, low, high)

    if not _as_table(step, a, b, y, pair):
        zero_points = (a.zero_point, b.zero_point, y.zero_point)
        _emit(step, Code.ADD, y, (*zero_points, *factors[0], *factors[1], *factors[2], sign, low, high))


def _as_table(step: Step, a: Tensor, b: Tensor, y: Tensor, pair: Pair) -> bool:
    """Emit a LOOKUP if one input is a single constant value and the other has the output's shape."""
    for x, other, function in (
        (a, b, pair),
        (b, a, lambda left, right: pair(right, left)),
    ):
        if other.content is not None and other.count == 1 and x.content is None and x.count == y.count:
            value = int.from_bytes(other.content, "little", signed=True)
            table = table_of(lambda one, of=function, by=value: of(one, by))  # type: ignore[misc]
            constant = step.lowering.graph.constant(np.frombuffer(table, np.uint8), Kind.INT8)
            step.emit(Code.LOOKUP, [x, constant], y)
            return True
    return False


def _emit(step: Step, code: Code, y: Tensor, parameters: Sequence[int]) -> None:
    a, b = step.x(0), step.x(1)
    shape = step.target().shape
    steps = (*_steps(step.tensor(0).shape, shape), *_steps(step.tensor(1).shape, shape))
    step.emit(code, [a, b], y, (*parameters, *steps), macs=y.count)


def _scales(step: Step) -> tuple[float, float, float]:
    step.source(0), step.source(1)
    quantisation = step.target().quantisation
    if quantisation is None or not quantisation.scales[0] > 0:
        raise step.refuse("has no scale; quantise the model to int8", step.output_index())
    return step.scale(step.source(0)), step.scale(step.source(1)), quantisation.scales[0]


def _range(step: Step, y: Tensor) -> tuple[int, int]:
    return activation_range(step.text("fused_activation_function"), y.scale, y.zero_point)


def _broadcast(step: Step) -> tuple[int, ...]:
    """Return the shape of the output."""
    a, b = step.tensor(0).shape, step.tensor(1).shape
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        raise step.refuse(f"shapes {list(a)} and {list(b)} do not fit each other") from None
    if len(shape) > 4:
        raise step.refuse(f"{len(shape)} dimensions are not supported, at most 4")
    return tuple(shape)


def _steps(shape: Sequence[int], of: Sequence[int]) -> list[int]:
    """Return how many elements of a tensor to go on for each of four dimensions of the output."""
    padded = [1] * (4 - len(shape)) + list(shape)
    outer = [1] * (4 - len(of)) + list(of)
    steps, step = [0] * 4, 1
    for axis in reversed(range(4)):
        if padded[axis] > 1 or outer[axis] == 1:
            steps[axis] = step if outer[axis] > 1 else 0
        step *= padded[axis]
    return steps
