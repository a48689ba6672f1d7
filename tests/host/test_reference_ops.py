"""Every op of the numpy kernel gives the bytes of the plain one, on random shapes and constants."""

from array import array
from collections.abc import Callable
from struct import pack
from typing import Any

import numpy as np
import pytest

from fedmote.models import reference
from mote import kernels
from mote.ops import OPS
from mote.quantise import bits_of, softmax_parameters

PLAIN = kernels.choose("plain")
ORIGIN = array("H", [0])


def activation(random: np.random.Generator, count: int) -> memoryview:
    return memoryview(array("b", random.integers(-128, 128, count, np.int8).tobytes()))


def constants(random: np.random.Generator, outputs: int, spread: int = 3000) -> tuple[memoryview, ...]:
    """Return bias, multipliers and shifts; some factors are 0 or above 1."""
    bias = random.integers(-spread, spread, outputs)
    multipliers = random.integers(1 << 30, 1 << 31, outputs) * (random.random(outputs) > 0.1)
    shifts = random.integers(-12, 3, outputs)
    return tuple(memoryview(pack(f"<{outputs}i", *values)) for values in (bias, multipliers, shifts))


def weights(random: np.random.Generator, count: int) -> memoryview:
    return memoryview(random.bytes(count))


def limits(random: np.random.Generator) -> tuple[int, int]:
    return (-128, 127) if random.random() < 0.5 else (-100, 90)


def compare(op: str, y_bytes: int, inputs: tuple[memoryview, ...], *parameters: Any) -> None:
    """Run the op twice on the same buffers; what it leaves alone has to stay."""
    results = []
    for kernel in (PLAIN, reference):
        y = memoryview(array("b", bytes([7]) * y_bytes))
        run = getattr(kernel, op)(*inputs, y, *parameters)
        run()
        run()
        results.append(bytes(y))
    assert results[0] == results[1], (op, y_bytes, parameters)


def dense(random: np.random.Generator) -> None:
    rows, columns, outputs = (int(n) for n in random.integers(1, 20, 3))
    pitch = outputs + int(random.integers(0, 4))
    origin = array("H", [int(random.integers(0, pitch - outputs + 1))])
    compare(
        "dense", rows * pitch,
        (activation(random, rows * columns), weights(random, outputs * columns), *constants(random, outputs)),
        int(random.integers(-128, 128)), *limits(random), int(random.integers(2)), pitch, origin,
    )  # fmt: skip


def softmax(random: np.random.Generator) -> None:
    rows, depth = (int(n) for n in random.integers(1, 9, 2))
    parameters = softmax_parameters(bits_of(2.0 ** -random.uniform(0, 8)))
    compare("softmax", rows * depth, (activation(random, rows * depth),), *parameters, depth)


def window(random: np.random.Generator, dilated: bool) -> tuple[tuple[int, ...], ...]:
    """Return (x, kernel, stride, dilation, padding before, out), each [height, width], of a random op."""
    while True:
        x, kernel, stride, dilation = (
            random.integers(1, limit, 2) for limit in (9, 5, 4, 4 if dilated else 2)
        )
        before = random.integers(0, (kernel - 1) * dilation + 1)
        out = (x + before + random.integers(0, kernel) - (kernel - 1) * dilation - 1) // stride + 1
        if np.all(out > 0) and np.all((out - 1) * stride - before < x):
            return tuple(tuple(map(int, pair)) for pair in (x, kernel, stride, dilation, before, out))


def conv(random: np.random.Generator) -> None:
    x, kernel, stride, dilation, before, out = window(random, dilated=True)
    channels, outputs = (int(n) for n in random.integers(1, 7, 2))
    pitch = outputs + int(random.integers(0, 3))
    origin = array("H", [int(random.integers(0, pitch - outputs + 1))])
    compare(
        "conv", out[0] * out[1] * pitch,
        (
            activation(random, x[0] * x[1] * channels),
            weights(random, outputs * kernel[0] * kernel[1] * channels), *constants(random, outputs),
        ),
        *(int(n) for n in random.integers(-128, 128, 2)), *limits(random), *stride, *dilation, *before,
        int(random.integers(2)), (1, *x, channels), (outputs, *kernel, channels), (1, *out, pitch), origin,
    )  # fmt: skip


