"""Operators that only move or rename values: where the order of the bytes stays, the output is a view."""

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from fedmote.models.graph import Code, Kind, Tensor
from fedmote.models.lowering.arithmetic import rounded_ratio
from fedmote.models.lowering.step import Step

_COUNTS = 4  # loops of a MOVE
_MOVES = 64  # at most, for one operator
_TABLE = 1 << 16  # entries of a GATHER
_ANY = (Kind.INT8, Kind.UINT8, Kind.FLOAT32)


def reshape(step: Step) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: no copy."""
    x = step.source(0, *_ANY)
    shape = step.target().shape
    if prod(shape) != x.count:
        raise step.refuse(f"has the shape {list(shape)}, the input {x.count} values", step.output_index())
    step.alias(x, shape)


def pad(step: Step) -> None:
    """PAD and PADV2: the output filled, then the input moved into it."""
    x = step.source(0)
    shape = step.tensor(0).shape
    paddings = step.integers(1)
    if len(paddings) != 2 * len(shape) or min(paddings) < 0:
        raise step.refuse(f"paddings {paddings} do not fit the shape {list(shape)}", step.index(1))
    before, after = paddings[::2], paddings[1::2]
    larger = tuple(a + size + b for a, size, b in zip(before, shape, after, strict=True))
    if larger == tuple(shape):
        step.alias(x, shape)
        return
    y = step.y(larger)
    value = int(step.array(2, "INT8").reshape(-1)[0]) if step.has(2) else y.zero_point
    step.emit(Code.FILL, [], y, [value])
    steps = _steps(larger)
    start = sum(a * b for a, b in zip(before, steps, strict=True))
    move(step, x, y, shape, (0, _steps(shape)), (start, steps))


def transpose(step: Step) -> None:
    """TRANSPOSE."""
    x = step.source(0)
    shape = step.tensor(0).shape
    order = [step.axis(axis, len(shape)) for axis in step.integers(1)]
    if sorted(order) != list(range(len(shape))):
        raise step.refuse(f"{order} is no order of {len(shape)} axes", step.index(1))
    turned = tuple(shape[axis] for axis in order)
    wide = [axis for axis in order if shape[axis] > 1]
    if wide == sorted(wide):
        step.alias(x, turned)
    else:
        permute(step, x, step.y(turned), shape, order)


def concatenation(step: Step) -> None:
    """CONCATENATION."""
    shapes = [step.tensor(number).shape for number in range(len(step.operator.inputs))]
    if not shapes or step.text("fused_activation_function") != "NONE":
        raise step.refuse("no inputs, or a fused activation, which TensorFlow Lite Micro has not either")
    axis = step.axis(step.integer("axis"), len(shapes[0]))
    around = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(around) != 1 or len({len(shape) for shape in shapes}) != 1:
        raise step.refuse(f"shapes {[list(shape) for shape in shapes]} differ in more than axis {axis}")
    total = sum(shape[axis] for shape in shapes)
    y = step.y((*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
    inner = prod(shapes[0][axis + 1 :])
    outer = prod(shapes[0][:axis])
    start = 0
    for number, shape in enumerate(shapes):
        x = step.source(number)
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise step.refuse("has another scale or zero point than the output", step.index(number))
        size = shape[axis] * inner
        move(step, x, y, (outer, size), (0, (size, 1)), (start, (total * inner, 1)))
        start += size


def split(step: Step) -> None:
    """SPLIT into equal parts."""
    shape = step.tensor(1).shape
    axis = step.axis(step.integers(0)[0], len(shape))
    count = len(step.operator.outputs)
    if not count or shape[axis] % count:
        raise step.refuse(f"{shape[axis]} values of axis {axis} cannot be split into {count} equal parts")
    _split(step, 1, axis, [shape[axis] // count] * count)


def split_v(step: Step) -> None:
    """SPLIT_V: parts of given sizes, one of which may be -1: the rest."""
    shape, sizes = step.tensor(0).shape, step.integers(1)
    axis = step.axis(step.integers(2)[0], len(shape))
    rest = shape[axis] - sum(size for size in sizes if size > 0)
    sizes = [rest if size == -1 else size for size in sizes]
    if len(sizes) != len(step.operator.outputs) or min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise step.refuse(f"{shape[axis]} values of axis {axis} cannot be split into {sizes}", step.index(1))
    _split(step, 0, axis, sizes)


def strided_slice(step: Step) -> None:
    """STRIDED_SLICE, with steps of either sign and the masks that TensorFlow Lite Micro knows."""
    for mask in ("ellipsis_mask", "new_axis_mask", "offset"):
        if step.integer(mask):
            raise step.refuse(f"{mask} is not supported; slice every axis by numbers instead")
    x, shape = step.source(0), step.tensor(0).shape
    begins, ends, strides = (step.integers(number) for number in (1, 2, 3))
    if not len(begins) == len(ends) == len(strides) == len(shape) or 0 in strides:
        raise step.refuse(f"begin {begins}, end {ends} and strides {strides} do not fit {list(shape)}")
    start, counts, steps, kept = 0, [], [], []
    for axis, (size, unit) in enumerate(zip(shape, _steps(shape), strict=True)):
        first, count = _slice(step, axis, size, begins[axis], ends[axis], strides[axis])
        start += first * unit
        counts.append(count)
        steps.append(strides[axis] * unit)
        if not step.integer("shrink_axis_mask") >> axis & 1:
            kept.append(count)
    _cut(step, x, counts, (start, steps), kept)


def resize_nearest_neighbor(step: Step) -> None:
    """RESIZE_NEAREST_NEIGHBOR: the offset of every pixel in a table."""
    x, shape, sizes = step.x(0), step.tensor(0).shape, step.integers(1)
    if len(shape) != 4 or shape[0] != 1 or len(sizes) != 2 or not 0 < prod(sizes) <= _TABLE or min(sizes) < 1:
        raise step.refuse(f"{list(shape)} cannot be resized to {sizes}", step.index(0))
    rows, columns = (
        [_nearest(step, place, shape[1 + axis], size) for place in range(size)]
        for axis, size in enumerate(sizes)
    )
    y = step.y((1, *sizes, shape[3]))
    table = (np.array(rows)[:, None] * shape[2] + np.array(columns)) * shape[3]
    offsets = step.lowering.graph.constant(table.astype("<i4"), Kind.INT32)
    step.emit(Code.GATHER, [x, offsets], y, [shape[3]])


def permute(step: Step, x: Tensor, y: Tensor, shape: Sequence[int], order: Sequence[int]) -> None:
    """Move x, seen in this shape, to y with its axes in another order."""
    steps = _steps(shape)
    counts = [shape[axis] for axis in order]
    move(step, x, y, counts, (0, [steps[axis] for axis in order]), (0, _steps(counts)))


def move(
    step: Step,
    x: Tensor,
    y: Tensor,
    counts: Sequence[int],
    from_x: tuple[int, Sequence[int]],
    to_y: tuple[int, Sequence[int]],
) -> None:
    """Copy bytes: as few MOVEs as possible, of loops as long as possible.

    counts: of each axis. from_x, to_y: start and the step of each axis, in bytes.
    """
    loops = [list(loop) for loop in zip(counts, from_x[1], to_y[1], strict=True) if loop[0] > 1]
    merged: list[list[int]] = []
    for count, a, b in reversed(loops):
        inside = merged[0] if merged else None
        if inside and (a, b) == (inside[0] * inside[1], inside[0] * inside[2]):
            inside[0] *= count
        else:
            merged.insert(0, [count, a, b])
    block = merged.pop()[0] if merged and merged[-1][1:] == [1, 1] else 1
    outer, loops = merged[:-_COUNTS], merged[-_COUNTS:]
    if prod(count for count, _, _ in outer) > _MOVES:
        raise step.refuse("moves too many axes at once; split it into several operators")
    loops = [[1, 0, 0]] * (_COUNTS - len(loops)) + loops
    n, a_steps, b_steps = ([loop[part] for loop in loops] for part in range(3))
    for place in product(*(range(count) for count, _, _ in outer)):
        start_x = from_x[0] + sum(i * loop[1] for i, loop in zip(place, outer, strict=True))
        start_y = to_y[0] + sum(i * loop[2] for i, loop in zip(place, outer, strict=True))
        step.emit(Code.MOVE, [x], y, (*n, block, start_x, *a_steps, start_y, *b_steps))


def _split(step: Step, position: int, axis: int, sizes: Sequence[int]) -> None:
    x, shape = step.source(position), step.tensor(position).shape
    steps = _steps(shape)
    start = 0
    for number, size in enumerate(sizes):
        part = (*shape[:axis], size, *shape[axis + 1 :])
        if step.output_index(number) in step.lowering.wanted:
            _cut(step, x, part, (start, steps), part, number)
        start += size * steps[axis]


def _cut(
    step: Step,
    x: Tensor,
    counts: Sequence[int],
    from_x: tuple[int, Sequence[int]],
    shape: Sequence[int],
    position: int = 0,
) -> None:
    """Give an output a part of x: a view where its bytes lie side by side and start on a multiple of 4."""
    start, steps = from_x
    wide = [(size, unit) for size, unit in zip(counts, steps, strict=True) if size > 1]
    whole = [unit for _, unit in wide] == _steps([size for size, _ in wide])
    if whole and start % 4 == 0 and x.start % 4 == 0:
        step.alias(x, shape, position, start)
    else:
        move(step, x, step.y(shape, position=position), counts, from_x, (0, _steps(counts)))


def _slice(step: Step, axis: int, size: int, begin: int, end: int, stride: int) -> tuple[int, int]:
    """Return (first index, count) of one axis."""
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    ends = (low, high) if stride > 0 else (high, low)

    def bounded(value: int) -> int:
        return max(low, min(high, value + size if value < 0 else value))

    first = ends[0] if step.integer("begin_mask") >> axis & 1 else bounded(begin)
    last = ends[1] if step.integer("end_mask") >> axis & 1 else bounded(end)
    if step.integer("shrink_axis_mask") >> axis & 1:
        last = first + 1
        stride = 1
    count = max(0, -((first - last) // stride))
    if not count or not 0 <= first < size:
        raise step.refuse(f"the slice of axis {axis} is empty", step.output_index())
    return first, count


def _nearest(step: Step, place: int, old: int, new: int) -> int:
    """Return which pixel of ``old`` becomes pixel ``place`` of ``new``, computed in float32."""
    corners, centers = step.integer("align_corners"), step.integer("half_pixel_centers")
    by_corners = corners and new > 1
    scale = np.float32(old - 1) / np.float32(new - 1) if by_corners else np.float32(old) / np.float32(new)
    position = np.float32(np.float32(place) + np.float32(0.5 if centers else 0)) * scale
    nearest = rounded_ratio(float(position), 1.0) if corners else int(np.floor(position))
    return max(0, min(nearest, old - 1))


def _steps(shape: Sequence[int]) -> list[int]:
    """Return the step of each axis in elements of a tensor without gaps."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]
