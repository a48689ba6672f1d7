"""The products function of Cortex-M0+: windows of an image times weights in quads, for convolutions and dense
layers. docs/kernels.md explains its lanes; lib/mote/kernels/armv6m/products.py calls it.

Its argument is an array of words, ARGUMENTS. Block by block it makes a stream of words from some quads
(block.py), then their outputs at every pixel. A pixel's inputs are written as words, the patch (patch.py),
and met with each quad of the stream (quads.py).
"""

from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.armv6m.block import block
from fedmote.kernels.armv6m.mail import known
from fedmote.kernels.armv6m.patch import expand, fill, window, words_to_words
from fedmote.kernels.armv6m.quads import END, NEXT, quads, with_bytes
from fedmote.kernels.armv6m.requantise import exact
from fedmote.kernels.thumb import (
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
    SP,
    Label,
    Thumb,
)  # fmt: skip

#: the first eight are loaded together
ARGUMENTS = Arguments(
    "patch", "at", "pointwise", "y", "pitch", "pixel_gap", "left", "stream",
    "estimate", "patch_end", "triples", "pixels", "rows", "source", "row_step", "offset", "multipliers",
    "shifts", "u_step", "first_v", "u", "v",
    # of a window that may lie partly outside
    "v_step", "last_u", "last_v", "kernel_h", "kernel_w", "line", "channels", "height", "width",
    "between_lines", "between_taps", "dilation_h", "dilation_w", "row_of_taps", "zero_point",
    # of a block
    "quads", "weights", "bias", "zones", "columns", "begin", "last_tag", "tag_before", "correction",
    # what the function keeps here
    "kept_stream", "kept_y", "kept_weights", "kept_part", "spare", "tail", "quads_left", "block_y",
    # of the whole, never changed: addresses, the first four from ``scratch``, and what blocks begin with
    "scratch", "stream_at", "patch_at", "patch_end_at", "triples_at", "all_weights", "all_biases",
    "all_zones", "all_multipliers", "all_shifts", "all_y", "all_quads", "room", "all_rows", "first_source",
    "first_u", "final_tag", "final_tag_before",
)  # fmt: skip


def products() -> Thumb:
    """Return the code of the function."""
    thumb = Thumb()
    last = known(thumb)
    main, row, pixel_end, end = (Label() for _ in range(4))
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(low, high)
    thumb.push(R4, R5, R6, R7)
    thumb.push(R0)
    thumb.b(main)
    offsets = (ARGUMENTS.offset(name) for name in ("multipliers", "shifts", "offset"))
    to_exact = exact(thumb, 0, *offsets)
    to_expand, to_fill = expand(thumb), fill(thumb, ARGUMENTS)
    begin_words, finish, first_quad = quads(thumb, to_exact, ARGUMENTS, pixel_end)
    begin_bytes = with_bytes(thumb, ARGUMENTS, finish)

    thumb.place(main)
    _start(thumb)
    next_block, block_end = thumb.label(), Label()
    _next_block(thumb, end)
    block(thumb, ARGUMENTS, begin_words, begin_bytes)

    thumb.place(row)
    ARGUMENTS.load(thumb, R1, "rows")
    thumb.subs(R1, R1, 1)
    thumb.far("mi", block_end)
    ARGUMENTS.store(thumb, R1, "rows")
    for name, start in (("left", "pixels"), ("at", "source"), ("v", "first_v")):
        ARGUMENTS.load(thumb, R1, start)
        ARGUMENTS.store(thumb, R1, name)
    for name, high in (("estimate", R12), ("patch_end", R10)):
        ARGUMENTS.load(thumb, R1, name)
        thumb.mov(high, R1)
    _pixels(thumb, to_expand, to_fill, first_quad, pixel_end)
    ARGUMENTS.advance(thumb, "source", "row_step", R1, R2)
    ARGUMENTS.advance(thumb, "u", "u_step", R1, R2)
    thumb.b(row)

    thumb.place(block_end)
    _end_block(thumb)
    thumb.b(next_block)
    thumb.place(end)
    thumb.pop(R0)
    thumb.pop(R4, R5, R6, R7)
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(high, low)
    thumb.place(last)
    return thumb


