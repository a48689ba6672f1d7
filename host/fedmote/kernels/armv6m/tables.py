"""The table of an output of a depthwise convolution, in front of the plane: its weights as words, then what
its loop wants to know (windows.py). The kind of the output tells which estimate and which loop that is."""

from fedmote.kernels.armv6m.arguments import Arguments
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
    Label,
    Thumb,
)  # fmt: skip

#: the number of an output without an estimate, in its kind: lib/mote/kernels/armv6m/taps.py has it, too
NONE = 3


def table(thumb: Thumb, arguments: Arguments) -> None:
    """Write the table of an output. r7: arguments, and at the end again."""
    others, constants, uncounted = Label(), Label(), Label()
    arguments.load(thumb, R0, "memory")
    arguments.load(thumb, R1, "kept_weights")
    arguments.load(thumb, R6, "small")
    thumb.cmp(R6, 0)
    thumb.beq(others)
    thumb.movs(R2, 0)
    for _ in range(3):
        for register in (R3, R4, R5):
            thumb.ldrsb(register, R1, R2)
            thumb.adds(R1, R1, 1)
        thumb.stm(R0, R3, R4, R5)
    thumb.b(constants)

    thumb.place(others)
    arguments.load(thumb, R2, "kernel_h")
    thumb.stm(R0, R2)
    row = thumb.label()
    arguments.load(thumb, R3, "pairs")
    arguments.load(thumb, R5, "kernel_w")
    thumb.cmp(R3, 0)
    thumb.beq(uncounted)
    thumb.stm(R0, R3)
    thumb.place(uncounted)
    thumb.movs(R4, 0)
    tap = thumb.label()
    thumb.ldrsb(R3, R1, R4)
    thumb.adds(R1, R1, 1)
    thumb.stm(R0, R3)
    thumb.subs(R5, R5, 1)
    thumb.bne(tap)
    arguments.load(thumb, R3, "kernel_w")
    even = Label()
    thumb.lsrs(R3, R3, 1)
    thumb.blo(even)
    thumb.stm(R0, R4)  # no weight for the partner of the last tap
    thumb.place(even)
    thumb.subs(R2, R2, 1)
    thumb.bne(row)
    arguments.load(thumb, R2, "across")
    thumb.stm(R0, R2)

    thumb.place(constants)
    arguments.store(thumb, R1, "kept_weights")
    _tail(thumb, arguments)


def _tail(thumb: Thumb, arguments: Arguments) -> None:
    """Write the table's tail at r0, as windows.py has it. r7: arguments, and at the end again."""
    arguments.load(thumb, R5, "kinds")
    arguments.load(thumb, R1, "kept_output")
    thumb.ldrb(R5, R5, R1)
    thumb.lsls(R1, R1, 2)
    thumb.mov(R10, R1)
    arguments.load(thumb, R2, "multipliers")
    thumb.ldr(R2, R2, R1)
    arguments.load(thumb, R3, "shifts")
    thumb.ldr(R3, R3, R1)
    thumb.adds(R7, R7, arguments.MOVED)
    # kind: bits 0 and 1 for scale and start, bit 2 for drained, then the loop's number
    estimated, started = Label(), Label()
    thumb.lsls(R4, R5, 30)
    thumb.lsrs(R4, R4, 28)
    thumb.adds(R4, R4, R7)
    thumb.ldr(R6, R4, arguments.offset("scale") - arguments.MOVED)
    thumb.subs(R6, R6, R3)
    thumb.ldr(R1, R4, arguments.offset("start") - arguments.MOVED)
    thumb.subs(R4, R4, R7)
    thumb.cmp(R4, 4 * NONE)
    thumb.bne(estimated)
    thumb.movs(R1, 0)  # M and O are 0, and E is uncertain
    thumb.movs(R2, 0)
    thumb.b(started)
    thumb.place(estimated)
    # 2^(fraction + shift - 1), what the second rounding adds to sums from 0 on
    thumb.movs(R4, 29)
    thumb.subs(R4, R4, R6)
    arguments.load(thumb, R3, "dropped", moved=True)
    thumb.subs(R4, R4, R3)
    thumb.movs(R3, 1)
    thumb.lsls(R3, R3, R4)
    thumb.adds(R1, R1, R3)
    thumb.place(started)
    thumb.movs(R4, R1)
    thumb.lsrs(R2, R2, R6)
    thumb.adds(R2, R2, 1)
    thumb.lsrs(R2, R2, 1)  # M
    thumb.lsls(R6, R5, 29)
    thumb.lsrs(R6, R6, 31)
    thumb.lsls(R6, R6, 2)
    thumb.adds(R6, R6, R7)
    thumb.ldr(R6, R6, arguments.offset("drained") - arguments.MOVED)
    thumb.mov(R8, R6)
    thumb.lsrs(R5, R5, 3)
    thumb.lsls(R5, R5, 1)
    arguments.store(thumb, R5, "kept_loop", moved=True)
    # O = start + bias * M + half of what dropping bits can take away
    arguments.load(thumb, R5, "bias", moved=True)
    thumb.mov(R1, R10)
    thumb.ldr(R5, R5, R1)
    thumb.mov(R9, R5)
    arguments.load(thumb, R6, "dropped", moved=True)
    thumb.movs(R3, R5)
    thumb.asrs(R3, R3, R6)
    thumb.movs(R1, R3)
    thumb.lsls(R1, R1, R6)
    thumb.subs(R5, R5, R1)
    thumb.muls(R5, R2)
    thumb.lsrs(R5, R5, R6)
    thumb.adds(R4, R4, R5)
    thumb.muls(R3, R2)
    thumb.adds(R4, R4, R3)
    thumb.movs(R1, R2)
    thumb.lsrs(R1, R1, R6)
    thumb.subs(R1, R2, R1)
    thumb.lsrs(R1, R1, 1)
    thumb.adds(R4, R4, R1)
    thumb.stm(R0, R2, R4)
    arguments.load(thumb, R1, "half_bytes", moved=True)
    thumb.mov(R2, R8)
    arguments.load(thumb, R3, "outputs", moved=True)
    thumb.stm(R0, R1, R2, R3)
    arguments.store(thumb, R0, "kept_end", moved=True)
    thumb.subs(R7, R7, arguments.MOVED)
    thumb.mov(R2, R9)
    thumb.mov(R3, R10)
    thumb.lsls(R3, R3, 1)
    arguments.load(thumb, R4, "memory")
    thumb.stm(R0, R1, R2, R3, R4)
