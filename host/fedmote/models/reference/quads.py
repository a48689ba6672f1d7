"""PRODUCTS and TAPS in numpy: the convolutions of weight form 2."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.models.reference.arithmetic import Integers, Origin, Run, Shape, int8s, int32s, requantiser
from fedmote.models.reference.convolutions import window_view


def products(
    x: memoryview,
    weights: memoryview,
    bias: memoryview,
    multipliers: memoryview,
    shifts: memoryview,
    y: memoryview,
    zero_x: int,
    zero_y: int,
    low: int,
    high: int,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    top: int,
    left: int,
    kernel_h: int,
    kernel_w: int,
    window: int,
    x_shape: Shape,
    y_shape: Shape,
    origin: Origin,
) -> Run:
    """y[i, j, origin + n] = finish(sum(x * weights[n])), padding is zero_x.

    x: [H, W, C]. weights: [N / 4, KH * KW * C, 4] + 128. y: [OH, OW, P]; what lies behind P is not written.
    """
    finish = _finisher(bias, multipliers, shifts, zero_y, low, high)
    stored = np.frombuffer(weights, np.uint8).reshape(len(bias) // 16, -1, 4).astype(np.float64) - 128
    matrix = stored.transpose(1, 0, 2).reshape(stored.shape[1], -1)
    _, out_h, out_w, pitch = y_shape
    load, windows = window_view(
        x, x_shape, zero_x, 0, matrix.dtype, (kernel_h, kernel_w), (stride_h, stride_w),
        (dilation_h, dilation_w), (top, left), (out_h, out_w),
    )  # fmt: skip
    target = int8s(y).reshape(-1, pitch)

    def run() -> None:
        load()
        place = target[:, origin[0] : origin[0] + matrix.shape[1]]
        place[:] = finish(windows.reshape(len(target), -1) @ matrix)[:, : place.shape[1]]

    return run


def taps(
    x: memoryview,
    weights: memoryview,
    bias: memoryview,
    multipliers: memoryview,
    shifts: memoryview,
    y: memoryview,
    zero_x: int,
    zero_y: int,
    low: int,
    high: int,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    top: int,
    left: int,
    kernel_h: int,
    kernel_w: int,
    window: int,
    x_shape: Shape,
    y_shape: Shape,
    origin: Origin,
) -> Run:
    """As ``products``, where output channel n reads input channel n // M alone. weights: int8 [N, KH * KW].
    origin is 0."""
    finish = _finisher(bias, multipliers, shifts, zero_y, low, high)
    matrix = int8s(weights).reshape(x_shape[3], -1, kernel_h, kernel_w).astype(np.float64)
    _, out_h, out_w, outputs = y_shape
    load, windows = window_view(
        x, x_shape, zero_x, 0, matrix.dtype, (kernel_h, kernel_w), (stride_h, stride_w),
        (dilation_h, dilation_w), (top, left), (out_h, out_w),
    )  # fmt: skip
    target = int8s(y).reshape(-1, outputs)

    def run() -> None:
        load()
        target[:] = finish(np.einsum("ijuvc,cmuv->ijcm", windows, matrix).reshape(-1, outputs))

    return run


def _finisher(
    bias: memoryview,
    multipliers: memoryview,
    shifts: memoryview,
    zero_point: int,
    low: int,
    high: int,
) -> Callable[[NDArray[Any]], Integers]:
    """Return f(sums [positions, N] of products) = outputs."""
    addend, requantise = int32s(bias), requantiser(int32s(multipliers), int32s(shifts))
    return lambda sums: (requantise(sums.astype(np.int64) + addend) + zero_point).clip(low, high)
