"""A channel of the image as a plane of words in the scratch memory, with the padding around it: each word has
a pixel of the upper half of the rows in its lower lane and one of the lower half in its upper."""

from fedmote.kernels.xtensa.words import Words
from fedmote.kernels.xtensa_lx import (
    A2,
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
    Label,
    Register,
    Xtensa,
)  # fmt: skip


def emit(code: Xtensa, words: Words) -> None:
    """Write the plane to where the word ``plane`` says, from the channel that begins at ``channel_x``.
    Changes all registers but a2."""
    low_u, high_u, left, padding, to, count = A3, A4, A5, A6, A9, A14
    lanes = (A10, A11), (A12, A13)  # where a pixel is, and the way to the next
    low, high = A7, A8
    words.load(padding, "zero_x")
    words.load(to, "plane")
    words.load(low_u, "first_u")
    words.load(high_u, "high_u")
    words.load(left, "plane_rows")
    code.slli(low, padding, 16)
    code.add(padding, padding, low)
    row = code.label()
    for (source, step), u in zip(lanes, (low_u, high_u), strict=True):
        _source(code, words, source, step, u)
        code.addi(u, u, 1)
    words.load(count, "left")
    _fill(code, to, count, padding)
    words.load(count, "copied")
    pixel = code.label()
    (low_x, low_step), (high_x, high_step) = lanes
    code.l8ui(low, low_x)
    code.l8ui(high, high_x)
    code.add(low_x, low_x, low_step)
    code.sext(low, low, 7)
    code.sext(high, high, 7)
    code.add(high_x, high_x, high_step)
    code.slli(high, high, 16)
    code.addi(count, count, -1)
    code.add(low, low, high)
    code.s32i(low, to)
    code.addi(to, to, 4)
    code.branch_on_zero("nez", count, pixel)
    words.load(count, "pitch")
    words.load(low, "copied")
    words.load(high, "left")
    code.sub(count, count, low)
    code.sub(count, count, high)
    _fill(code, to, count, padding)
    code.addi(left, left, -1)
    code.branch_on_zero("nez", left, row)


def _source(code: Xtensa, words: Words, source: Register, step: Register, u: Register) -> None:
    """Find a row of the image; beside it every pixel is the same byte, the zero point among the words."""
    outside = Label()
    code.movi(step, 0)
    code.movi(source, words.offset("zero_x"))
    code.add(source, source, A2)
    words.load(A15, "height")
    code.branch("geu", u, A15, outside)
    words.load(step, "row_bytes")
    words.load(source, "channel_x")
    code.mull(step, step, u)
    code.add(source, source, step)
    words.load(step, "channels")
    code.place(outside)


def _fill(code: Xtensa, to: Register, count: Register, value: Register) -> None:
    end = Label()
    code.branch_on_zero("eqz", count, end)
    again = code.label()
    code.s32i(value, to)
    code.addi(to, to, 4)
    code.addi(count, count, -1)
    code.branch_on_zero("nez", count, again)
    code.place(end)
