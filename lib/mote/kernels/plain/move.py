"""Ops that only move bytes, in plain Python: what reshapes, slices, joins, transposes, pads and enlarges."""

from .arithmetic import int32_at


def move(x, y, n0, n1, n2, n3, block, start_x, x0, x1, x2, x3, start_y, y0, y1, y2, y3):
    """Copy ``block`` bytes from start_x + i*x0 + j*x1 + k*x2 + l*x3 to start_y + ..., for all i, j, k, l."""

    def run():
        for i in range(n0):
            for j in range(n1):
                for k in range(n2):
                    p = start_x + i * x0 + j * x1 + k * x2
                    q = start_y + i * y0 + j * y1 + k * y2
                    for _ in range(n3):
                        for n in range(block):
                            value = x[p + n]
                            y[q + n] = value - 256 if value > 127 else value
                        p += x3
                        q += y3

    return run


def fill(y, value):
    """Set every byte of y."""

    def run():
        for i in range(len(y)):
            y[i] = value

    return run


def gather(x, table, y, block):
    """Copy ``block`` bytes of x from each offset of the table (int32), one after the other."""
    count = len(table) // 4

    def run():
        for i in range(count):
            start = int32_at(table, i)
            for n in range(block):
                y[i * block + n] = x[start + n]

    return run
