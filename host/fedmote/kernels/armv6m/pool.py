"""The average pool function of Cortex-M0+; lib/mote/kernels/armv6m/pool.py calls it."""

from fedmote.kernels.arguments import AVERAGE_POOL
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
    SP,
    Label,
    Register,
    Thumb,
)  # fmt: skip

ARGUMENTS = Arguments(*AVERAGE_POOL.names)


def average_pool() -> Thumb:
    """Return the code of the function."""
    thumb = Thumb()
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(low, high)
    thumb.push(R4, R5, R6, R7)
    thumb.push(R0)
    thumb.movs(R7, R0)
    ARGUMENTS.load(thumb, R0, "y")
    thumb.mov(LR, R0)
    for kept, start in (("kept_0", "first_u"), ("kept_2", "out_h")):
        ARGUMENTS.load(thumb, R0, start)
        ARGUMENTS.store(thumb, R0, kept)
    row = thumb.label()
    for kept, start in (("kept_1", "first_v"), ("kept_3", "out_w")):
        ARGUMENTS.load(thumb, R0, start)
        ARGUMENTS.store(thumb, R0, kept)
    pixel = thumb.label()
    _window(thumb)
    channel = thumb.label()
    _sum(thumb)
    _mean(thumb)
    thumb.ldr(R7, SP)
    for bound, within in (("low", thumb.bge), ("high", thumb.ble)):
        inside = Label()
        ARGUMENTS.load(thumb, R1, bound)
        thumb.cmp(R0, R1)
        within(inside)
        thumb.movs(R0, R1)
        thumb.place(inside)
    thumb.mov(R2, LR)
    thumb.strb(R0, R2)
    thumb.movs(R0, 1)
    thumb.add(LR, R0)
    thumb.add(R11, R0)
    ARGUMENTS.load(thumb, R0, "kept_4")
    thumb.subs(R0, R0, 1)
    ARGUMENTS.store(thumb, R0, "kept_4")
    thumb.bne(channel)
    for kept, step, left, again in (
        ("kept_1", "stride_w", "kept_3", pixel), ("kept_0", "stride_h", "kept_2", row),
    ):  # fmt: skip
        ARGUMENTS.advance(thumb, kept, step, R0, R1)
        ARGUMENTS.load(thumb, R0, left)
        thumb.subs(R0, R0, 1)
        ARGUMENTS.store(thumb, R0, left)
        thumb.far("ne", again)
    thumb.pop(R0)
    thumb.pop(R4, R5, R6, R7)
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(high, low)
    return thumb


def _window(thumb: Thumb) -> None:
    """Find the part of the window inside of the image: its first byte in r11, rows in r10, columns in r8, the
    bytes between its rows in r9, its pixels in r12. r7: arguments."""
    for kept, kernel, size, first, count in (
        ("kept_0", "kernel_h", "height", R0, R1), ("kept_1", "kernel_w", "width", R2, R3),
    ):  # fmt: skip
        _part(thumb, kept, kernel, size, first, count)
    ARGUMENTS.load(thumb, R4, "width")
    thumb.muls(R0, R4)
    thumb.adds(R0, R0, R2)
    thumb.subs(R4, R4, R3)
    ARGUMENTS.load(thumb, R5, "channels")
    ARGUMENTS.store(thumb, R5, "kept_4")
    thumb.muls(R0, R5)
    thumb.muls(R4, R5)
    ARGUMENTS.load(thumb, R5, "x")
    thumb.adds(R0, R0, R5)
    for high, low in ((R11, R0), (R10, R1), (R9, R4), (R8, R3)):
        thumb.mov(high, low)
    thumb.muls(R1, R3)
    thumb.mov(R12, R1)


def _part(thumb: Thumb, kept: str, kernel: str, size: str, first: Register, count: Register) -> None:
    """Where a window begins in one direction, and how many pixels of it lie inside."""
    inside, whole = Label(), Label()
    ARGUMENTS.load(thumb, first, kept)
    ARGUMENTS.load(thumb, count, kernel)
    thumb.adds(count, count, first)
    ARGUMENTS.load(thumb, R4, size)
    thumb.cmp(count, R4)
    thumb.ble(whole)
    thumb.movs(count, R4)
    thumb.place(whole)
    thumb.cmp(first, 0)
    thumb.bge(inside)
    thumb.movs(first, 0)
    thumb.place(inside)
    thumb.subs(count, count, first)


def _sum(thumb: Thumb) -> None:
    """r1 = the sum of a channel's pixels in the window."""
    thumb.ldr(R4, SP)
    thumb.ldr(R4, R4, ARGUMENTS.offset("channels"))
    thumb.movs(R6, 0)
    thumb.movs(R1, 0)
    thumb.mov(R0, R11)
    thumb.mov(R5, R10)
    row = thumb.label()
    thumb.mov(R2, R8)
    tap = thumb.label()
    thumb.ldrsb(R3, R0, R6)
    thumb.adds(R1, R1, R3)
    thumb.adds(R0, R0, R4)
    thumb.subs(R2, R2, 1)
    thumb.bne(tap)
    thumb.add(R0, R9)
    thumb.subs(R5, R5, 1)
    thumb.bne(row)


def _mean(thumb: Thumb) -> None:
    """r0 = the sum in r1 by the number in r12, halves away from zero: eight bits are as many as it has."""
    positive, done = Label(), Label()
    thumb.movs(R3, R1)
    thumb.bpl(positive)
    thumb.rsbs(R3, R3)
    thumb.place(positive)
    thumb.mov(R2, R12)
    thumb.lsrs(R4, R2, 1)
    thumb.adds(R3, R3, R4)
    thumb.lsls(R2, R2, 7)
    thumb.movs(R0, 0)
    for _ in range(8):
        smaller = Label()
        thumb.cmp(R3, R2)
        thumb.blo(smaller)
        thumb.subs(R3, R3, R2)  # carry: it was not smaller
        thumb.place(smaller)
        thumb.adcs(R0, R0)
        thumb.lsrs(R2, R2, 1)
    thumb.cmp(R1, 0)
    thumb.bge(done)
    thumb.rsbs(R0, R0)
    thumb.place(done)
