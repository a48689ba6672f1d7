"""Average pools, pixel by pixel of the output."""

from fedmote.kernels.arguments import AVERAGE_POOL
from fedmote.kernels.xtensa.words import Words
from fedmote.kernels.xtensa_lx import (
    A3,
    A4,
    A5,
    A6,
    A7,
    A8,
    A9,
    A10,
    A11,
    A12,
    A13,
    A14,
    A15,
    Register,
    Xtensa,
)  # fmt: skip

_KEPT = ("u", "v", "rows_left", "pixels_left")


def average_pool() -> Xtensa:
    """Return the function. Its argument: words as AVERAGE_POOL has them."""
    code = Xtensa()
    words = Words(code, AVERAGE_POOL, *_KEPT)
    y = A15
    words.load(y, "y")
    for name, source in (("u", "first_u"), ("rows_left", "out_h")):
        words.copy(name, source, A3)
    row = code.label()
    for name, source in (("v", "first_v"), ("pixels_left", "out_w")):
        words.copy(name, source, A3)
    pixel = code.label()
    _pixel(code, words, y)
    words.advance("v", "stride_w", A3, A4)
    words.advance("pixels_left", -1, A3, A4)
    code.branch_on_zero("nez", A3, pixel)
    words.advance("u", "stride_h", A3, A4)
    words.advance("rows_left", -1, A3, A4)
    code.branch_on_zero("nez", A3, row)
    return code


def _pixel(code: Xtensa, words: Words, y: Register) -> None:
    """Write the means of a window in all channels to ``y``, which moves along."""
    rows, columns, source, left, step, skip, count, work, first = A6, A7, A8, A9, A10, A11, A12, A13, A14
    total, rows_left, columns_left = A4, A3, A5
    first_u, first_v = A3, A4
    _inside(code, words, first_u, rows, ("u", "kernel_h", "height"), work)
    _inside(code, words, first_v, columns, ("v", "kernel_w", "width"), work)
    code.mull(count, rows, columns)
    words.load(work, "width")
    words.load(step, "channels")
    words.load(first, "x")
    code.mull(first_u, first_u, work)
    code.sub(skip, work, columns)
    code.add(first_u, first_u, first_v)
    code.mull(skip, skip, step)
    code.mull(first_u, first_u, step)
    code.mov(left, step)
    code.add(first, first, first_u)
    channel = code.label()
    code.mov(source, first)
    code.mov(rows_left, rows)
    code.movi(total, 0)
    row = code.label()
    code.mov(columns_left, columns)
    value = code.label()
    code.l8ui(work, source)
    code.add(source, source, step)
    code.sext(work, work, 7)
    code.addi(columns_left, columns_left, -1)
    code.add(total, total, work)
    code.branch_on_zero("nez", columns_left, value)
    code.add(source, source, skip)
    code.addi(rows_left, rows_left, -1)
    code.branch_on_zero("nez", rows_left, row)
    code.srai(A3, total, 31)  # halves away from zero: half of the count with the sign of the total
    code.srai(work, count, 1)
    code.xor(work, work, A3)
    code.sub(work, work, A3)
    code.add(total, total, work)
    code.quos(total, total, count)
    words.load(A3, "low")
    words.load(A5, "high")
    code.max(total, total, A3)
    code.min(total, total, A5)
    code.s8i(total, y)
    code.addi(y, y, 1)
    code.addi(first, first, 1)
    code.addi(left, left, -1)
    code.branch_on_zero("nez", left, channel)


def _inside(
    code: Xtensa, words: Words, first: Register, count: Register, names: tuple[str, str, str], work: Register
) -> None:
    """Find the part of a window that lies inside of the image. names: of its begin, its length, the end."""
    begin, length, end = names
    words.load(first, begin)
    words.load(count, length)
    words.load(work, end)
    code.add(count, count, first)
    code.min(count, count, work)
    code.movi(work, 0)
    code.max(first, first, work)
    code.sub(count, count, first)