def depthwise(random: np.random.Generator) -> None:
    x, kernel, stride, dilation, before, out = window(random, dilated=True)
    channels, factor = (int(n) for n in random.integers(1, 4, 2))
    outputs = channels * factor
    compare(
        "depthwise", out[0] * out[1] * outputs,
        (
            activation(random, x[0] * x[1] * channels), weights(random, kernel[0] * kernel[1] * outputs),
            *constants(random, outputs),
        ),
        *(int(n) for n in random.integers(-128, 128, 2)), *limits(random), *stride, *dilation, *before,
        int(random.integers(2)), (1, *x, channels), (1, *kernel, outputs), (1, *out, outputs), ORIGIN,
    )  # fmt: skip


def products(random: np.random.Generator) -> None:
    x, kernel, stride, dilation, before, out = window(random, dilated=True)
    channels, outputs = (int(n) for n in random.integers(1, 7, 2))
    rows = outputs + -outputs % 4
    origin = array("H", [4 * int(random.integers(0, 2))])
    compare(
        "products", out[0] * out[1] * (origin[0] + outputs),
        (
            activation(random, x[0] * x[1] * channels),
            weights(random, rows * kernel[0] * kernel[1] * channels), *constants(random, rows),
        ),
        *(int(n) for n in random.integers(-128, 128, 2)), *limits(random), *stride, *dilation, *before,
        *kernel, 0, (1, *x, channels), (1, *out, origin[0] + outputs), origin,
    )  # fmt: skip


def taps(random: np.random.Generator) -> None:
    x, kernel, stride, dilation, before, out = window(random, dilated=True)
    channels, factor = (int(n) for n in random.integers(1, 4, 2))
    outputs = channels * factor
    compare(
        "taps", out[0] * out[1] * outputs,
        (
            activation(random, x[0] * x[1] * channels), weights(random, kernel[0] * kernel[1] * outputs),
            *constants(random, outputs),
        ),
        *(int(n) for n in random.integers(-128, 128, 2)), *limits(random), *stride, *dilation, *before,
        *kernel, 0, (1, *x, channels), (1, *out, outputs), ORIGIN,
    )  # fmt: skip


def pool(op: str) -> Callable[[np.random.Generator], None]:
    def case(random: np.random.Generator) -> None:
        x, kernel, stride, _, before, out = window(random, dilated=False)
        channels = int(random.integers(1, 5))
        compare(
            op, out[0] * out[1] * channels, (activation(random, x[0] * x[1] * channels),), *limits(random),
            *kernel, *stride, *before, (1, *x, channels), (1, *out, channels),
        )  # fmt: skip

    return case


def mean(random: np.random.Generator) -> None:
    outer, count, inner = (int(n) for n in random.integers(1, 12, 3))
    zero_points = (int(n) for n in random.integers(-128, 128, 2))
    multiplier, shift = int(random.integers(1 << 30, 1 << 31)), int(random.integers(-8, 2))
    compare(
        "mean", outer * inner, (activation(random, outer * count * inner),),
        outer, count, inner, *zero_points, multiplier, shift,
    )  # fmt: skip


def broadcast(random: np.random.Generator) -> tuple[tuple[int, ...], list[memoryview], list[int]]:
    """Return (shape of y, a and b, the steps of both): either may lack some of y's dimensions."""
    shape = tuple(int(n) for n in random.integers(1, 6, 4))
    operands, steps = [], []
    for _ in range(2):
        own = [size if random.random() < 0.7 else 1 for size in shape]
        strides = [int(np.prod(own[axis + 1 :])) for axis in range(4)]
        steps += [step if size > 1 else 0 for step, size in zip(strides, own, strict=True)]
        operands.append(activation(random, int(np.prod(own))))
    return shape, operands, steps


def add(random: np.random.Generator) -> None:
    shape, operands, steps = broadcast(random)
    zero_points = (int(n) for n in random.integers(-128, 128, 3))
    factors = [
        number
        for smallest, largest in ((-3, 1), (-3, 1), (-20, -17))
        for number in (int(random.integers(1 << 30, 1 << 31)), int(random.integers(smallest, largest)))
    ]
    sign = int(random.choice([-1, 1]))
    compare(
        "add",
        int(np.prod(shape)),
        tuple(operands),
        *zero_points,
        *factors,
        sign,
        *limits(random),
        *steps,
        shape,
    )


def mul(random: np.random.Generator) -> None:
    shape, operands, steps = broadcast(random)
    zero_points = (int(n) for n in random.integers(-128, 128, 3))
    multiplier, shift = int(random.integers(1 << 30, 1 << 31)), int(random.integers(-10, 2))
    compare(
        "mul", int(np.prod(shape)), tuple(operands), *zero_points, multiplier, shift, *limits(random), *steps,
        shape,
    )  # fmt: skip


