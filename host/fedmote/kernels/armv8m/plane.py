"""A channel as Cortex-M33 convolves it depthwise: a plane of words, the image and the padding that windows
touch. The lower half of a word is a pixel, the upper one that which is ``dilation_h`` rows below."""

from collections.abc import Callable
from typing import NamedTuple

from fedmote.kernels.arguments import TAPS
from fedmote.kernels.armv8m.frame import Frame, Table
from fedmote.kernels.thumb import (
    LR,
    PC,
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
)  # fmt: skip
from fedmote.kernels.thumb2 import Thumb2, lsl

#: r11 is at what the function got
TABLE = Table(TAPS, R11)

#: words of the frame
PLANE = (
    "plane", "source", "target", "rows_step", "source_step", "target_step", "below", "above", "inside",
    "outside", "entry_of_twice", "entry_of_both", "entry_of_half",
)  # fmt: skip

# Pixels in a turn of the loops that copy a row, with their bytes of code.
_PIXELS, _TWICE_BYTES, _BOTH_BYTES, _HALF_BYTES = 8, 16, 20, 12


class Copy(NamedTuple):
    """Places of the routine that copies a channel: its begin, its loops, and what it does with a row of the
    plane that lies in the image or not, where windows begin at every row and where they do at every other."""

    start: Label
    twice: Label
    both: Label
    half: Label
    inside: tuple[Label, Label]
    outside: tuple[Label, Label]


def pad(thumb: Thumb2, frame: Frame) -> None:
    """Write padding everywhere in the plane."""
    TABLE.load(thumb, R1, "plane_rows")
    TABLE.load(thumb, R2, "pitch")
    thumb.muls(R1, R2)
    TABLE.load(thumb, R4, "zero_x")
    thumb.pkhbt(R4, R4, R4, 16)
    for register in (R5, R6, R7):
        thumb.mov(register, R4)
    frame.load(thumb, R0, "plane")
    four = thumb.label()
    thumb.stm(R0, R4, R5, R6, R7)
    thumb.subs(R1, R1, 4)
    thumb.bgt(four)


def prepare(thumb: Thumb2, frame: Frame, places: Copy) -> None:
    """Find what the copies of all channels have in common."""
    every, known = Label(), Label()
    TABLE.load(thumb, R1, "stride_h")
    thumb.tst_w(R1, 1)
    thumb.bne(every)
    _rows(thumb, frame, places, 2)
    thumb.b(known)
    thumb.place(every)
    _rows(thumb, frame, places, 1)
    thumb.place(known)
    TABLE.load(thumb, R1, "row_bytes")
    thumb.mul_w(R2, R1, R6)
    frame.store(thumb, R2, "source_step")
    TABLE.load(thumb, R2, "dilation_h")
    thumb.mul_w(R2, R2, R1)
    frame.store(thumb, R2, "below")
    TABLE.load(thumb, R2, "first_u")
    TABLE.load(thumb, R3, "x")
    thumb.mla(R3, R2, R1, R3)
    frame.store(thumb, R3, "source")
    TABLE.load(thumb, R1, "pitch")
    TABLE.load(thumb, R2, "dilation_h")
    thumb.muls(R2, R1)
    thumb.lsls(R2, R2, 2)
    thumb.rsb_w(R2, R2, 2)
    frame.store(thumb, R2, "above")
    thumb.muls(R1, R6)
    thumb.lsls(R1, R1, 2)
    frame.store(thumb, R1, "target_step")
    TABLE.load(thumb, R1, "left")
    frame.load(thumb, R2, "plane")
    thumb.add_w(R1, R2, lsl(R1, 2))
    frame.store(thumb, R1, "target")
    TABLE.load(thumb, R1, "copied")
    thumb.rsb_w(R1, R1, 0)
    thumb.and_w(R1, R1, _PIXELS - 1)
    for name, loop, bytes_of_pixel in (
        ("entry_of_twice", places.twice, _TWICE_BYTES), ("entry_of_both", places.both, _BOTH_BYTES),
        ("entry_of_half", places.half, _HALF_BYTES),
    ):  # fmt: skip
        thumb.address(R2, loop)
        thumb.mov_w(R3, bytes_of_pixel)
        thumb.mla(R2, R1, R3, R2)
        frame.store(thumb, R2, name)


