"""A pixel's outputs along a stream of quads, four at a time: sums by the loops, then bytes by the estimate.

The stream begins with a tag and has for each quad

    address of the patch, H of outputs 2 and 3, T of outputs 0 and 1, address to begin the loop at,
    for every two steps P0, P1, Q0, Q1 (not where weights are read as they stand in the file),
    for each output what the estimate loads, and a tag: number of the quad * 32 + what comes next.
"""

from fedmote.kernels.armv6m import loops
from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.armv6m.requantise import Output, aside, estimate
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
    SP,
    Label,
    Register,
    Thumb,
)  # fmt: skip

#: what comes after a quad: another, the end, one that is not full, the end after such a one;
#: lib/mote/kernels/armv6m/products.py has them too
NEXT, END, PART, END_OF_PART = 0, 1, 3, 5


def quads(
    thumb: Thumb, to_exact: Label, arguments: Arguments, pixel_end: Label
) -> tuple[Label, Label, Label]:
    """Write the way along a stream in r0, with y in r11, O in r12, the end of the patch in r10.

    Returns the labels of a routine that turns bytes into the loop in r2 into an address to begin at, of
    what follows a loop, and of the start, the stream's first tag.
    """
    special, copy = Label(), Label()
    outputs = [Output() for _ in range(4)]
    begin = loops.address_of_next(thumb)
    loops.over_words(thumb)
    finish = thumb.label()
    thumb.mov(R1, R11)
    thumb.mov(R7, R12)
    for n, output in enumerate(outputs):
        estimate(thumb, output, _total(thumb, n), n)
    thumb.adds(R1, R1, 4)
    thumb.mov(R11, R1)
    first = thumb.label()
    thumb.ldm(R0, R6)
    thumb.lsrs(R6, R6, 1)
    thumb.bhs(special)
    quad = thumb.label()
    thumb.ldm(R0, R1, R2, R3, R4, R5, R6)
    thumb.mov(R8, R4)
    thumb.mov(R9, R5)
    thumb.bx(R6)

    for n, output in enumerate(outputs):
        aside(thumb, output)
        thumb.place(output.uncertain)
        thumb.movs(R5, _total(thumb, n))
        thumb.ldr(R4, R0, 8 * (3 - n))
        thumb.adds(R4, R4, 8 * n)
        thumb.bl(to_exact)
        thumb.mov(R1, R11)
        thumb.mov(R7, R12)
        thumb.b(output.certain)

    thumb.place(special)
    thumb.lsls(R6, R6, 30)
    thumb.far("eq", pixel_end)
    thumb.ldr(R7, SP)
    thumb.adds(R7, R7, arguments.MOVED)
    thumb.movs(R2, R7)
    thumb.adds(R2, R2, arguments.offset("spare") - arguments.MOVED)
    thumb.cmp(R6, 0)
    thumb.bmi(copy)
    thumb.mov(R1, R11)
    arguments.store(thumb, R1, "kept_part", moved=True)
    thumb.mov(R11, R2)
    thumb.b(quad)
    thumb.place(copy)
    arguments.load(thumb, R1, "kept_part", moved=True)
    arguments.load(thumb, R3, "tail", moved=True)
    byte = thumb.label()
    thumb.subs(R3, R3, 1)
    thumb.ldrb(R4, R2, R3)
    thumb.strb(R4, R1, R3)
    thumb.bne(byte)
    thumb.b(pixel_end)
    return begin, finish, first


def _total(thumb: Thumb, n: int) -> Register:
    """Return the register with the sum of output n of a quad, made in r5 through r4 if need be."""
    if n > 1:
        return (R2, R3)[n - 2]
    thumb.lsls(R4, (R2, R3)[n], 16)
    thumb.mov(R5, (R8, R9)[n])
    thumb.subs(R5, R5, R4)
    return R5


def with_bytes(thumb: Thumb, arguments: Arguments, finish: Label) -> Label:
    """Write the loop over weights as they stand in the file. Return as the first of ``quads``: where a quad
    of a stream for it begins, which is always at 0 bytes."""
    begin_loop = loops.address_of_next(thumb)
    loops.over_bytes(thumb)
    thumb.ldr(R7, SP)
    thumb.mov(R2, R10)
    thumb.mov(R3, R11)
    arguments.load(thumb, R4, "estimate")
    thumb.mov(R12, R4)
    thumb.adds(R7, R7, arguments.MOVED)
    arguments.load(thumb, R4, "kept_y", moved=True)
    thumb.mov(R11, R4)
    arguments.load(thumb, R4, "columns", moved=True)
    thumb.lsls(R4, R4, 31)
    thumb.lsrs(R4, R4, 29)
    thumb.subs(R0, R0, R4)  # the last pair of an odd number is half the next quad's
    arguments.store(thumb, R0, "kept_weights", moved=True)
    arguments.load(thumb, R0, "kept_stream", moved=True)
    thumb.b(finish)

    begin = loops.address_of_next(thumb)
    thumb.ldr(R7, SP)
    thumb.mov(R10, R2)
    arguments.load(thumb, R4, "patch_end")
    thumb.adds(R7, R7, arguments.MOVED)
    arguments.store(thumb, R0, "kept_stream", moved=True)
    thumb.mov(R0, R11)
    arguments.store(thumb, R0, "kept_y", moved=True)
    arguments.load(thumb, R0, "kept_weights", moved=True)
    thumb.mov(R11, R3)
    arguments.load(thumb, R2, "begin", moved=True)
    thumb.bl(begin_loop)
    thumb.mov(LR, R4)
    thumb.constant(R7, 0x00FF00FF)
    thumb.bx(R2)
    return begin
