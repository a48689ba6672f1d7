"""Operators over windows, whole axes and rows: pools, MEAN and SOFTMAX."""

import math
from math import prod

from fedmote.models.graph import Code
from fedmote.models.lowering.arithmetic import activation_range, multiplier_of
from fedmote.models.lowering.move import permute
from fedmote.models.lowering.step import Step
from fedmote.models.lowering.weighted import window

#: up to this difference of scales TensorFlow Lite Micro computes a pool as if they were equal
_SCALE_TOLERANCE = 1e-6
_INTEGER_BITS = 5  # of the differences that the softmax's exp takes
_SOFTMAX_OUTPUT = (1 / 256, -128)


def average_pool_2d(step: Step) -> None:
    """AVERAGE_POOL_2D."""
    _pool(step, Code.AVERAGE_POOL)


def max_pool_2d(step: Step) -> None:
    """MAX_POOL_2D."""
    _pool(step, Code.MAX_POOL)


def mean(step: Step) -> None:
    """MEAN over any axes: those that do not lie side by side are moved to the end first."""
    x = step.x(0)
    shape = step.tensor(0).shape
    axes = {step.axis(axis, len(shape)) for axis in step.integers(1)}
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    left = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    y = step.y(left if step.integer("keep_dims") else kept)
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    reduced = [number for number, axis in enumerate(wide) if axis in axes]
    count = prod(shape[axis] for axis in axes)
    if reduced and reduced[-1] - reduced[0] + 1 != len(reduced):
        order = [axis for axis in wide if axis not in axes] + [axis for axis in wide if axis in axes]
        moved = step.lowering.graph.activation([shape[axis] for axis in order], x.scale, x.zero_point)
        permute(step, x, moved, [shape[axis] for axis in wide], [wide.index(axis) for axis in order])
        x, outer, inner = moved, x.count // count, 1
    else:
        inner = prod(shape[axis] for axis in wide[reduced[-1] + 1 :]) if reduced else 1
        outer = x.count // count // inner
    multiplier, shift = multiplier_of(step.scale(x) / step.scale(y))
    up = min(count.bit_length() - 1, 32, 31 + shift)  # 1 / count goes into the multiplier
    multiplier, shift = (multiplier << up) // count, shift - up
    step.emit(
        Code.MEAN, [x], y, (outer, count, inner, x.zero_point, y.zero_point, multiplier, shift), macs=x.count
    )


def softmax(step: Step) -> None:
    """SOFTMAX over the last axis."""
    x = step.x(0)
    y = step.y(step.tensor(0).shape)
    if (y.scale, y.zero_point) != _SOFTMAX_OUTPUT:
        raise step.refuse(
            f"must have scale 1/256 and zero point -128, not {y.scale:g} and {y.zero_point}", y.source
        )
    factor = step.real("beta") * step.scale(x) * (1 << 31 - _INTEGER_BITS)
    if not factor > 1:
        raise step.refuse(f"beta * scale is {factor / (1 << 26):g}, must be above 2^-26", x.source)
    multiplier, shift = multiplier_of(min(factor, (1 << 31) - 1.0) / (1 << 31))
    shift += 31
    radius = math.floor(((1 << _INTEGER_BITS) - 1) * (1 << 31 - _INTEGER_BITS) / (1 << shift))
    step.emit(Code.SOFTMAX, [x], y, (multiplier, shift, -radius))


def _pool(step: Step, code: Code) -> None:
    x = step.x(0)
    if len(x.shape) != 4:
        raise step.refuse(f"has the shape {list(x.shape)}, a pool takes [1, H, W, C]", x.source)
    kernel = step.integer("filter_height"), step.integer("filter_width")
    height, width, top, left = window(step, x.shape, kernel, (1, 1))
    y = step.y((1, height, width, x.shape[3]))
    if abs(step.scale(x) - step.scale(y)) > _SCALE_TOLERANCE or x.zero_point != y.zero_point:
        raise step.refuse("has another scale or zero point than the input of the pool", y.source)
    low, high = activation_range(step.text("fused_activation_function"), y.scale, y.zero_point)
    strides = step.integer("stride_h"), step.integer("stride_w")
    step.emit(code, [x], y, (low, high, *kernel, *strides, top, left), macs=y.count * prod(kernel))