def _bases(thumb: Thumb) -> None:
    """Let r3 and r4 reach those arguments that r7 does not."""
    thumb.movs(R3, R7)
    thumb.adds(R3, R3, ARGUMENTS.MOVED)
    thumb.movs(R4, R3)
    thumb.adds(R4, R4, ARGUMENTS.MOVED)


def _start(thumb: Thumb) -> None:
    """Begin with the first block. r0 is at the arguments."""
    none = Label()
    thumb.movs(R7, R0)
    _bases(thumb)
    ARGUMENTS.load(thumb, R1, "scratch", 2, R4)
    thumb.ldr(R1, R1)
    for name in ("stream", "patch", "patch_end"):
        ARGUMENTS.load(thumb, R2, name + "_at", 2, R4)
        thumb.adds(R2, R2, R1)
        ARGUMENTS.store(thumb, R2, name)
    ARGUMENTS.load(thumb, R2, "triples_at", 2, R4)
    thumb.cmp(R2, 0)
    thumb.beq(none)
    thumb.adds(R2, R2, R1)
    thumb.place(none)
    ARGUMENTS.store(thumb, R2, "triples")
    for source, target, moved, base in (
        ("all_weights", "weights", 1, R3), ("all_biases", "bias", 1, R3), ("all_zones", "zones", 1, R3),
        ("all_multipliers", "multipliers", 0, R7), ("all_shifts", "shifts", 0, R7),
        ("all_y", "block_y", 2, R4), ("all_quads", "quads_left", 2, R4),
    ):  # fmt: skip
        ARGUMENTS.load(thumb, R1, source, 2, R4)
        ARGUMENTS.store(thumb, R1, target, moved, base)


def _next_block(thumb: Thumb, end: Label) -> None:
    """Take as many quads as fit the stream. r7 is at the arguments; jumps to ``end`` after the last quad."""
    several = Label()
    _bases(thumb)
    ARGUMENTS.load(thumb, R1, "quads_left", 2, R4)
    ARGUMENTS.load(thumb, R2, "room", 2, R4)
    thumb.movs(R5, END)
    thumb.movs(R6, NEXT)
    thumb.cmp(R1, 0)
    thumb.far("eq", end)
    thumb.cmp(R1, R2)
    thumb.bhi(several)
    thumb.movs(R2, R1)
    ARGUMENTS.load(thumb, R5, "final_tag", 2, R4)
    ARGUMENTS.load(thumb, R6, "final_tag_before", 2, R4)
    thumb.place(several)
    thumb.subs(R1, R1, R2)
    ARGUMENTS.store(thumb, R1, "quads_left", 2, R4)
    ARGUMENTS.store(thumb, R2, "quads", 1, R3)
    ARGUMENTS.store(thumb, R5, "last_tag", 1, R3)
    ARGUMENTS.store(thumb, R6, "tag_before", 1, R3)
    ARGUMENTS.load(thumb, R1, "block_y", 2, R4)
    ARGUMENTS.store(thumb, R1, "y")
    thumb.lsls(R2, R2, 2)
    thumb.adds(R1, R1, R2)
    ARGUMENTS.store(thumb, R1, "block_y", 2, R4)
    for source, target in (("all_rows", "rows"), ("first_source", "source"), ("first_u", "u")):
        ARGUMENTS.load(thumb, R1, source, 2, R4)
        ARGUMENTS.store(thumb, R1, target)


