"""Operators on single values: each becomes a table of its 256 results."""

from collections.abc import Callable

import numpy as np

from fedmote.models.graph import Code, Kind, Tensor
from fedmote.models.lowering import arithmetic
from fedmote.models.lowering.arithmetic import HIGH, LOW, clamp, multiplier_of, requantise, rounded_ratio
from fedmote.models.lowering.step import Step

_INTEGER_BITS = 4  # of the input of LOGISTIC and TANH


def logistic(step: Step) -> None:
    """LOGISTIC."""
    _check_output(step)
    _saturating(step, lambda value: arithmetic.rounding_shift(arithmetic.logistic(value), 23) - 128)


def tanh(step: Step) -> None:
    """TANH."""
    _saturating(step, lambda value: arithmetic.rounding_shift(arithmetic.tanh(value), 24))


def relu(step: Step) -> None:
    """RELU, which may rescale."""
    x, y = _pair(step)
    multiplier, shift = multiplier_of(step.scale(x) / step.scale(y))
    low = max(LOW, y.zero_point)
    _emit(
        step, x, y,
        lambda value: clamp(requantise(value - x.zero_point, multiplier, shift) + y.zero_point, low),
    )  # fmt: skip


def relu6(step: Step) -> None:
    """RELU6, which only clamps."""
    x, y = _pair(step)
    six = clamp(rounded_ratio(6, step.scale(x)) + x.zero_point)
    _emit(step, x, y, lambda value: six if value > six else max(value, x.zero_point))


def leaky_relu(step: Step) -> None:
    """LEAKY_RELU."""
    x, y = _pair(step)
    x_scale, y_scale = step.scale(x), step.scale(y)
    alpha = step.real("alpha")
    if alpha < 0:
        raise step.refuse(f"a negative alpha ({alpha:g}) is not supported")
    rising = multiplier_of(x_scale / y_scale)
    falling = multiplier_of(x_scale * alpha / y_scale)

    def value_of(value: int) -> int:
        value -= x.zero_point
        return clamp(requantise(value, *(rising if value >= 0 else falling)) + y.zero_point)

    _emit(step, x, y, value_of)


def quantize(step: Step) -> None:
    """QUANTIZE from int8 or uint8, to any scale. A float input of the network is left to the caller."""
    if step.tensor(0).type == "FLOAT32":
        _quantize_input(step)
        return
    x = step.x(0, Kind.INT8, Kind.UINT8)
    y = step.y(step.tensor(0).shape, Kind.INT8, Kind.UINT8)
    multiplier, shift = multiplier_of(step.scale(x) / step.scale(y))
    low = _low(y)
    _emit(
        step, x, y,
        lambda value: clamp(
            requantise(value - x.zero_point, multiplier, shift) + y.zero_point, low, low + 255
        ),
    )  # fmt: skip


def _quantize_input(step: Step) -> None:
    """Make the quantised tensor the network's input, if it was the float one: boards take int8."""
    lowering, index = step.lowering, step.index(0)
    if index not in lowering.main.inputs or lowering.graph.input is not None:
        step.x(0)  # says what to do about floats
    lowering.graph.input = step.y(step.tensor(0).shape, Kind.INT8, Kind.UINT8)
    lowering.notes.append(
        f"the float input is left to the caller: write tensor {step.output_index()} "
        f"({step.target().name!r}), quantised, instead"
    )


def _check_output(step: Step) -> None:
    quantisation = step.target().quantisation
    if quantisation is None or quantisation.zero_points != (-128,):
        raise step.refuse("must have the zero point -128", step.output_index())


def _saturating(step: Step, function: Callable[[int], int]) -> None:
    """function: from the input in Q27 to the output, which may exceed int8."""
    x, y = _pair(step)
    multiplier, shift = multiplier_of(step.scale(x))
    shift += 31 - _INTEGER_BITS
    radius = arithmetic.input_radius(shift, _INTEGER_BITS) if shift >= 0 else 256

    def value_of(value: int) -> int:
        value -= x.zero_point
        if abs(value) >= radius:
            return HIGH if value > 0 else LOW
        return clamp(function(requantise(value, multiplier, shift)))

    _emit(step, x, y, value_of)


def _pair(step: Step) -> tuple[Tensor, Tensor]:
    return step.x(0), step.y(step.tensor(0).shape)


def _emit(step: Step, x: Tensor, y: Tensor, function: Callable[[int], int]) -> None:
    table = arithmetic.table_of(function, _low(x))
    constant = step.lowering.graph.constant(np.frombuffer(table, np.uint8), Kind.INT8)
    step.emit(Code.LOOKUP, [x, constant], y)


def _low(tensor: Tensor) -> int:
    return 0 if tensor.kind is Kind.UINT8 else LOW
