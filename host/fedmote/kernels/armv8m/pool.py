"""The average_pool function of Cortex-M33, four channels at a time. Its argument is AVERAGE_POOL of
``arguments``."""

from fedmote.kernels.arguments import AVERAGE_POOL
from fedmote.kernels.armv8m.frame import Frame, Table
from fedmote.kernels.armv8m.requantise import clamp
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
    Register,
)  # fmt: skip
from fedmote.kernels.thumb2 import Thumb2, asr, lsr

TABLE = Table(AVERAGE_POOL, R11)
FRAME = Frame(
    "low", "high", "u", "v", "y", "rows", "columns", "first", "channels_left", "rows_left", "pixels_left"
)

#: so many bytes can be added in a half
_LONGEST = 255

_SUMS = (R5, R6, R7, R8)


def average_pool() -> Thumb2:
    """Return the code of the function."""
    thumb = Thumb2()
    FRAME.enter(thumb)
    thumb.mov(R11, R0)
    for name, target in (
        ("low", "low"), ("high", "high"), ("y", "y"), ("first_u", "u"), ("out_h", "rows_left"),
    ):  # fmt: skip
        TABLE.load(thumb, R1, name)
        FRAME.store(thumb, R1, target)
    row = thumb.label()
    for name, target in (("first_v", "v"), ("out_w", "pixels_left")):
        TABLE.load(thumb, R1, name)
        FRAME.store(thumb, R1, target)
    pixel = thumb.label()
    _window(thumb)
    _channels(thumb)
    for place, step, left, again in (
        ("v", "stride_w", "pixels_left", pixel), ("u", "stride_h", "rows_left", row),
    ):  # fmt: skip
        FRAME.load(thumb, R1, place)
        TABLE.load(thumb, R2, step)
        thumb.add(R1, R2)
        FRAME.store(thumb, R1, place)
        FRAME.load(thumb, R1, left)
        thumb.subs(R1, R1, 1)
        FRAME.store(thumb, R1, left)
        thumb.bne(again)
    FRAME.leave(thumb)
    return thumb


def _window(thumb: Thumb2) -> None:
    """Find the part of the window inside of the image: its rows, columns and first byte."""
    for place, size, taps, begin, count in (
        ("u", "height", "kernel_h", R1, R2), ("v", "width", "kernel_w", R3, R4),
    ):  # fmt: skip
        FRAME.load(thumb, begin, place)
        TABLE.load(thumb, count, taps)
        thumb.add(count, begin)
        TABLE.load(thumb, R5, size)
        thumb.cmp(count, R5)
        thumb.it("gt")
        thumb.mov(count, R5)
        thumb.bic_w(begin, begin, asr(begin, 31))
        thumb.sub_w(count, count, begin)
    thumb.mla(R1, R1, R5, R3)  # r5 is the width
    TABLE.load(thumb, R5, "channels")
    TABLE.load(thumb, R6, "x")
    thumb.mla(R1, R1, R5, R6)
    FRAME.store_two(thumb, R2, R4, "rows")
    FRAME.store_two(thumb, R1, R5, "first")


def _channels(thumb: Thumb2) -> None:
    """Make the bytes of a pixel, four at a time."""
    four, row, part, column, done = (Label() for _ in range(5))
    thumb.place(four)
    FRAME.load(thumb, R3, "rows")
    FRAME.load(thumb, R0, "first")
    TABLE.load(thumb, R4, "channels")
    for register in _SUMS:
        thumb.mov_w(register, 0)
    thumb.place(row)
    thumb.mov(R12, R0)
    FRAME.load(thumb, LR, "columns")
    thumb.place(part)
    thumb.mov_w(R9, 0)
    thumb.mov_w(R10, 0)
    thumb.mov_w(R1, _LONGEST)
    thumb.cmp(LR, R1)
    thumb.it("lt")
    thumb.mov(R1, LR)
    thumb.sub_w(LR, LR, R1)
    thumb.place(column)
    _add_four(thumb)
    thumb.subs(R1, R1, 1)
    thumb.bne(column)
    for halves, low, high in ((R9, R5, R7), (R10, R6, R8)):
        thumb.sxtah(low, low, halves)
        thumb.add_w(high, high, asr(halves, 16))
    thumb.cmp_w(LR, 0)
    thumb.bne(part)
    TABLE.load(thumb, R1, "width")
    thumb.mla(R0, R1, R4, R0)
    thumb.subs(R3, R3, 1)
    thumb.bne(row)

    FRAME.load_two(thumb, R0, R1, "rows")
    thumb.muls(R0, R1)
    thumb.mov_w(R1, lsr(R0, 1))
    FRAME.load_two(thumb, R2, R3, "low")
    FRAME.load(thumb, R12, "y")
    FRAME.load_two(thumb, R9, R10, "first")
    for total in _SUMS:
        _store(thumb, total)
        thumb.subs_w(R10, R10, 1)
        thumb.beq(done)
    FRAME.store(thumb, R12, "y")
    thumb.add_w(R9, R9, 4)
    FRAME.store_two(thumb, R9, R10, "first")
    thumb.b(four)
    thumb.place(done)
    FRAME.store(thumb, R12, "y")


def _add_four(thumb: Thumb2) -> None:
    """Add four bytes at r12 to the halves of r9 and r10; go on by r4 bytes."""
    thumb.ldr_w(R2, R12)
    thumb.add(R12, R4)
    thumb.sxtab16(R9, R9, R2)
    thumb.sxtab16(R10, R10, R2, 8)


def _store(thumb: Thumb2, total: Register) -> None:
    """Make a byte of a sum of r0 values, where r1 is half as many: halves away from zero."""
    thumb.eor_w(R4, R1, asr(total, 31))
    thumb.add(R4, total)
    thumb.add_w(R4, R4, lsr(total, 31))
    thumb.sdiv(R4, R4, R0)
    clamp(thumb, R4, R2, R3)
    thumb.strb_post(R4, R12, 1)
