"""Ops that only move bytes, in numpy."""

import numpy as np

from fedmote.models.reference.arithmetic import Run, int8s, int32s, strided


def move(
    x: memoryview,
    y: memoryview,
    n0: int,
    n1: int,
    n2: int,
    n3: int,
    block: int,
    start_x: int,
    x0: int,
    x1: int,
    x2: int,
    x3: int,
    start_y: int,
    y0: int,
    y1: int,
    y2: int,
    y3: int,
) -> Run:
    """Copy ``block`` bytes from start_x + i*x0 + j*x1 + k*x2 + l*x3 to start_y + ..., for all i, j, k, l."""
    shape = n0, n1, n2, n3, block
    source = strided(int8s(x), start_x, shape, (x0, x1, x2, x3, 1))
    target = strided(int8s(y), start_y, shape, (y0, y1, y2, y3, 1))

    def run() -> None:
        target[...] = source

    return run


def fill(y: memoryview, value: int) -> Run:
    """Set every byte of y."""
    target = int8s(y)

    def run() -> None:
        target.fill(value)

    return run


def gather(x: memoryview, table: memoryview, y: memoryview, block: int) -> Run:
    """Copy ``block`` bytes of x from each offset of the table (int32), one after the other."""
    source, target = int8s(x), int8s(y).reshape(-1, block)
    offsets = int32s(table)[:, None] + np.arange(block)

    def run() -> None:
        target[:] = source[offsets]

    return run
