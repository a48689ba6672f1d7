"""Products of Cortex-M33 where few pixels use the weights, or where a stream has no room: pixel after pixel,
and quad after quad with its weights as they stand."""

from fedmote.kernels.armv8m.patch import TABLE, widen_one
from fedmote.kernels.armv8m.quads import FOUR_BYTES, FOURS
from fedmote.kernels.armv8m.records import choose, next_weights
from fedmote.kernels.armv8m.state import FRAME, enter_at, pixels_from_first, quads_from_first, take
from fedmote.kernels.thumb import PC, R0, R1, R2, R3, R4, R5, R6, R7, R11, Label
from fedmote.kernels.thumb2 import Thumb2, lsl


def few(thumb: Thumb2, loop: Label, to_gather: Label) -> None:
    """Write that. loop: of ``over_bytes``. r11: the table."""
    quad_end, gathered, found = Label(), Label(), Label()
    thumb.address(R1, quad_end)
    FRAME.store(thumb, R1, "quad_end")
    FRAME.load(thumb, R4, "fours")
    enter_at(thumb, "begin", loop, R4, FOURS, FOUR_BYTES)
    FRAME.load(thumb, R1, "bytes")
    thumb.add_w(R1, R1, lsl(R4, 2))
    FRAME.store(thumb, R1, "patch")
    thumb.add_w(R1, R1, lsl(R4, 3))
    FRAME.store(thumb, R1, "patch_end")
    pixels_from_first(thumb)
    take(thumb, "y", "next_y")

    pixel = thumb.label()
    FRAME.load(thumb, R1, "next_y")
    thumb.mov(R2, R1)
    FRAME.store_two(thumb, R1, R2, "y")
    TABLE.load(thumb, R2, "pitch")
    thumb.add(R1, R2)
    FRAME.store(thumb, R1, "next_y")
    FRAME.load(thumb, R3, "is_flat")
    thumb.cmp(R3, 0)
    thumb.beq(gathered)
    FRAME.load(thumb, R1, "source")
    TABLE.load(thumb, R2, "pixel_step")
    thumb.add(R2, R1)
    FRAME.store(thumb, R2, "source")
    thumb.b(found)
    thumb.place(gathered)
    FRAME.load(thumb, R0, "bytes")
    thumb.bl(to_gather)
    FRAME.load(thumb, R1, "bytes")
    thumb.place(found)
    FRAME.load(thumb, R0, "patch")
    FRAME.load(thumb, R3, "fours")
    widen_one(thumb)
    thumb.lsls(R4, R4, 7)
    FRAME.store(thumb, R4, "less")
    quads_from_first(thumb)

    quad = thumb.label()
    choose(thumb, FRAME)
    FRAME.load(thumb, R1, "less")
    for n, register in enumerate((R4, R5, R6, R7)):
        FRAME.load(thumb, register, f"bias_{n}")
        thumb.rsb_w(register, R1, lsl(register, 1))
    FRAME.load(thumb, R0, "weights")
    FRAME.load(thumb, R1, "patch")
    FRAME.load(thumb, PC, "begin")

    thumb.place(quad_end)
    FRAME.load(thumb, R11, "table")
    next_weights(thumb, FRAME)
    for left, again in (("quads_left", quad), ("pixels_left", pixel)):
        FRAME.load(thumb, R1, left)
        thumb.subs(R1, R1, 1)
        FRAME.store(thumb, R1, left)
        thumb.bne(again)
