"""The stream of a block of quads (quads.py), made of weights, bias, multipliers and shifts as they stand in
the file, and of the first uncertain fraction of each output."""

from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.armv6m.quads import NEXT
from fedmote.kernels.armv6m.requantise import DROPPED, FRACTION
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


def block(thumb: Thumb, arguments: Arguments, begin_words: Label, begin_bytes: Label) -> None:
    """Make the stream. r7 is at the arguments, as it will be."""
    in_bytes, known, several, quad, constants, last, tagged = (Label() for _ in range(7))
    arguments.load(thumb, R0, "stream")
    arguments.load(thumb, R4, "patch")
    thumb.mov(R11, R4)
    arguments.load(thumb, R5, "triples")
    thumb.mov(R12, R5)
    thumb.adds(R7, R7, arguments.MOVED)
    arguments.load(thumb, R6, "quads", moved=True)
    thumb.mov(R8, R6)
    thumb.movs(R1, NEXT)
    thumb.cmp(R6, 1)
    thumb.bne(several)
    arguments.load(thumb, R1, "tag_before", moved=True)
    thumb.place(several)
    thumb.stm(R0, R1)
    thumb.movs(R2, 0)
    thumb.mov(R10, R2)
    thumb.cmp(R5, 0)
    thumb.bne(in_bytes)
    arguments.load(thumb, R2, "begin", moved=True)
    thumb.bl(begin_words)
    thumb.b(known)
    thumb.place(in_bytes)
    thumb.mov(R11, R5)
    thumb.bl(begin_bytes)
    thumb.place(known)
    thumb.mov(R9, R2)

    thumb.place(quad)  # r8: quads left, r9: where to begin, r10: tag, r11: patch, r12: not 0 for bytes
    thumb.mov(R6, R11)
    thumb.stm(R0, R6)
    arguments.load(thumb, R1, "bias", moved=True)
    thumb.ldm(R1, R2, R3, R4, R5)
    arguments.store(thumb, R1, "bias", moved=True)
    thumb.stm(R0, R4, R5)
    arguments.load(thumb, R6, "correction", moved=True)
    for low, high in ((R2, R4), (R3, R5)):
        thumb.lsls(high, high, 16)
        thumb.adds(low, low, high)
        thumb.adds(low, low, R6)
    thumb.mov(R4, R9)
    thumb.stm(R0, R2, R3, R4)
    thumb.mov(R1, R12)
    thumb.cmp(R1, 0)
    thumb.bne(constants)
    _weights(thumb, arguments)
    thumb.place(constants)
    _constants(thumb, arguments)

    thumb.mov(R2, R8)
    thumb.mov(R3, R10)
    thumb.subs(R2, R2, 1)
    thumb.mov(R8, R2)
    thumb.beq(last)
    thumb.movs(R4, NEXT)
    thumb.cmp(R2, 1)
    thumb.bne(tagged)
    arguments.load(thumb, R4, "tag_before", moved=True)
    thumb.place(tagged)
    thumb.adds(R4, R4, R3)
    thumb.stm(R0, R4)
    thumb.adds(R3, R3, 32)
    thumb.mov(R10, R3)
    thumb.b(quad)
    thumb.place(last)
    arguments.load(thumb, R4, "last_tag", moved=True)
    thumb.adds(R4, R4, R3)
    thumb.stm(R0, R4)
    thumb.subs(R7, R7, arguments.MOVED)


def _weights(thumb: Thumb, arguments: Arguments) -> None:
    """Expand the weights of a quad: P0, P1, Q0, Q1 for two steps, zeros behind an odd number."""
    no_pairs, even = Label(), Label()
    arguments.load(thumb, R1, "weights", moved=True)
    arguments.load(thumb, R2, "columns", moved=True)
    thumb.constant(R6, 0x00FF00FF)
    thumb.constant(R7, 0x00800080)
    thumb.lsrs(R3, R2, 1)
    thumb.beq(no_pairs)
    thumb.lsls(R3, R3, 3)
    thumb.adds(R3, R1, R3)
    thumb.mov(LR, R3)
    pair = thumb.label()
    thumb.ldm(R1, R2, R3)
    _lanes(thumb, R2, R4)
    _lanes(thumb, R3, R5)
    thumb.stm(R0, R2, R3, R4, R5)
    thumb.cmp(R1, LR)
    thumb.bne(pair)
    thumb.place(no_pairs)
    thumb.ldr(R5, SP)
    thumb.adds(R5, R5, arguments.MOVED)
    thumb.ldr(R5, R5, arguments.offset("columns") - arguments.MOVED)
    thumb.lsrs(R5, R5, 1)
    thumb.blo(even)
    thumb.ldm(R1, R2)
    _lanes(thumb, R2, R4)
    thumb.movs(R3, 0)
    thumb.movs(R5, 0)
    thumb.stm(R0, R2, R3, R4, R5)
    thumb.place(even)
    thumb.ldr(R7, SP)
    thumb.adds(R7, R7, arguments.MOVED)
    arguments.store(thumb, R1, "weights", moved=True)


def _lanes(thumb: Thumb, even: Register, odd: Register) -> None:
    """Turn four weights + 128 in ``even`` into two words of two signed ones; r6 and r7 are the constants."""
    thumb.lsrs(odd, even, 8)
    thumb.ands(odd, R6)
    thumb.ands(even, R6)
    thumb.subs(even, even, R7)
    thumb.subs(odd, odd, R7)


def _constants(thumb: Thumb, arguments: Arguments) -> None:
    """Write what the estimate loads: the uncertain fraction from its upper byte, M from the multiplier."""
    arguments.load(thumb, R3, "zones", moved=True)
    thumb.subs(R7, R7, arguments.MOVED)
    arguments.load(thumb, R1, "multipliers")
    arguments.load(thumb, R2, "shifts")
    thumb.adds(R7, R7, arguments.MOVED)
    thumb.mov(R4, R10)
    thumb.lsrs(R4, R4, 1)
    thumb.adds(R1, R1, R4)
    thumb.adds(R2, R2, R4)
    thumb.lsrs(R4, R4, 2)
    thumb.adds(R3, R3, R4)
    for n in range(4):
        none = Label()
        thumb.ldm(R1, R5)
        thumb.ldm(R2, R6)
        thumb.movs(R4, 31 - FRACTION - DROPPED)
        thumb.subs(R4, R4, R6)
        thumb.lsrs(R5, R5, R4)
        thumb.ldrb(R4, R3, n)
        thumb.lsls(R4, R4, 24)
        thumb.bne(none)
        thumb.movs(R5, 0)
        thumb.place(none)
        thumb.stm(R0, R4, R5)
