"""Networks drawn at random: single operators with every option that boards support, and small graphs of them.

Shapes are small. Scales are often powers of two, so that products fall on ties of the roundings, or a hair
beside them; zero points are often the extremes. The same seed gives the same network.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log2, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_networks import operation

from fedmote.models.tflite import Network, Operator, OptionValue, Quantisation, Subgraph, Tensor, write

Shape = tuple[int, ...]
#: element-wise mean distance of an int8 value from its zero point, roughly
_TYPICAL = 73.0
_LARGEST = 400
_FUSED = ("NONE", "NONE", "NONE", "RELU", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass
class Draft:
    """A network being drawn. rng: all chance comes from it."""

    rng: np.random.Generator
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def shape(self, tensor: int) -> Shape:
        return self.tensors[tensor].shape

    def quantisation(self, tensor: int) -> Quantisation:
        found = self.tensors[tensor].quantisation
        assert found is not None
        return found

    def tensor(
        self,
        shape: Shape,
        scale: float | None = None,
        zero_point: int | None = None,
        kind: str = "INT8",
        data: bytes | None = None,
    ) -> int:
        """Add an activation or an int8 constant; its quantisation is drawn where it is not given."""
        scale = self.scale() if scale is None else scale
        zero_point = self.zero_point() if zero_point is None else zero_point
        quantisation = Quantisation((float(np.float32(scale)),), (zero_point,))
        self.tensors.append(Tensor(f"t{len(self.tensors)}", shape, kind, data, quantisation))
        return len(self.tensors) - 1

    def like(self, x: int, shape: Shape) -> int:
        """Add an activation with the quantisation and the type of another one."""
        quantisation = self.quantisation(x)
        return self.tensor(shape, quantisation.scales[0], quantisation.zero_points[0], self.tensors[x].type)

    def integers(self, values: list[int] | NDArray[np.int32]) -> int:
        """Add an int32 constant."""
        array = np.asarray(values, np.int32)
        self.tensors.append(Tensor(f"t{len(self.tensors)}", array.shape, "INT32", array.tobytes()))
        return len(self.tensors) - 1

    def apply(self, code: str, inputs: list[int], outputs: list[int], **options: OptionValue) -> int:
        """Add an operator; return its first output."""
        self.operators.append(operation(code, inputs, outputs, options))
        return outputs[0]

    # --- chance --------------------------------------------------------------------------------------------

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def zero_point(self) -> int:
        if self.chance(0.4):
            return self.between(-64, 64)
        return self.pick(-128, 127, 0, self.between(-128, 127), self.between(-128, 127))

    def scale(self) -> float:
        return self.near(2.0 ** self.rng.uniform(-9, 1))

    def near(self, value: float) -> float:
        """Return ``value``, or the next power of two, or a hair beside that."""
        power = 2.0 ** round(log2(value))
        hair = float(np.nextafter(np.float32(power), np.float32(self.pick(0, 1e9))))
        return self.pick(value, value, power, power, hair)

    def noise(self, shape: Shape, low: int = -128, high: int = 127) -> NDArray[np.int8]:
        values = self.rng.integers(low, high + 1, shape).astype(np.int8)
        if self.chance(0.1):
            values[...] = self.pick(low, high)
        return values

    def constant(self, shape: Shape, scale: float | None = None, zero_point: int | None = None) -> int:
        """Add an int8 constant."""
        return self.tensor(shape, scale, zero_point, data=self.noise(shape).tobytes())


# --- operators with weights --------------------------------------------------------------------------------


def _weighted(
    draft: Draft, x: int, shape: Shape, axis: int, taps: int, per_channel: bool
) -> tuple[int, int, float]:
    """Add weights and a bias; return their numbers (bias -1: none) and a scale for the output."""
    channels = shape[axis]
    base = draft.near(2.0 ** draft.rng.uniform(-9, -3))
    scales = [base] * (channels if per_channel else 1)
    if per_channel:
        scales = [draft.near(base * 2.0 ** draft.rng.uniform(-1, 1)) for _ in scales]
    exact = tuple(float(np.float32(scale)) for scale in scales)
    values = draft.noise(shape, draft.pick(-127, -127, -127, -128))
    quantisation = Quantisation(exact, (0,) * len(exact), axis)
    draft.tensors.append(Tensor(f"t{len(draft.tensors)}", shape, "INT8", values.tobytes(), quantisation))
    weights, bias = len(draft.tensors) - 1, -1
    typical = _TYPICAL * _TYPICAL * taps**0.5
    source = draft.quantisation(x).scales[0]
    if draft.chance(0.8):
        values32 = draft.rng.normal(0, typical, channels).astype(np.int32)
        products = tuple(float(np.float32(source * scale)) for scale in exact)
        own = Quantisation(products, (0,) * len(products))
        draft.tensors.append(Tensor(f"t{len(draft.tensors)}", (channels,), "INT32", values32.tobytes(), own))
        bias = len(draft.tensors) - 1
    factor = draft.near(60 / typical * 2.0 ** draft.rng.uniform(-2.5, 1))
    return weights, bias, source * base / factor


def _windows(draft: Draft, size: int, most: int, dilated: bool) -> tuple[int, int, int, str]:
    """Return (window, stride, dilation, padding) for one dimension of ``size``."""
    window, stride = draft.between(1, most), draft.between(1, 3)
    dilation = draft.between(1, 3) if dilated and stride == 1 else 1
    return window, stride, dilation, "VALID" if (window - 1) * dilation + 1 <= size else "SAME"


def _out(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    return -(-size // stride) if padding == "SAME" else -(-(size - (window - 1) * dilation) // stride)


def _placed(
    draft: Draft, shape: Shape, most: int, dilated: bool
) -> tuple[tuple[int, int], Shape, dict[str, OptionValue]]:
    """Return window, output height and width, and the options of a convolution or pool."""
    height = _windows(draft, shape[1], most, dilated)
    width = _windows(draft, shape[2], most, dilated)
    valid = height[3] == width[3] == "VALID"
    padding = draft.pick("SAME", "VALID") if valid else "SAME"
    out = (_out(shape[1], *height[:3], padding), _out(shape[2], *width[:3], padding))
    options: dict[str, OptionValue] = {"padding": padding, "stride_h": height[1], "stride_w": width[1]}
    if dilated:
        options |= {"dilation_h_factor": height[2], "dilation_w_factor": width[2]}
    return (height[0], width[0]), out, options


def conv_2d(draft: Draft, x: int) -> int | None:
    if len(draft.shape(x)) != 4:
        return None
    channels = draft.shape(x)[3]
    (high, wide), out, options = _placed(draft, draft.shape(x), 4, True)
    filters, taps = draft.between(1, 9), high * wide * channels
    weights, bias, scale = _weighted(draft, x, (filters, high, wide, channels), 0, taps, draft.chance(0.7))
    y = draft.tensor((1, *out, filters), scale)
    inputs = [x, weights, bias] if bias >= 0 else [x, weights]
    return draft.apply("CONV_2D", inputs, [y], fused_activation_function=draft.pick(*_FUSED), **options)


def depthwise_conv_2d(draft: Draft, x: int) -> int | None:
    if len(draft.shape(x)) != 4:
        return None
    (high, wide), out, options = _placed(draft, draft.shape(x), 4, True)
    factor = draft.pick(1, 1, 2, 3)
    outputs = draft.shape(x)[3] * factor
    weights, bias, scale = _weighted(draft, x, (1, high, wide, outputs), 3, high * wide, draft.chance(0.7))
    y = draft.tensor((1, *out, outputs), scale)
    inputs = [x, weights, bias] if bias >= 0 else [x, weights]
    options["depth_multiplier"] = factor
    return draft.apply(
        "DEPTHWISE_CONV_2D", inputs, [y], fused_activation_function=draft.pick(*_FUSED), **options
    )


def fully_connected(draft: Draft, x: int) -> int | None:
    shape = draft.shape(x)
    keep = len(shape) > 1 and draft.chance(0.3)
    columns = shape[-1] if keep or draft.chance(0.3) else prod(shape)
    rows, units = prod(shape) // columns, draft.between(1, 12)
    weights, bias, scale = _weighted(draft, x, (units, columns), 0, columns, draft.chance(0.4))
    y = draft.tensor((*shape[:-1], units) if keep else (rows, units), scale)
    return draft.apply(
        "FULLY_CONNECTED",
        [x, weights, bias],
        [y],
        fused_activation_function=draft.pick(*_FUSED),
        keep_num_dims=keep,
    )


# --- pools and means ---------------------------------------------------------------------------------------


def _pool(draft: Draft, x: int, code: str) -> int | None:
    if len(draft.shape(x)) != 4:
        return None
    (high, wide), out, options = _placed(draft, draft.shape(x), 5, False)
    y = draft.like(x, (1, *out, draft.shape(x)[3]))
    return draft.apply(
        code,
        [x],
        [y],
        filter_height=high,
        filter_width=wide,
        fused_activation_function=draft.pick(*_FUSED),
        **options,
    )


def average_pool_2d(draft: Draft, x: int) -> int | None:
    return _pool(draft, x, "AVERAGE_POOL_2D")


def max_pool_2d(draft: Draft, x: int) -> int | None:
    return _pool(draft, x, "MAX_POOL_2D")


_AXES = ([1, 2], [1, 2], [1], [2], [3], [1, 2, 3], [2, 3], [-1], [2, 1])


def mean(draft: Draft, x: int) -> int | None:
    shape = draft.shape(x)
    if len(shape) != 4:
        return None
    axes, keep = draft.pick(*_AXES), draft.chance(0.5)
    gone = {axis % 4 for axis in axes}
    left = tuple(1 if n in gone else size for n, size in enumerate(shape) if keep or n not in gone)
    source = draft.quantisation(x)
    y = draft.like(x, left) if draft.chance(0.4) else draft.tensor(left, source.scales[0] * draft.near(0.6))
    return draft.apply("MEAN", [x, draft.integers(axes)], [y], keep_dims=keep)


# --- two inputs --------------------------------------------------------------------------------------------


def _other(draft: Draft, x: int) -> int:
    """Return a second input that fits x: x itself, x in other units, or a constant that may be broadcast."""
    shape = draft.shape(x)
    if draft.chance(0.1):
        return x
    if draft.chance(0.5):
        return quantize(draft, x)
    cut = tuple(1 if draft.chance(0.4) else size for size in shape)
    return draft.constant(draft.pick(shape, shape[-1:], cut, cut, (1,)))


def _two(draft: Draft, x: int, code: str, typical: Callable[[float, float], float]) -> int:
    other = _other(draft, x)
    inputs = [x, other] if draft.chance(0.7) else [other, x]
    scales = [draft.quantisation(one).scales[0] for one in inputs]
    y = draft.tensor(draft.shape(x), draft.near(typical(*scales) * 2.0 ** draft.rng.uniform(-1, 1.5)))
    return draft.apply(code, inputs, [y], fused_activation_function=draft.pick(*_FUSED))


def add(draft: Draft, x: int) -> int | None:
    return _two(draft, x, "ADD", max)


def sub(draft: Draft, x: int) -> int | None:
    return _two(draft, x, "SUB", max)


def mul(draft: Draft, x: int) -> int | None:
    return _two(draft, x, "MUL", lambda a, b: a * b * 128)


# --- functions of one value --------------------------------------------------------------------------------


def quantize(draft: Draft, x: int) -> int:
    y = draft.tensor(
        draft.shape(x), draft.quantisation(x).scales[0] * draft.near(2.0 ** draft.rng.uniform(-3, 3))
    )
    return draft.apply("QUANTIZE", [x], [y])


def _fixed(code: str, scale: float, zero_point: int) -> Callable[[Draft, int], int]:
    return lambda draft, x: draft.apply(code, [x], [draft.tensor(draft.shape(x), scale, zero_point)])


def softmax(draft: Draft, x: int) -> int | None:
    y = draft.tensor(draft.shape(x), 1 / 256, -128)
    return draft.apply("SOFTMAX", [x], [y], beta=draft.pick(1.0, 1.0, 1.0, 0.5, 2.0))


def relu(draft: Draft, x: int) -> int:
    y = draft.tensor(
        draft.shape(x), draft.quantisation(x).scales[0] * draft.near(2.0 ** draft.rng.uniform(-2, 2))
    )
    return draft.apply("RELU", [x], [y])


def relu6(draft: Draft, x: int) -> int:
    return draft.apply("RELU6", [x], [draft.like(x, draft.shape(x))])


def leaky_relu(draft: Draft, x: int) -> int:
    y = draft.tensor(
        draft.shape(x), draft.quantisation(x).scales[0] * draft.near(2.0 ** draft.rng.uniform(-2, 2))
    )
    return draft.apply("LEAKY_RELU", [x], [y], alpha=draft.pick(0.1, 0.01, 0.25, 0.3))


# --- moves -------------------------------------------------------------------------------------------------


def pad(draft: Draft, x: int) -> int:
    shape = draft.shape(x)
    sides = [(0, 0) if n == 0 else (draft.between(0, 2), draft.between(0, 2)) for n in range(len(shape))]
    y = draft.like(x, tuple(size + sum(side) for size, side in zip(shape, sides, strict=True)))
    return draft.apply("PAD", [x, draft.integers(sides)], [y])


def reshape(draft: Draft, x: int) -> int:
    size = prod(draft.shape(x))
    rows = draft.pick(*(n for n in range(1, size + 1) if size % n == 0))
    shape: Shape = draft.pick(
        (1, size), (1, rows, size // rows), (1, 1, rows, size // rows), (1, rows, size // rows, 1)
    )
    y = draft.like(x, shape)
    return draft.apply("RESHAPE", [x, draft.integers(list(shape))], [y], new_shape=shape)


def transpose(draft: Draft, x: int) -> int:
    rank = len(draft.shape(x))
    order = [int(n) for n in draft.rng.permutation(rank)]
    if draft.chance(0.6):
        order = [0, *(n for n in order if n)]
    y = draft.like(x, tuple(draft.shape(x)[n] for n in order))
    return draft.apply("TRANSPOSE", [x, draft.integers(order)], [y])


def concatenation(draft: Draft, x: int) -> int:
    shape = draft.shape(x)
    axis = draft.between(1, len(shape) - 1) if len(shape) > 1 else 0
    given = draft.quantisation(x)
    parts = [x]
    for _ in range(draft.between(1, 3)):
        if draft.chance(0.4):
            length = draft.between(1, 4)
            part = (*shape[:axis], length, *shape[axis + 1 :])
            parts.append(draft.constant(part, given.scales[0], given.zero_points[0]))
        elif draft.chance(0.3):
            parts.append(x)
        else:
            parts.append(draft.apply("RELU6", [x], [draft.like(x, shape)]))
    order = [parts[int(n)] for n in draft.rng.permutation(len(parts))]
    total = sum(draft.shape(part)[axis] for part in order)
    y = draft.like(x, (*shape[:axis], total, *shape[axis + 1 :]))
    return draft.apply("CONCATENATION", order, [y], axis=draft.pick(axis, axis - len(shape)))


def strided_slice(draft: Draft, x: int) -> int:
    shape = draft.shape(x)
    begin, end, steps, sizes = [], [], [], []
    for number, size in enumerate(shape):
        step = 1 if number == 0 else draft.pick(1, 1, 1, 2, 3)
        start = 0 if number == 0 else draft.between(0, size - 1)
        stop = size if number == 0 else draft.between(start + 1, size)
        begin.append(start if draft.chance(0.7) else start - size)
        end.append(stop if stop == size or draft.chance(0.7) else stop - size)
        steps.append(step)
        sizes.append(-(-(stop - start) // step))
    from_start = sum(1 << n for n in range(len(shape)) if begin[n] % shape[n] == 0 and draft.chance(0.5))
    to_end = sum(1 << n for n in range(len(shape)) if end[n] == shape[n] and draft.chance(0.5))
    shrunk = 0
    if len(shape) > 2 and draft.chance(0.3):
        axis = draft.between(1, len(shape) - 1)
        shrunk, steps[axis], sizes[axis] = 1 << axis, 1, 0
        from_start, to_end = from_start & ~shrunk, to_end & ~shrunk
        end[axis] = begin[axis] % shape[axis] + 1
        begin[axis] %= shape[axis]
    y = draft.like(x, tuple(size for size in sizes if size))
    return draft.apply(
        "STRIDED_SLICE",
        [x, draft.integers(begin), draft.integers(end), draft.integers(steps)],
        [y],
        begin_mask=from_start,
        end_mask=to_end,
        shrink_axis_mask=shrunk,
    )


def _parts(draft: Draft, x: int, axis: int, sizes: list[int]) -> list[int]:
    shape = draft.shape(x)
    return [draft.like(x, (*shape[:axis], size, *shape[axis + 1 :])) for size in sizes]


def split(draft: Draft, x: int) -> int | None:
    shape = draft.shape(x)
    ways = [(n, count) for n, size in enumerate(shape) for count in range(2, 5) if size % count == 0]
    if not ways:
        return None
    axis, count = draft.pick(*ways)
    parts = _parts(draft, x, axis, [shape[axis] // count] * count)
    draft.apply("SPLIT", [draft.integers([axis]), x], parts, num_splits=count)
    return _joined(draft, parts, axis)


def split_v(draft: Draft, x: int) -> int | None:
    shape = draft.shape(x)
    axes = [n for n, size in enumerate(shape) if size > 2]
    if not axes:
        return None
    axis = draft.pick(*axes)
    first, second = draft.between(1, shape[axis] - 2), 1
    sizes = [first, second, shape[axis] - first - second]
    parts = _parts(draft, x, axis, sizes)
    draft.apply("SPLIT_V", [x, draft.integers(sizes), draft.integers([axis])], parts, num_splits=3)
    return _joined(draft, parts, axis)


def _joined(draft: Draft, parts: list[int], axis: int) -> int:
    """Return one of the parts, or all of them in another order."""
    if draft.chance(0.4):
        return draft.pick(*parts)
    order = parts[::-1]
    shape = draft.shape(parts[0])
    total = sum(draft.shape(part)[axis] for part in parts)
    y = draft.like(parts[0], (*shape[:axis], total, *shape[axis + 1 :]))
    return draft.apply("CONCATENATION", order, [y], axis=axis)


def resize_nearest_neighbor(draft: Draft, x: int) -> int | None:
    shape = draft.shape(x)
    if len(shape) != 4:
        return None
    size = [draft.between(1, 2 * shape[1] + 2), draft.between(1, 2 * shape[2] + 2)]
    y = draft.like(x, (1, *size, shape[3]))
    corners, centers = draft.pick((False, False), (True, False), (False, True))
    return draft.apply(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, draft.integers(size)],
        [y],
        align_corners=corners,
        half_pixel_centers=centers,
    )


# --- ends: the type of input or output changes -------------------------------------------------------------


def to_uint8(draft: Draft, x: int) -> int:
    given = draft.quantisation(x)
    if draft.chance(0.5):
        y = draft.tensor(draft.shape(x), given.scales[0], given.zero_points[0] + 128, "UINT8")
    else:
        y = draft.tensor(draft.shape(x), given.scales[0] * draft.near(0.7), draft.zero_point() + 128, "UINT8")
    return draft.apply("QUANTIZE", [x], [y])


def dequantize(draft: Draft, x: int) -> int:
    draft.tensors.append(Tensor(f"t{len(draft.tensors)}", draft.shape(x), "FLOAT32"))
    return draft.apply("DEQUANTIZE", [x], [len(draft.tensors) - 1])


#: operators that give int8: name -> function that applies one to a tensor, None where it does not fit
OPERATORS: dict[str, Callable[[Draft, int], int | None]] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "ADD": add,
    "SUB": sub,
    "MUL": mul,
    "AVERAGE_POOL_2D": average_pool_2d,
    "MAX_POOL_2D": max_pool_2d,
    "MEAN": mean,
    "SOFTMAX": softmax,
    "LOGISTIC": _fixed("LOGISTIC", 1 / 256, -128),
    "TANH": _fixed("TANH", 1 / 128, 0),
    "RELU": relu,
    "RELU6": relu6,
    "LEAKY_RELU": leaky_relu,
    "QUANTIZE": quantize,
    "PAD": pad,
    "RESHAPE": reshape,
    "TRANSPOSE": transpose,
    "CONCATENATION": concatenation,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
}
#: operators that can only be the last
ENDS: dict[str, Callable[[Draft, int], int]] = {"QUANTIZE to uint8": to_uint8, "DEQUANTIZE": dequantize}
_MOVES = ("RESHAPE", "TRANSPOSE", "STRIDED_SLICE", "SPLIT", "SPLIT_V")
#: what a single-operator network may be about, more often where there is more to go wrong
SINGLE = (
    *OPERATORS,
    *ENDS,
    "QUANTIZE from uint8",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "MEAN",
)


def single_operator(seed: int) -> bytes:
    """Return a .tflite file of one operator, and at most a few that its inputs and outputs need."""
    draft = Draft(np.random.default_rng([seed, 1]))
    name = SINGLE[seed % len(SINGLE)]
    if name == "QUANTIZE from uint8":
        x = _input(draft, (1, draft.between(1, 40)), "UINT8")
        return _file(draft, quantize(draft, x), f"{seed}: {name}")
    while True:
        rank = 4 if draft.chance(0.7) else draft.between(2, 3)
        sides = (draft.between(1, 9), draft.between(1, 9), draft.between(1, 7))
        x = _input(draft, (1, *sides[4 - rank :]) if rank < 4 else (1, *sides))
        # a network that only moves its input is none that boards take
        before = name in _MOVES and draft.chance(0.5)
        y = {**OPERATORS, **ENDS}[name](draft, quantize(draft, x) if before else x)
        if y is not None and name in _MOVES and not before:
            y = quantize(draft, y)
        if y is not None and prod(draft.shape(y)) <= 4 * _LARGEST:
            return _file(draft, y, f"{seed}: {name}")
        draft = Draft(draft.rng)


def graph(seed: int) -> bytes:
    """Return a .tflite file of three to ten operators: chains, residual branches and joins."""
    draft = Draft(np.random.default_rng([seed, 2]))
    x = _input(draft, (1, draft.between(3, 8), draft.between(3, 8), draft.between(1, 5)))
    names = list(OPERATORS)
    wanted = draft.between(3, 10)
    while len(draft.operators) < wanted:
        before = len(draft.tensors), len(draft.operators)
        y = _residual(draft, x) if draft.chance(0.25) else OPERATORS[draft.pick(*names)](draft, x)
        if y is None or not _fits(draft, y):
            del draft.tensors[before[0] :], draft.operators[before[1] :]
        else:
            x = y
    if draft.chance(0.3):
        x = draft.pick(*ENDS.values())(draft, x)
    return _file(draft, x, f"{seed}: graph")


def _fits(draft: Draft, y: int) -> bool:
    """Whether a graph may go on from y: a batch of 1, neither too small nor too large, of a usual scale."""
    shape, scale = draft.shape(y), draft.quantisation(y).scales[0]
    return shape[0] == 1 and 2 <= prod(shape) <= _LARGEST and 2**-12 < scale < 16


def _residual(draft: Draft, x: int) -> int | None:
    """Add x to what a convolution makes of it."""
    shape = draft.shape(x)
    if len(shape) != 4:
        return None
    weights, bias, scale = _weighted(draft, x, (shape[3], 3, 3, shape[3]), 0, 9 * shape[3], True)
    y = draft.tensor(shape, scale)
    inputs = [x, weights, bias]
    draft.apply("CONV_2D", inputs, [y], stride_h=1, stride_w=1, fused_activation_function="RELU")
    total = draft.tensor(shape, max(scale, draft.quantisation(x).scales[0]) * draft.near(1.4))
    return draft.apply("ADD", draft.pick([x, y], [y, x]), [total])


def _input(draft: Draft, shape: Shape, kind: str = "INT8") -> int:
    zero_point = draft.zero_point() + (128 if kind == "UINT8" else 0)
    x = draft.tensor(shape, draft.scale(), zero_point, kind)
    draft.inputs.append(x)
    return x


def _file(draft: Draft, y: int, description: str) -> bytes:
    main = Subgraph("main", tuple(draft.tensors), tuple(draft.operators), tuple(draft.inputs), (y,))
    return write(Network(3, description, (main,)))


def product_of_doubles(seed: int) -> bytes:
    """Return a .tflite file with results on ties if one computes its factors in float32, as TFLM does not."""
    draft = Draft(np.random.default_rng([seed, 4]))
    scale, other = (np.float32(draft.rng.uniform(0.5, 1)) for _ in range(2))
    code = ("FULLY_CONNECTED", "SUB", "LEAKY_RELU")[seed % 3]
    x = draft.tensor((1, 128), float(scale), -128 if code == "SUB" else draft.between(-64, 64))
    draft.inputs.append(x)
    inputs, shape, y_scale = [x], (1, 128), float(scale * other) * 2.0 ** draft.between(1, 3)
    options: dict[str, OptionValue] = {}
    if code == "FULLY_CONNECTED":
        inputs, shape, y_scale = [x, draft.constant((64, 128), float(other), 0)], (1, 64), 256 * y_scale
    elif code == "SUB":  # the lowest input is 0 throughout, so that the constant decides
        inputs, y_scale = [x, draft.constant((1, 128), 0.25)], 1.0
    else:
        options["alpha"] = float(other)
    y = draft.tensor(shape, y_scale, draft.between(-20, 20))
    return _file(draft, draft.apply(code, inputs, [y], **options), f"{seed}: {code}")


# --- streaming ---------------------------------------------------------------------------------------------


def stream(seed: int) -> bytes:
    """Return a .tflite file that joins each input to what it kept of those before, as wake-word models do."""
    draft = Draft(np.random.default_rng([seed, 3]))
    channels, kept, new = draft.between(1, 6), draft.between(1, 5), draft.between(1, 3)
    x = _input(draft, (1, new, 1, channels))
    names: dict[str, OptionValue] = {"container": "", "shared_name": "ring"}
    handle = Tensor("handle", (), "RESOURCE")
    first = draft.chance(0.5)
    if first:
        draft.operators.append(operation("CALL_ONCE", (), (), {"init_subgraph_index": 1}))
    draft.tensors.append(handle)
    resource = len(draft.tensors) - 1
    draft.apply("VAR_HANDLE", [], [resource], **names)
    state = draft.apply("READ_VARIABLE", [resource], [draft.like(x, (1, kept, 1, channels))])
    joined = draft.like(x, (1, kept + new, 1, channels))
    draft.apply("CONCATENATION", [state, x], [joined], axis=1)
    last = draft.like(x, (1, kept, 1, channels))
    begin, end, steps = ([0, new, 0, 0], [1, kept + new, 1, channels], [1, 1, 1, 1])
    inputs = [joined, draft.integers(begin), draft.integers(end), draft.integers(steps)]
    draft.apply("STRIDED_SLICE", inputs, [last])
    draft.operators.append(operation("ASSIGN_VARIABLE", (resource, last), ()))
    y = fully_connected(draft, joined)
    assert y is not None
    main = Subgraph("main", tuple(draft.tensors), tuple(draft.operators), tuple(draft.inputs), (y,))
    if not first:
        return write(Network(3, f"{seed}: stream", (main,)))
    value = Tensor(
        "start",
        (1, kept, 1, channels),
        "INT8",
        draft.noise((kept, channels)).tobytes(),
        draft.quantisation(x),
    )
    begins = (operation("VAR_HANDLE", (), (0,), names), operation("ASSIGN_VARIABLE", (0, 1), ()))
    return write(Network(3, f"{seed}: stream", (main, Subgraph("begin", (handle, value), begins, (), ()))))
