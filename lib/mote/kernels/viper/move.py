"""Ops that only move bytes, in viper."""

import micropython

from .loops import merged


def move(x, y, n0, n1, n2, n3, block, start_x, x0, x1, x2, x3, start_y, y0, y1, y2, y3):
    """See ``plain.move``."""
    loops = merged((n0, x0, y0), (n1, x1, y1), (n2, x2, y2), (n3, x3, y3))
    while loops[3][1:] == [block, block]:  # the blocks of a loop that has no gaps are one
        block *= loops[3][0]
        loops = [[1, 0, 0]] + loops[:3]
    layer = tuple(number for loop in loops for number in loop) + (start_x, start_y)

    def run():
        _move(y, x, block, layer)

    return run


@micropython.viper
def _move(y: ptr8, x: ptr8, block: int, layer):
    n0 = int(layer[0])
    x0 = int(layer[1])
    y0 = int(layer[2])
    n1 = int(layer[3])
    x1 = int(layer[4])
    y1 = int(layer[5])
    n2 = int(layer[6])
    x2 = int(layer[7])
    y2 = int(layer[8])
    n3 = int(layer[9])
    x3 = int(layer[10])
    y3 = int(layer[11])
    source = int(x) + int(layer[12])
    target = int(y) + int(layer[13])
    i = 0
    while i < n0:
        j = 0
        while j < n1:
            k = 0
            while k < n2:
                p = source + i * x0 + j * x1 + k * x2
                q = target + i * y0 + j * y1 + k * y2
                m = n3
                while m:
                    x = ptr8(p)
                    y = ptr8(q)
                    count = block
                    if (p | q) & 3 == 0:  # whole words
                        while count > 3:
                            ptr32(y)[0] = ptr32(x)[0]
                            x = ptr8(int(x) + 4)
                            y = ptr8(int(y) + 4)
                            count -= 4
                    while count:
                        y[0] = x[0]
                        x = ptr8(int(x) + 1)
                        y = ptr8(int(y) + 1)
                        count -= 1
                    p += x3
                    q += y3
                    m -= 1
                k += 1
            j += 1
        i += 1


def fill(y, value):
    """See ``plain.fill``."""
    count = len(y)

    def run():
        _fill(y, value, count)

    return run


@micropython.viper
def _fill(y: ptr8, value: int, count: int):
    while count:
        y[0] = value
        y = ptr8(int(y) + 1)
        count -= 1


def gather(x, table, y, block):
    """See ``plain.gather``."""
    layer = (table, len(table) // 4, block)

    def run():
        _gather(y, x, 0, layer)

    return run


@micropython.viper
def _gather(y: ptr8, x: ptr8, count: int, layer):
    table = ptr32(layer[0])  # no offset is negative
    last = int(layer[1])
    block = int(layer[2])
    image = int(x)
    i = 0
    while i < last:
        x = ptr8(image + table[i])
        count = block
        while count:
            y[0] = x[0]
            x = ptr8(int(x) + 1)
            y = ptr8(int(y) + 1)
            count -= 1
        i += 1
