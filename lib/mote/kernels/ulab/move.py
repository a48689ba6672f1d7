"""Ops that only move bytes, on slices of ulab's arrays."""

from struct import unpack

from .arithmetic import int8s

_WORTH_A_SLICE = 6  # bytes: fewer are copied sooner by plain Python


def move(x, y, n0, n1, n2, n3, block, start_x, x0, x1, x2, x3, start_y, y0, y1, y2, y3):
    """See ``plain.move``."""
    if n3 == 1 or x3 == y3 == block:
        n3, block = 1, n3 * block  # one run
    # the innermost two loops are one of slices: along the block, or across it where that takes fewer
    across = block < n3 and min(x3, y3) > 0
    if (n3 if across else block) < _WORTH_A_SLICE:
        from ..plain import move as plain  # loaded where it is needed only: memory is short

        return plain.move(
            x, y, n0, n1, n2, n3, block, start_x, x0, x1, x2, x3, start_y, y0, y1, y2, y3
        )  # fmt: skip
    source, target = int8s(x), int8s(y)
    reach_x, reach_y = (n3 - 1) * x3 + 1, (n3 - 1) * y3 + 1

    def run(keep=(x, y)):
        for i in range(n0):
            for j in range(n1):
                for k in range(n2):
                    p = start_x + i * x0 + j * x1 + k * x2
                    q = start_y + i * y0 + j * y1 + k * y2
                    if across:
                        for n in range(block):
                            target[q + n : q + n + reach_y : y3] = source[p + n : p + n + reach_x : x3]
                    else:
                        for _ in range(n3):
                            target[q : q + block] = source[p : p + block]
                            p += x3
                            q += y3

    return run


def fill(y, value):
    """See ``plain.fill``."""
    target = int8s(y)

    def run(keep=(y,)):
        target[:] = value

    return run


def gather(x, table, y, block):
    """See ``plain.gather``."""
    if block < _WORTH_A_SLICE:
        from ..plain import move as plain  # loaded where it is needed only: memory is short

        return plain.gather(x, table, y, block)
    source, target = int8s(x), int8s(y)
    starts = unpack("<%di" % (len(table) // 4), table)

    def run(keep=(x, y)):
        at = 0
        for start in starts:
            target[at : at + block] = source[start : start + block]
            at += block

    return run