def _end_block(thumb: Thumb) -> None:
    """Step over the block's constants, and over its weights if they were read in place."""
    expanded = Label()
    _bases(thumb)
    ARGUMENTS.load(thumb, R2, "quads", 1, R3)
    thumb.lsls(R2, R2, 2)
    ARGUMENTS.load(thumb, R1, "zones", 1, R3)
    thumb.adds(R1, R1, R2)
    ARGUMENTS.store(thumb, R1, "zones", 1, R3)
    thumb.lsls(R2, R2, 2)
    for name in ("multipliers", "shifts"):
        ARGUMENTS.load(thumb, R1, name)
        thumb.adds(R1, R1, R2)
        ARGUMENTS.store(thumb, R1, name)
    ARGUMENTS.load(thumb, R1, "triples")
    thumb.cmp(R1, 0)
    thumb.beq(expanded)
    ARGUMENTS.load(thumb, R1, "kept_weights", 1, R3)
    ARGUMENTS.store(thumb, R1, "weights", 1, R3)
    thumb.place(expanded)


def _pixels(thumb: Thumb, to_expand: Label, to_fill: Label, first_quad: Label, pixel_end: Label) -> None:
    """Make the pixels of a row. r7, the arguments, is as before after it; r10 and r12 are of no use then."""
    pixel, general, patched, go, row_end = (Label() for _ in range(5))
    thumb.place(pixel)
    thumb.ldm(R7, R0, R1, R6)
    thumb.cmp(R6, 0)
    thumb.beq(general)
    words_to_words(thumb)
    thumb.place(go)  # r1: as far before the next pixel as pixel_gap says; r7: behind the third word
    thumb.ldm(R7, R2, R3, R4, R5, R6)
    thumb.mov(R11, R2)
    thumb.adds(R2, R2, R3)
    thumb.adds(R1, R1, R4)
    thumb.subs(R5, R5, 1)
    thumb.movs(R0, R6)
    thumb.subs(R7, R7, 32)
    ARGUMENTS.store(thumb, R1, "at")
    ARGUMENTS.store(thumb, R2, "y")
    ARGUMENTS.store(thumb, R5, "left")
    thumb.b(first_quad)

    thumb.place(pixel_end)
    thumb.ldr(R7, SP)
    ARGUMENTS.load(thumb, R5, "left")
    thumb.cmp(R5, 0)
    thumb.bne(pixel)
    thumb.b(row_end)

    thumb.place(general)
    thumb.subs(R7, R7, 12)
    window(thumb, ARGUMENTS, to_expand, to_fill)
    ARGUMENTS.load(thumb, R6, "triples")
    thumb.cmp(R6, 0)
    thumb.beq(patched)
    _triples(thumb)
    thumb.place(patched)
    for name, high in (("estimate", R12), ("patch_end", R10)):
        ARGUMENTS.load(thumb, R1, name)
        thumb.mov(high, R1)
    ARGUMENTS.load(thumb, R1, "at")
    thumb.adds(R7, R7, 12)
    thumb.b(go)
    thumb.place(row_end)


def _triples(thumb: Thumb) -> None:
    """Turn the patch, behind which r0 is, into what ``loops.over_bytes`` takes; r6 is where to write it."""
    thumb.movs(R1, 0)
    thumb.stm(R0, R1)  # the partner of the last one of an odd number
    ARGUMENTS.load(thumb, R1, "patch")
    ARGUMENTS.load(thumb, R0, "patch_end")
    thumb.mov(R10, R0)
    thumb.movs(R0, R6)
    thumb.constant(R5, 0x00800080)
    thumb.movs(R6, 1)
    thumb.lsls(R6, R6, 15)
    pair = thumb.label()
    thumb.ldm(R1, R2, R3)
    thumb.adds(R4, R2, R3)
    thumb.muls(R4, R5)
    thumb.subs(R4, R6, R4)
    thumb.stm(R0, R2, R3, R4)
    thumb.cmp(R0, R10)
    thumb.bne(pair)
    thumb.adds(R7, R7, ARGUMENTS.MOVED)
    ARGUMENTS.load(thumb, R1, "weights", moved=True)
    ARGUMENTS.store(thumb, R1, "kept_weights", moved=True)
    thumb.subs(R7, R7, ARGUMENTS.MOVED)
