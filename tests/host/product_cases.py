"""PRODUCTS ops of any shape, as kernels get them, for tests that compare kernels with the reference."""

from array import array
from typing import NamedTuple

import numpy as np

_EDGE = 16


class Case(NamedTuple):
    """A PRODUCTS op. shape: of x. kernel: height, width. rows: outputs of the op where it is a block of N."""

    shape: tuple[int, int, int]
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padded: bool = False
    shifts: tuple[int, int] = (-10, -6)
    zero_points: tuple[int, int] = (-128, -128)
    window: int = 2
    largest: int = 127
    extreme: str = ""
    block: tuple[int, int] | None = None  # first output and number of outputs
    bounds: tuple[int, int] = (-128, 127)


def arguments(case: Case, seed: int) -> tuple:
    """Return what a kernel's products takes; y is its sixth."""
    rng = np.random.default_rng(seed)
    height, width, channels = case.shape
    reach = [(count - 1) * step + 1 for count, step in zip(case.kernel, case.dilation, strict=True)]
    if case.padded:
        out = [-(-size // step) for size, step in zip((height, width), case.stride, strict=True)]
        before = [
            max((count - 1) * step + far - size, 0) // 2
            for count, step, far, size in zip(out, case.stride, reach, (height, width), strict=True)
        ]
    else:
        out = [
            (size - far) // step + 1
            for size, far, step in zip((height, width), reach, case.stride, strict=True)
        ]
        before = [0, 0]
    first, outputs = case.block or (0, case.outputs)
    rows, columns = -(-outputs // 4) * 4, case.kernel[0] * case.kernel[1] * channels
    weights = rng.integers(-case.largest, case.largest + 1, (rows, columns))
    x = rng.integers(-128, 128, case.shape)
    if case.extreme:
        weights = rng.choice([-case.largest, case.largest], weights.shape)
        x = rng.choice([-128, 127], x.shape) if case.extreme == "mixed" else np.full(x.shape, -128)
    weights[outputs:] = 0
    constants = [
        rng.integers(-3000, 3000, rows) - case.zero_points[0] * weights.sum(1),
        rng.integers(1 << 30, 1 << 31, rows),
        rng.integers(case.shifts[0], case.shifts[1] + 1, rows),
    ]
    quads = (weights + 128).reshape(-1, 4, columns).transpose(0, 2, 1).astype(np.uint8)
    y = memoryview(array("b", bytes([85]) * (out[0] * out[1] * case.outputs + 2 * _EDGE)))[_EDGE:-_EDGE]
    return (
        memoryview(array("b", x.astype(np.int8).tobytes())), memoryview(bytearray(quads.tobytes())),
        *(memoryview(bytearray(values.astype("<i4").tobytes())) for values in constants),
        y, *case.zero_points, *case.bounds, *case.stride, *case.dilation, *before, *case.kernel, case.window,
        (1, *case.shape), (1, *out, case.outputs), array("H", [first]),
    )  # fmt: skip


def results(kernel, given: tuple) -> bytes:
    """Return y and its surroundings after one run."""
    y = given[5]
    whole = memoryview(y.obj)
    whole[:] = memoryview(array("b", bytes([85]) * len(whole)))
    kernel.products(*given)()
    return whole.tobytes()
