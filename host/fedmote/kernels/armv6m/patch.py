"""A pixel's inputs as words: from each tap of the window its channels, the zero point where the window lies
outside of the image. Padding is never copied, and rows of taps that lie inside are read in one go."""

from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.thumb import (
    LR,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    Label,
    Thumb,
)  # fmt: skip


def expand(thumb: Thumb) -> Label:
    """Return the label of a routine: r6 > 0 signed bytes at r1 become words at r0.

    Both addresses end behind what was done. Changes r2 to r6.
    """
    start, by_bytes = thumb.label(), Label()
    thumb.movs(R2, R1)
    thumb.orrs(R2, R6)
    thumb.lsls(R2, R2, 30)
    thumb.bne(by_bytes)
    thumb.lsrs(R6, R6, 2)
    words_to_words(thumb)
    thumb.bx(LR)

    thumb.place(by_bytes)
    single, threes, rest, end = Label(), Label(), Label(), Label()
    thumb.movs(R2, 0)
    thumb.subs(R6, R6, 3)
    thumb.blo(rest)
    thumb.place(threes)
    for register in (R3, R4, R5):
        thumb.ldrsb(register, R1, R2)
        thumb.adds(R1, R1, 1)
    thumb.stm(R0, R3, R4, R5)
    thumb.subs(R6, R6, 3)
    thumb.bhs(threes)
    thumb.place(rest)
    thumb.adds(R6, R6, 3)
    thumb.beq(end)
    thumb.place(single)
    thumb.ldrsb(R3, R1, R2)
    thumb.adds(R1, R1, 1)
    thumb.stm(R0, R3)
    thumb.subs(R6, R6, 1)
    thumb.bne(single)
    thumb.place(end)
    thumb.bx(LR)
    return start


def words_to_words(thumb: Thumb) -> None:
    """Make words at r0 of r6 > 0 words of four signed bytes each at r1, which is a multiple of 4."""
    odd = Label()
    thumb.lsrs(R6, R6, 1)
    thumb.bhs(odd)
    pair = thumb.label()
    _word(thumb)
    thumb.subs(R6, R6, 1)
    thumb.place(odd)
    _word(thumb)
    thumb.cmp(R6, 0)
    thumb.bne(pair)


def _word(thumb: Thumb) -> None:
    thumb.ldm(R1, R5)
    thumb.sxtb(R2, R5)
    thumb.lsls(R3, R5, 16)
    thumb.asrs(R3, R3, 24)
    thumb.lsls(R4, R5, 8)
    thumb.asrs(R4, R4, 24)
    thumb.asrs(R5, R5, 24)
    thumb.stm(R0, R2, R3, R4, R5)


def fill(thumb: Thumb, arguments: Arguments) -> Label:
    """Return the label of a routine: r6 > 0 words of the zero point at r0. Changes r2 to r6."""
    start, single = thumb.label(), Label()
    arguments.load(thumb, R2, "zero_point", moved=True)
    thumb.lsrs(R3, R6, 2)
    thumb.beq(single)
    thumb.movs(R4, R2)
    thumb.movs(R5, R2)
    four = thumb.label()
    thumb.stm(R0, R2, R4, R5)
    thumb.stm(R0, R2)
    thumb.subs(R3, R3, 1)
    thumb.bne(four)
    thumb.lsls(R6, R6, 30)
    thumb.lsrs(R6, R6, 30)
    end = Label()
    thumb.beq(end)
    thumb.place(single)
    thumb.stm(R0, R2)
    thumb.subs(R6, R6, 1)
    thumb.bne(single)
    thumb.place(end)
    thumb.bx(LR)
    return start


def window(thumb: Thumb, arguments: Arguments, to_expand: Label, to_fill: Label) -> None:
    """Write the patch at r0 for the window whose first tap is at r1, and step to the next. Only r7 stays."""
    edge, done = Label(), Label()
    thumb.adds(R7, R7, arguments.MOVED)
    for place, last in (("v", "last_v"), ("u", "last_u")):
        arguments.load(thumb, R2, place, moved=True)
        arguments.load(thumb, R3, last, moved=True)
        thumb.cmp(R2, 0)
        thumb.blt(edge)
        thumb.cmp(R2, R3)
        thumb.bgt(edge)

    # inside: a row of taps at a time
    arguments.load(thumb, R2, "kernel_h", moved=True)
    thumb.mov(R8, R2)
    arguments.load(thumb, R6, "line", moved=True)
    thumb.mov(R9, R6)
    arguments.load(thumb, R2, "between_lines", moved=True)
    thumb.mov(R10, R2)
    row = thumb.label()
    thumb.mov(R6, R9)
    thumb.bl(to_expand)
    thumb.add(R1, R10)
    thumb.mov(R2, R8)
    thumb.subs(R2, R2, 1)
    thumb.mov(R8, R2)
    thumb.bne(row)
    thumb.b(done)

    thumb.place(edge)
    next_row, next_tap, outside, row_outside = Label(), Label(), Label(), Label()
    arguments.load(thumb, R2, "kernel_h", moved=True)
    thumb.mov(R8, R2)
    arguments.load(thumb, R2, "u", moved=True)
    thumb.mov(R9, R2)
    thumb.mov(R10, R1)
    row = thumb.label()
    thumb.mov(R2, R9)
    arguments.load(thumb, R3, "height", moved=True)
    thumb.cmp(R2, R3)
    thumb.bhs(row_outside)
    thumb.mov(R1, R10)
    arguments.load(thumb, R2, "v", moved=True)
    thumb.mov(R12, R2)
    arguments.load(thumb, R3, "kernel_w", moved=True)
    thumb.mov(R11, R3)
    tap = thumb.label()
    thumb.mov(R2, R12)
    arguments.load(thumb, R6, "channels", moved=True)
    arguments.load(thumb, R3, "width", moved=True)
    thumb.cmp(R2, R3)
    thumb.bhs(outside)
    thumb.bl(to_expand)
    thumb.b(next_tap)
    thumb.place(outside)
    thumb.adds(R1, R1, R6)
    thumb.bl(to_fill)
    thumb.place(next_tap)
    arguments.load(thumb, R2, "between_taps", moved=True)
    thumb.adds(R1, R1, R2)
    arguments.load(thumb, R2, "dilation_w", moved=True)
    thumb.add(R12, R2)
    thumb.mov(R2, R11)
    thumb.subs(R2, R2, 1)
    thumb.mov(R11, R2)
    thumb.bne(tap)
    thumb.place(next_row)
    arguments.load(thumb, R2, "row_of_taps", moved=True)
    thumb.add(R10, R2)
    arguments.load(thumb, R2, "dilation_h", moved=True)
    thumb.add(R9, R2)
    thumb.mov(R2, R8)
    thumb.subs(R2, R2, 1)
    thumb.mov(R8, R2)
    thumb.bne(row)
    thumb.b(done)
    thumb.place(row_outside)
    arguments.load(thumb, R6, "line", moved=True)
    thumb.bl(to_fill)
    thumb.b(next_row)

    thumb.place(done)
    arguments.load(thumb, R1, "v", moved=True)
    arguments.load(thumb, R2, "v_step", moved=True)
    thumb.adds(R1, R1, R2)
    arguments.store(thumb, R1, "v", moved=True)
    thumb.subs(R7, R7, arguments.MOVED)
