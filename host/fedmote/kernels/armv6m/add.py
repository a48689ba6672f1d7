"""The add function of Cortex-M0+: sums of two activations of one shape. docs/kernels.md has the proof;
lib/mote/kernels/armv6m/elementwise.py calls it.

The estimate is E = a * A + b * B + O with FRACTION bits of fraction; where the upper ZONE bits of that are 0,
the three roundings of the op are done one by one.
"""

from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.armv6m.requantise import Output, aside, rescale
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
    R12,
    SP,
    Label,
    Thumb,
)  # fmt: skip

#: lib/mote/kernels/armv6m/elementwise.py has them, too
FRACTION, ZONE = 20, 8
_LEFT = 20

ARGUMENTS = Arguments(
    "a", "b", "y", "count", "factor_a", "factor_b", "start", "zero_a", "multiplier_a", "shift_a",
    "zero_b", "multiplier_b", "shift_b", "sign", "multiplier_y", "shift_y", "offset",
)  # fmt: skip


def add() -> Thumb:
    """Return the code of the function."""
    thumb = Thumb()
    limbs, end = Label(), Label()
    output = Output()
    thumb.push(R0)
    thumb.movs(R7, R0)
    thumb.ldm(R0, R1, R2, R3, R4)  # a, b, y, count
    thumb.movs(R0, R1)
    thumb.movs(R1, R2)
    for register in (R0, R1, R3):  # all are read from their end backwards, so that one register counts
        thumb.adds(register, register, R4)
    thumb.rsbs(R2, R4)
    ARGUMENTS.load(thumb, R4, "start")
    thumb.mov(R12, R4)
    ARGUMENTS.load(thumb, R6, "factor_a")
    ARGUMENTS.load(thumb, R7, "factor_b")
    element = thumb.label()
    thumb.ldrsb(R4, R0, R2)
    thumb.ldrsb(R5, R1, R2)
    thumb.muls(R4, R6)
    thumb.muls(R5, R7)
    thumb.adds(R5, R5, R4)
    thumb.add(R5, R12)
    thumb.asrs(R4, R5, FRACTION)
    thumb.bmi(output.negative)
    thumb.lsls(R5, R5, 32 - FRACTION)
    thumb.lsrs(R5, R5, 32 - ZONE)
    thumb.beq(output.uncertain)
    thumb.place(output.certain)
    thumb.cmp(R4, 255)
    thumb.bhi(output.high)
    thumb.subs(R4, R4, 128)
    thumb.movs(R5, R4)
    thumb.place(output.stored)
    thumb.strb(R5, R3, R2)
    thumb.adds(R2, R2, 1)
    thumb.bne(element)
    thumb.b(end)

    aside(thumb, output)
    thumb.place(output.uncertain)
    thumb.bl(limbs)
    thumb.b(output.certain)
    _limbs(thumb, limbs)
    thumb.place(end)
    thumb.pop(R0)
    return thumb


def _limbs(thumb: Thumb, limbs: Label) -> None:
    """A routine: r4 = the exact result for the elements r2 before the ends at r0 and r1, at most 255, below 0
    as 0. Changes r4 and r5."""
    fits = Label()
    arguments = 28  # bytes on the stack above their address
    thumb.place(limbs)
    thumb.push(R0, R1, R2, R3, R6, R7, LR)
    thumb.movs(R0, R1)
    thumb.ldr(R3, SP)
    for name in ("a", "b"):
        thumb.ldrsb(R5, R3, R2)
        thumb.ldr(R7, SP, arguments)
        ARGUMENTS.load(thumb, R4, "zero_" + name)
        thumb.subs(R5, R5, R4)
        thumb.lsls(R5, R5, _LEFT)
        ARGUMENTS.load(thumb, R6, "multiplier_" + name)
        ARGUMENTS.load(thumb, R1, "shift_" + name)
        rescale(thumb)
        if name == "a":
            thumb.movs(R3, R0)
            thumb.movs(R0, R5)
    thumb.ldr(R7, SP, arguments)
    ARGUMENTS.load(thumb, R4, "sign")
    thumb.muls(R5, R4)
    thumb.adds(R5, R5, R0)
    ARGUMENTS.load(thumb, R6, "multiplier_y")
    ARGUMENTS.load(thumb, R1, "shift_y")
    rescale(thumb)
    thumb.ldr(R7, SP, arguments)
    ARGUMENTS.load(thumb, R4, "offset")
    thumb.adds(R4, R4, R5)
    thumb.asrs(R5, R4, 31)
    thumb.bics(R4, R5)
    thumb.cmp(R4, 255)
    thumb.bls(fits)
    thumb.movs(R4, 255)
    thumb.place(fits)
    thumb.pop(R0, R1, R2, R3, R6, R7, PC)