def _rows(thumb: Thumb2, frame: Frame, places: Copy, step: int) -> None:
    """Let every row of the plane be copied, or every other one. Leaves step in r6."""
    for name, labels in (("inside", places.inside), ("outside", places.outside)):
        thumb.address(R1, labels[step - 1])
        frame.store(thumb, R1, name)
    thumb.mov_w(R6, step)
    frame.store(thumb, R6, "rows_step")


def copy(thumb: Thumb2, frame: Frame) -> Copy:
    """Write the routine that copies the pixels of channel r0 to the plane. Where windows begin at every row,
    a pixel goes to two words; else each word, of every other row, is made of its two pixels."""
    start, row, outside, lower, next_row = thumb.label(), *(Label() for _ in range(4))
    frame.load(thumb, R8, "source")
    thumb.add(R8, R0)
    frame.load(thumb, R7, "target")
    TABLE.load(thumb, R9, "plane_rows")
    TABLE.load(thumb, R10, "first_u")
    TABLE.load(thumb, R12, "height")
    TABLE.load(thumb, R4, "channels")
    frame.load(thumb, R3, "below")

    thumb.place(row)
    thumb.mov(R1, R8)
    thumb.mov(R2, R7)
    TABLE.load(thumb, R5, "copied")
    thumb.cmp(R10, R12)
    thumb.bhs(outside)
    frame.load(thumb, PC, "inside")
    thumb.place(outside)
    frame.load(thumb, PC, "outside")

    single = thumb.label()
    frame.load(thumb, R6, "above")
    frame.load(thumb, R0, "plane")
    thumb.add(R6, R2)
    thumb.cmp(R6, R0)
    thumb.it("lo")
    thumb.mov(R6, R2)  # no row of the plane is so far above: the same once more
    frame.load(thumb, PC, "entry_of_twice")
    pair = thumb.label()
    _row_below(thumb)
    thumb.bhs(lower)
    frame.load(thumb, PC, "entry_of_both")
    upper = thumb.label()
    _row_below(thumb)
    thumb.bhs(next_row)
    thumb.add(R1, R3)
    thumb.adds(R2, R2, 2)
    thumb.place(lower)
    frame.load(thumb, PC, "entry_of_half")

    twice = _loop(thumb, _twice, _TWICE_BYTES)
    thumb.b(next_row)
    both = _loop(thumb, _both, _BOTH_BYTES)
    thumb.b(next_row)
    half = _loop(thumb, _half, _HALF_BYTES)
    thumb.place(next_row)
    frame.load_two(thumb, R0, R1, "source_step")
    thumb.add(R8, R0)
    thumb.add(R7, R1)
    frame.load(thumb, R0, "rows_step")
    thumb.add(R10, R0)
    thumb.subs_w(R9, R9, R0)
    thumb.bgt(row)
    thumb.bx(LR)
    return Copy(start, twice, both, half, (single, pair), (next_row, upper))


def _row_below(thumb: Thumb2) -> None:
    """Compare the row of the upper halves with the height, r12. r10: the row of the lower halves."""
    TABLE.load(thumb, R0, "dilation_h")
    thumb.add(R0, R10)
    thumb.cmp(R0, R12)


def _loop(thumb: Thumb2, pixel: Callable[[Thumb2], None], bytes_of_pixel: int) -> Label:
    """Write a loop over r5 pixels at r1, r4 bytes apart, to words at r2."""
    loop = thumb.label()
    for _ in range(_PIXELS):
        at = len(thumb)
        pixel(thumb)
        assert len(thumb) - at == bytes_of_pixel
    thumb.subs(R5, R5, _PIXELS)
    thumb.bgt(loop)
    return loop


def _twice(thumb: Thumb2) -> None:
    """Copy a pixel to the lower half of its word, and to the half at r6."""
    thumb.ldrsb_w(R0, R1)
    thumb.add_w(R1, R1, R4)
    thumb.strh_post(R0, R2, 4)
    thumb.strh_post(R0, R6, 4)


def _both(thumb: Thumb2) -> None:
    """Make a word of a pixel and of that which is r3 bytes behind it."""
    thumb.ldrsb_w(R0, R1)
    thumb.ldrsb_w(R6, R1, R3)
    thumb.add_w(R1, R1, R4)
    thumb.pkhbt(R0, R0, R6, 16)
    thumb.str_post(R0, R2, 4)


def _half(thumb: Thumb2) -> None:
    """Copy a pixel to a half of a word."""
    thumb.ldrsb_w(R0, R1)
    thumb.add_w(R1, R1, R4)
    thumb.strh_post(R0, R2, 4)
