"""Pooling and means in numpy."""

import numpy as np

from fedmote.models.reference.arithmetic import Run, Shape, int8s, requantiser
from fedmote.models.reference.convolutions import window_view


def average_pool(
    x: memoryview,
    y: memoryview,
    low: int,
    high: int,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    top: int,
    left: int,
    x_shape: Shape,
    y_shape: Shape,
) -> Run:
    """Mean over the part of each window inside of x, halves away
    from zero, clamped. x: [H, W, C]. y: [OH, OW, C]."""
    _, height, width, _ = x_shape
    window = (kernel_h, kernel_w), (stride_h, stride_w), (1, 1), (top, left), y_shape[1:3]
    load, windows = window_view(x, x_shape, 0, 0, np.int64, *window)
    ones = memoryview(bytes([1]) * (height * width))
    load_ones, inside = window_view(ones, (1, height, width, 1), 0, 0, np.int64, *window)
    load_ones()
    count = inside.sum(axis=(2, 3))
    target = int8s(y).reshape(y_shape[1:])

    def run() -> None:
        load()
        total = windows.sum(axis=(2, 3))
        value = np.sign(total) * ((np.abs(total) + count // 2) // count)
        target[:] = value.clip(low, high)

    return run


def max_pool(
    x: memoryview,
    y: memoryview,
    low: int,
    high: int,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    top: int,
    left: int,
    x_shape: Shape,
    y_shape: Shape,
) -> Run:
    """Largest value of the part of each window inside of x, clamped. x: [H, W, C]. y: [OH, OW, C]."""
    load, windows = window_view(
        x, x_shape, -128, 0, np.int8, (kernel_h, kernel_w), (stride_h, stride_w), (1, 1), (top, left),
        y_shape[1:3],
    )  # fmt: skip
    target = int8s(y).reshape(y_shape[1:])

    def run() -> None:
        load()
        target[:] = windows.max(axis=(2, 3)).clip(low, high)

    return run


def mean(
    x: memoryview,
    y: memoryview,
    outer: int,
    count: int,
    inner: int,
    zero_x: int,
    zero_y: int,
    multiplier: int,
    shift: int,
) -> Run:
    """y[o, i] = clamp(requantise(sum over c of x[o, c, i] - count * zero_x) + zero_y)."""
    source, target = int8s(x).reshape(outer, count, inner), int8s(y).reshape(outer, inner)
    requantise = requantiser(multiplier, shift)

    def run() -> None:
        total = source.sum(axis=1, dtype=np.int64) - count * zero_x
        target[:] = (requantise(total) + zero_y).clip(-128, 127)

    return run
