"""Inputs of a pixel for Cortex-M33: gathered as bytes from the taps of its window, with the zero point where
that lies outside of the image, then widened to pairs of halves for the loops of ``quads``.

Of four columns, pairs are the first with the third and the second with the fourth, as SXTB16 gives them.
"""

from fedmote.kernels.arguments import PRODUCTS
from fedmote.kernels.armv8m.frame import Frame, Table
from fedmote.kernels.thumb import LR, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, Label
from fedmote.kernels.thumb2 import Thumb2

#: r11 is at what the function got
TABLE = Table(PRODUCTS, R11)


def copy(thumb: Thumb2) -> Label:
    """Return the label of a routine: r2 > 0 bytes at r1 are copied to r0. Both end behind what was copied; up
    to three bytes more are read and written. Changes r2 to r6."""
    start, few, word, done = thumb.label(), Label(), Label(), Label()
    thumb.subs_w(R2, R2, 16)
    thumb.blt(few)
    sixteen = thumb.label()
    for register in (R3, R4, R5, R6):
        thumb.ldr_post(register, R1, 4)
    for register in (R3, R4, R5, R6):
        thumb.str_post(register, R0, 4)
    thumb.subs_w(R2, R2, 16)
    thumb.bge(sixteen)
    thumb.place(few)
    thumb.adds_w(R2, R2, 16)
    thumb.beq(done)
    thumb.place(word)
    thumb.ldr_post(R3, R1, 4)
    thumb.str_post(R3, R0, 4)
    thumb.subs_w(R2, R2, 4)
    thumb.bgt(word)
    thumb.add(R0, R2)
    thumb.add(R1, R2)
    thumb.place(done)
    thumb.bx(LR)
    return start


def gather(thumb: Thumb2, frame: Frame, to_copy: Label) -> Label:
    """Return the label of a routine that writes the bytes of a pixel to r0 and steps to the next pixel."""
    start, edge, step, same_row = thumb.label(), Label(), Label(), Label()
    frame.store(thumb, LR, "return")
    frame.load(thumb, R11, "table")
    frame.load_two(thumb, R8, R9, "u")
    frame.load(thumb, R1, "source")
    TABLE.load(thumb, R7, "kernel_h")
    TABLE.load(thumb, R2, "dilation_w")
    thumb.cmp(R2, 1)
    thumb.bne(edge)
    for place, end in ((R8, "end_u"), (R9, "end_v")):
        TABLE.load(thumb, R2, end)
        thumb.cmp(place, R2)
        thumb.bge(edge)
        thumb.cmp_w(place, 0)
        thumb.blt(edge)
    TABLE.load(thumb, R8, "line")
    TABLE.load(thumb, R9, "tap_row_step")
    thumb.sub_w(R9, R9, R8)
    line = thumb.label()
    thumb.mov(R2, R8)
    thumb.bl(to_copy)
    thumb.add(R1, R9)
    thumb.subs_w(R7, R7, 1)
    thumb.bne(line)

    thumb.place(step)
    thumb.mov_w(R2, 0)  # behind the last column: what weights stand there does not matter
    thumb.str_w(R2, R0)
    frame.load_two(thumb, R8, R9, "u")
    frame.load_two(thumb, R1, R2, "source")
    frame.load(thumb, R3, "row_left")
    thumb.subs_w(R3, R3, 1)
    thumb.bne(same_row)
    TABLE.load(thumb, R3, "row_step")
    thumb.add(R2, R3)
    thumb.mov(R1, R2)
    TABLE.load(thumb, R3, "stride_h")
    thumb.add(R8, R3)
    TABLE.load(thumb, R9, "first_v")
    TABLE.load(thumb, R3, "stride_w")
    thumb.sub_w(R9, R9, R3)
    TABLE.load(thumb, R3, "pixel_step")
    thumb.sub_w(R1, R1, R3)
    TABLE.load(thumb, R3, "out_w")
    thumb.place(same_row)
    frame.store(thumb, R3, "row_left")
    TABLE.load(thumb, R3, "pixel_step")
    thumb.add(R1, R3)
    TABLE.load(thumb, R3, "stride_w")
    thumb.add(R9, R3)
    frame.store_two(thumb, R8, R9, "u")
    frame.store_two(thumb, R1, R2, "source")
    frame.load(thumb, LR, "return")
    thumb.bx(LR)

    thumb.place(edge)
    _edge(thumb, to_copy)
    thumb.b(step)
    return start