def lookup(random: np.random.Generator) -> None:
    count = int(random.integers(1, 400))
    compare("lookup", count, (activation(random, count), memoryview(random.bytes(256))))


def dequantize(random: np.random.Generator) -> None:
    count = int(random.integers(1, 300))
    scale = int(np.float32(random.random() / 16).view(np.uint32))
    compare("dequantize", 4 * count, (activation(random, count),), scale, int(random.integers(-128, 128)))


def move(random: np.random.Generator) -> None:
    counts = [int(n) for n in random.integers(1, 5, 4)]
    block = int(random.integers(1, 5))
    starts_and_steps, sizes = [], []
    for repeats in (True, False):  # x may be read twice, y is written once
        order = random.permutation(4)
        steps, reach = [0] * 4, block + int(random.integers(0, 3))
        for axis in order:
            steps[axis] = reach
            reach *= counts[axis]
        if repeats:
            steps[order[0]] = 0
        backward = [random.random() < 0.3 for _ in steps]
        start = sum((n - 1) * s for n, s, back in zip(counts, steps, backward, strict=True) if back)
        starts_and_steps += [start, *(-s if back else s for s, back in zip(steps, backward, strict=True))]
        sizes.append(reach)
    x = activation(random, sizes[0]) if random.random() < 0.7 else memoryview(random.bytes(sizes[0]))
    compare("move", sizes[1], (x,), *counts, block, *starts_and_steps)


def fill(random: np.random.Generator) -> None:
    compare("fill", int(random.integers(1, 100)), (), int(random.integers(-128, 128)))


def gather(random: np.random.Generator) -> None:
    size, block = int(random.integers(8, 100)), int(random.integers(1, 8))
    count = int(random.integers(1, 20))
    table = memoryview(pack(f"<{count}i", *random.integers(0, size - block + 1, count)))
    compare("gather", count * block, (activation(random, size), table), block)


CASES = {
    "dense": dense, "softmax": softmax, "conv": conv, "depthwise": depthwise,
    "products": products, "taps": taps,
    "average_pool": pool("average_pool"), "max_pool": pool("max_pool"), "mean": mean, "add": add, "mul": mul,
    "lookup": lookup, "move": move, "fill": fill, "gather": gather, "dequantize": dequantize,
}  # fmt: skip


@pytest.mark.parametrize("op", CASES)
def test_numpy_kernel_gives_the_bytes_of_the_plain_one(op: str) -> None:
    random = np.random.default_rng(sum(op.encode()))
    for _ in range(60):
        CASES[op](random)


def test_every_op_of_the_format_is_compared() -> None:
    assert set(CASES) == {name for name, *_ in OPS.values()}


def test_long_sums_of_extreme_products_are_exact() -> None:
    columns = 5000
    x = memoryview(array("b", [127] * (columns - 1) + [126]))
    for form, stored in ((0, 0x81), (1, 0xFF)):
        rows = memoryview(bytes([stored]) * columns * 2)
        total = 127 * (127 * (columns - 1) + 126 + (128 * columns if form else 0)) * (1 if form else -1)
        bias = memoryview(pack("<2i", -total, 1 - total))  # one more or less shows in the output
        one = memoryview(pack("<2i", 1 << 30, 1 << 30)), memoryview(pack("<2i", 1, 1))
        compare("dense", 2, (x, rows, bias, *one), 0, -128, 127, form, 2, ORIGIN)


def test_uint8_tensors_are_moved_and_looked_up_as_bytes() -> None:
    random = np.random.default_rng(5)
    x = memoryview(array("b", bytes(range(256))))
    table = memoryview(bytes(value ^ 128 for value in range(256)))  # int8 to uint8
    for kernel in (PLAIN, reference):
        y = memoryview(array("b", bytes(256)))
        kernel.lookup(x, table, y)()
        assert bytes(y) == bytes(table)
    compare("gather", 6, (x, memoryview(pack("<3i", *random.integers(0, 255, 3)))), 2)


def test_average_pool_rounds_halves_away_from_zero() -> None:
    shapes = (1, 1, 2, 4), (1, 1, 1, 4)
    x = memoryview(array("b", [1, -1, 3, -3, 0, 0, 0, 0]))
    y = memoryview(array("b", bytes(4)))
    reference.average_pool(x, y, -128, 127, 1, 2, 1, 1, 0, 0, *shapes)()
    assert list(y) == [1, -1, 2, -2]
