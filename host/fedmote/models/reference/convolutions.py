"""Convolutions in numpy: one matrix product over all windows, or one product per tap where channels stay
apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.models.reference.arithmetic import (
    Integers,
    Origin,
    Run,
    Shape,
    int8s,
    int32s,
    requantiser,
    strided,
    weights_of,
)


def conv(
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
    form: int,
    x_shape: Shape,
    weights_shape: Shape,
    y_shape: Shape,
    origin: Origin,
) -> Run:
    """y[i, j, origin + n] = clamp(requantise(sum(x * weights[n]) + bias[n]) + zero_y), padding is zero_x.

    x: [H, W, C]. weights: [N, KH, KW, C]. y: [OH, OW, P], P >= N.
    """
    finish = _finisher(bias, multipliers, shifts, zero_y, low, high)
    outputs = len(bias) // 4
    longest = len(weights) // outputs
    flat, offset = weights_of(weights, form, longest)
    matrix = flat.reshape(outputs, longest).T
    (_, kernel_h, kernel_w, _), (_, out_h, out_w, pitch) = weights_shape, y_shape
    load, windows = window_view(
        x, x_shape, zero_x, offset, matrix.dtype, (kernel_h, kernel_w), (stride_h, stride_w),
        (dilation_h, dilation_w), (top, left), (out_h, out_w),
    )  # fmt: skip
    target = int8s(y).reshape(out_h * out_w, pitch)

    def run() -> None:
        load()
        target[:, origin[0] : origin[0] + outputs] = finish(windows.reshape(-1, longest) @ matrix)

    return run


def depthwise(
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
    form: int,
    x_shape: Shape,
    weights_shape: Shape,
    y_shape: Shape,
    origin: Origin,
) -> Run:
    """As ``conv``, where output channel n reads input channel n //
    M alone. weights: [1, KH, KW, N]. origin is 0."""
    finish = _finisher(bias, multipliers, shifts, zero_y, low, high)
    (_, kernel_h, kernel_w, outputs), (_, out_h, out_w, _) = weights_shape, y_shape
    channels = x_shape[3]
    flat, offset = weights_of(weights, form, kernel_h * kernel_w)
    taps = flat.reshape(kernel_h, kernel_w, channels, outputs // channels)
    load, windows = window_view(
        x, x_shape, zero_x, offset, taps.dtype, (kernel_h, kernel_w), (stride_h, stride_w),
        (dilation_h, dilation_w), (top, left), (out_h, out_w),
    )  # fmt: skip
    target = int8s(y).reshape(out_h * out_w, outputs)

    def run() -> None:
        load()
        total = np.zeros((out_h, out_w, channels, outputs // channels), taps.dtype)
        for u in range(kernel_h):
            for v in range(kernel_w):
                total += windows[:, :, u, v, :, None] * taps[u, v]
        target[:] = finish(total.reshape(-1, outputs))

    return run


def window_view(
    x: memoryview,
    x_shape: Shape,
    padding: float,
    offset: float,
    dtype: Any,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    before: tuple[int, int],
    out: tuple[int, int],
) -> tuple[Run, NDArray[Any]]:
    """Return (function that copies x, plus offset, into a padded array; its windows [OH, OW, KH, KW, C]).

    Pairs are (height, width). before: padding above and to the left. x: [H, W, C].
    """
    _, height, width, channels = x_shape
    rows, columns = (
        max(first + size, (count - 1) * step + (taps - 1) * apart + 1)
        for first, size, count, step, taps, apart in zip(
            before, (height, width), out, stride, kernel, dilation, strict=True
        )
    )
    padded = np.full((rows, columns, channels), padding + offset, dtype)
    inside = padded[before[0] : before[0] + height, before[1] : before[1] + width]
    source = int8s(x).reshape(height, width, channels)

    def load() -> None:
        np.add(source, offset, out=inside, casting="unsafe")

    row = columns * channels
    windows = strided(
        padded.reshape(-1),
        0,
        (*out, *kernel, channels),
        (stride[0] * row, stride[1] * channels, dilation[0] * row, dilation[1] * channels, 1),
    )
    return load, windows


def _finisher(
    bias: memoryview, multipliers: memoryview, shifts: memoryview, zero_point: int, low: int, high: int
) -> Callable[[NDArray[Any]], Integers]:
    """Return f(sums [positions, N] without bias) = outputs."""
    constant = int32s(bias)
    requantise = requantiser(int32s(multipliers), int32s(shifts))

    def finish(total: NDArray[Any]) -> Integers:
        return (requantise(total.astype(np.int64) + constant) + zero_point).clip(low, high)

    return finish