def _edge(thumb: Thumb2, to_copy: Label) -> None:
    """Gather tap by tap. r0: target, r1: first tap, r7: rows of taps, r8, r9: u and v, r11: table."""
    row, tap, outside, fill, next_tap = (Label() for _ in range(5))
    thumb.place(row)
    thumb.push(R1)
    TABLE.load(thumb, R12, "kernel_w")
    thumb.mov(R10, R9)
    thumb.place(tap)
    for place, size in ((R8, "height"), (R10, "width")):
        TABLE.load(thumb, R2, size)
        thumb.cmp(place, R2)
        thumb.bhs(outside)
    TABLE.load(thumb, R2, "channels")
    thumb.push(R1)
    thumb.bl(to_copy)
    thumb.pop(R1)
    thumb.b(next_tap)
    thumb.place(outside)
    TABLE.load(thumb, R2, "channels")
    TABLE.load(thumb, R3, "zero_x")
    thumb.uxtb(R3, R3)
    thumb.constant(R4, 0x01010101)
    thumb.muls(R3, R4)
    thumb.place(fill)
    thumb.str_post(R3, R0, 4)
    thumb.subs_w(R2, R2, 4)
    thumb.bgt(fill)
    thumb.add(R0, R2)
    thumb.place(next_tap)
    TABLE.load(thumb, R2, "dilation_w")
    thumb.add(R10, R2)
    TABLE.load(thumb, R2, "tap_step")
    thumb.add(R1, R2)
    thumb.subs_w(R12, R12, 1)
    thumb.bne(tap)
    thumb.pop(R1)
    TABLE.load(thumb, R2, "tap_row_step")
    thumb.add(R1, R2)
    TABLE.load(thumb, R2, "dilation_h")
    thumb.add(R8, R2)
    thumb.subs_w(R7, R7, 1)
    thumb.bne(row)


def widen_two(thumb: Thumb2) -> None:
    """Write what makes the patch at r0 of two pixels' bytes at r1 and r2, r3 > 0 times four of each."""
    odd, four = Label(), Label()
    thumb.lsrs(R3, R3, 1)
    thumb.bhs(odd)
    thumb.place(four)
    _widen_two(thumb)
    thumb.subs(R3, R3, 1)
    thumb.place(odd)
    _widen_two(thumb)
    thumb.cmp(R3, 0)
    thumb.bne(four)


def _widen_two(thumb: Thumb2) -> None:
    thumb.ldr_post(R5, R1, 4)
    thumb.ldr_post(R7, R2, 4)
    thumb.sxtb16(R4, R5)
    thumb.sxtb16(R6, R5, 8)
    thumb.sxtb16(R5, R7)
    thumb.sxtb16(R7, R7, 8)
    thumb.stm(R0, R4, R5, R6, R7)


def widen_one(thumb: Thumb2) -> None:
    """Write what makes the patch at r0 of one pixel's bytes at r1, r3 > 0 times four, doubled. Their sum,
    doubled, is left in r4."""
    thumb.movs(R4, 0)
    thumb.constant(R7, 0x00010001)
    four = thumb.label()
    thumb.ldr_post(R6, R1, 4)
    thumb.sxtb16(R5, R6)
    thumb.sxtb16(R6, R6, 8)
    for pair in (R5, R6):
        thumb.sadd16(pair, pair, pair)
        thumb.smlad(R4, pair, R7, R4)
    thumb.stm(R0, R5, R6)
    thumb.subs(R3, R3, 1)
    thumb.bne(four)
