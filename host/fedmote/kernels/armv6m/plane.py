"""A channel of an image as a plane of words in the scratch memory, with its padding: two pixels in each, one
of the upper half of the output rows in the low lane, one of the lower half in the high lane.

How to fill it is told by segments of rows, five words each: low, high, rows, shift, target. Where both lanes
lie within the image, low and high are the addresses of their pixels and shift is BOTH. Where one does, low is
its address, shift its lane's and high the word to add. After the last segment rows is 0.
"""

from collections.abc import Callable

from fedmote.kernels.armv6m.arguments import Arguments
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
    SP,
    Label,
    Register,
    Thumb,
)  # fmt: skip

#: the shift of a segment without one
BOTH = 32
#: pixels in a turn of the loops, and bytes of code for one of both lanes, or of one lane;
#: lib/mote/kernels/armv6m/taps.py has them too
PIXELS, BOTH_BYTES, ONE_BYTES = 8, 12, 10


def pad(thumb: Thumb, arguments: Arguments) -> None:
    """Write the padding everywhere. r7: arguments."""
    arguments.load(thumb, R0, "memory")
    arguments.load(thumb, R1, "table_bytes")
    thumb.adds(R0, R0, R1)
    arguments.load(thumb, R1, "plane_quads")
    arguments.load(thumb, R2, "padding")
    for register in (R3, R4, R5):
        thumb.movs(register, R2)
    loop = thumb.label()
    thumb.stm(R0, R2, R3, R4, R5)
    thumb.subs(R1, R1, 1)
    thumb.bne(loop)


def copy(thumb: Thumb, arguments: Arguments) -> None:
    """Write the pixels of the channel ``kept_channel`` to the plane. r7: arguments, on the stack as well."""
    segment, one, done = Label(), Label(), Label()
    for high, name in ((R9, "row_step"), (R10, "between_rows"), (R11, "pitch_bytes")):
        arguments.load(thumb, R0, name)
        thumb.mov(high, R0)
    arguments.load(thumb, R6, "segments")
    thumb.place(segment)
    thumb.ldm(R6, R0, R1, R3, R4, R5)
    thumb.cmp(R3, 0)
    thumb.far("eq", done)
    thumb.mov(LR, R6)
    arguments.load(thumb, R2, "kept_channel")
    thumb.adds(R0, R0, R2)
    arguments.load(thumb, R6, "memory")
    thumb.adds(R5, R5, R6)
    arguments.load(thumb, R6, "copied_bytes")
    thumb.adds(R6, R6, R5)
    thumb.mov(R8, R6)
    thumb.cmp(R4, BOTH)
    thumb.bne(one)
    thumb.adds(R1, R1, R2)
    arguments.load(thumb, R6, "skip_both")
    _rows(thumb, arguments, (R0, R1), _both, BOTH_BYTES, segment)
    thumb.place(one)
    arguments.load(thumb, R6, "skip_one")
    _rows(thumb, arguments, (R0,), _one, ONE_BYTES, segment)
    thumb.place(done)


def _rows(
    thumb: Thumb,
    arguments: Arguments,
    sources: tuple[Register, ...],
    pixel: Callable[[Thumb], None],
    size: int,
    segment: Label,
) -> None:
    """Copy r3 rows to r5, the first up to r8, beginning r6 bytes late in the code of a turn."""
    thumb.mov(R12, R6)
    arguments.load(thumb, R6, "channels")
    thumb.movs(R7, R3)
    row = thumb.label()
    thumb.movs(R2, 0)
    thumb.add(PC, R12)
    thumb.mov(R8, R8)  # never reached: the program counter is ahead
    turn = thumb.label()
    for _ in range(PIXELS):
        at = len(thumb)
        pixel(thumb)
        assert len(thumb) - at == size
    thumb.cmp(R5, R8)
    thumb.bne(turn)
    for source in sources:
        thumb.add(source, R9)
    thumb.add(R5, R10)
    thumb.add(R8, R11)
    thumb.subs(R7, R7, 1)
    thumb.bne(row)
    thumb.ldr(R7, SP)
    thumb.mov(R6, LR)
    thumb.b(segment)


def _both(thumb: Thumb) -> None:
    thumb.ldrsb(R3, R1, R2)
    thumb.lsls(R3, R3, 16)
    thumb.ldrsb(R4, R0, R2)
    thumb.adds(R3, R3, R4)
    thumb.adds(R2, R2, R6)
    thumb.stm(R5, R3)


def _one(thumb: Thumb) -> None:
    thumb.ldrsb(R3, R0, R2)
    thumb.lsls(R3, R3, R4)
    thumb.adds(R3, R3, R1)
    thumb.adds(R2, R2, R6)
    thumb.stm(R5, R3)
