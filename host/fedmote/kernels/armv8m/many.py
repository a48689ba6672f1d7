"""Products of Cortex-M33 where many pixels use the weights: block after block of quads becomes a stream
(records.py), which is met with the patches of two pixels at a time (patch.py, quads.py)."""

from fedmote.kernels.armv8m.patch import TABLE, widen_two
from fedmote.kernels.armv8m.quads import PAIR_BYTES, PAIRS, begin
from fedmote.kernels.armv8m.records import record
from fedmote.kernels.armv8m.state import FRAME, enter_at, pixels_from_first, quads_from_first, take
from fedmote.kernels.thumb import R0, R1, R2, R3, R4, R5, R11, Label
from fedmote.kernels.thumb2 import Thumb2, lsl


def many(thumb: Thumb2, pairs: Label, to_gather: Label) -> None:
    """Make a stream of as many quads as there is room for, use it for all pixels, and so on."""
    next_quad, pixel_end = Label(), Label()
    for name, label in (("quad_end", next_quad), ("pixel_end", pixel_end)):
        thumb.address(R1, label)
        FRAME.store(thumb, R1, name)
    FRAME.load(thumb, R4, "fours")
    thumb.lsls(R5, R4, 1)
    enter_at(thumb, "begin", pairs, R5, PAIRS, PAIR_BYTES)
    FRAME.load(thumb, R1, "bytes")
    thumb.add_w(R1, R1, lsl(R4, 3))
    FRAME.store(thumb, R1, "patch")
    thumb.add_w(R1, R1, lsl(R4, 4))
    FRAME.store(thumb, R1, "patch_end")
    FRAME.store(thumb, R1, "stream")
    quads_from_first(thumb)
    take(thumb, "y", "block_y")

    block = thumb.label()
    _stream(thumb)
    pixels_from_first(thumb)
    FRAME.load(thumb, R1, "block_y")
    FRAME.store(thumb, R1, "next_y")
    pixel = thumb.label()
    _two_patches(thumb, to_gather)
    FRAME.load(thumb, R0, "stream")
    thumb.place(next_quad)
    begin(thumb)

    thumb.place(pixel_end)
    FRAME.load(thumb, R11, "table")
    FRAME.load(thumb, R1, "pixels_left")
    thumb.subs(R1, R1, 2)
    FRAME.store(thumb, R1, "pixels_left")
    thumb.bgt(pixel)

    TABLE.load(thumb, R2, "room")
    FRAME.load(thumb, R1, "block_y")
    thumb.add_w(R1, R1, lsl(R2, 2))
    FRAME.store(thumb, R1, "block_y")
    FRAME.load(thumb, R1, "quads_left")
    thumb.cmp(R1, 0)
    thumb.bne(block)


def _stream(thumb: Thumb2) -> None:
    """Make records of some of the quads left. r11: the table."""
    quad, last = Label(), Label()
    FRAME.load(thumb, R0, "stream")
    TABLE.load(thumb, R1, "room")
    thumb.place(quad)
    FRAME.store(thumb, R1, "room_left")
    record(thumb, FRAME)
    FRAME.load(thumb, R2, "quads_left")
    thumb.subs(R2, R2, 1)
    FRAME.store(thumb, R2, "quads_left")
    thumb.beq(last)
    FRAME.load(thumb, R1, "room_left")
    thumb.subs(R1, R1, 1)
    thumb.bne(quad)
    thumb.place(last)
    FRAME.load(thumb, R1, "pixel_end")
    thumb.str_w(R1, R0, -4)


def _two_patches(thumb: Thumb2, to_gather: Label) -> None:
    """Make the patches of two pixels, or twice that of the last one, and let y and other_y be theirs."""
    gathered, found = Label(), Label()
    TABLE.load(thumb, R4, "pitch")
    FRAME.load(thumb, R1, "next_y")
    thumb.add_w(R2, R1, R4)
    thumb.add_w(R3, R2, R4)
    FRAME.store(thumb, R3, "next_y")
    FRAME.load(thumb, R3, "pixels_left")
    thumb.cmp(R3, 1)
    thumb.it("eq")
    thumb.mov(R2, R1)
    FRAME.store_two(thumb, R1, R2, "y")
    FRAME.load(thumb, R5, "is_flat")
    thumb.cmp(R5, 0)
    thumb.beq(gathered)
    FRAME.load(thumb, R1, "source")
    TABLE.load(thumb, R4, "pixel_step")
    thumb.add_w(R2, R1, R4)
    thumb.add_w(R4, R2, R4)
    FRAME.store(thumb, R4, "source")
    thumb.b(found)

    thumb.place(gathered)
    FRAME.load(thumb, R0, "bytes")
    thumb.bl(to_gather)
    FRAME.load(thumb, R1, "bytes")
    FRAME.load(thumb, R4, "fours")
    thumb.add_w(R2, R1, lsl(R4, 2))
    FRAME.load(thumb, R3, "pixels_left")
    thumb.cmp(R3, 1)
    thumb.beq(found)
    thumb.mov(R0, R2)
    thumb.bl(to_gather)
    FRAME.load(thumb, R1, "bytes")
    FRAME.load(thumb, R4, "fours")
    thumb.add_w(R2, R1, lsl(R4, 2))

    thumb.place(found)
    FRAME.load(thumb, R3, "pixels_left")
    thumb.cmp(R3, 1)
    thumb.it("eq")
    thumb.mov(R2, R1)
    FRAME.load(thumb, R0, "patch")
    FRAME.load(thumb, R3, "fours")
    widen_two(thumb)
