"""The loops of depthwise convolutions on Cortex-M0+: along a row of a plane (plane.py), for each of its words
a window, with its sums in two lanes; then two bytes of y, of the upper half of the rows and of the lower.

A loop begins with r6 at the table of an output, r7 at the first window's first word, lr at y without its step
and r12 = 0x8000; r10 and r11 are steps. The table has the weights, then its tail. After a row it
branches to where the next one is begun. What most loops drain has 0x8000 added, which makes the low lane
positive, so that the high one is shifted down as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fedmote.kernels.armv6m.requantise import Output, aside
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
    Register,
    Thumb,
)  # fmt: skip

# The tail: M, O, from the upper half's y to the lower's, what the drains added to the low lane, the step of
# y; and from where r6 is while a pixel's bytes are made: the end of the row, the output's bias, 8 times its
# number, the begin of the table.
_END, _BIAS, _NUMBER, _TABLE = 0, 4, 8, 12

#: pairs of taps in a row of the general loop, bytes of code of each; lib/mote/kernels/armv6m/taps.py has them
PAIRS, PAIR_BYTES = 4, 16


@dataclass(frozen=True)
class Estimate:
    """How sums become bytes: E = (S >> dropped) * M + O with bits of fraction; E is uncertain where the upper
    ``zone`` bits of the fraction are 0. lib/mote/kernels/armv6m/taps.py has these numbers, too."""

    dropped: int
    fraction: int
    zone: int


#: of 3x3 windows drained after three taps, and after two and one; of other windows
IN_THREES = (Estimate(1, 20, 5), Estimate(1, 21, 4))
IN_TWOS = (*IN_THREES, Estimate(1, 16, 3))
ANY = Estimate(3, 20, 4)


def three_by_three(
    thumb: Thumb, in_threes: bool, estimate: Estimate, to_limbs: Label, row_end: Label
) -> None:
    """The loop for 3x3 windows without dilation_w, drained after three taps or after two and one.

    r10 leads from behind a row of taps to the next one, r11 from the last one to the next window.
    """
    pixel = thumb.label()
    drains = 0
    for step in (R10, R10, R11):
        thumb.ldm(R7, R0, R1, R2)
        thumb.ldm(R6, R3, R4, R5)
        thumb.add(R7, step)
        thumb.muls(R3, R0)
        thumb.muls(R4, R1)
        thumb.muls(R5, R2)
        thumb.adds(R3, R3, R4)
        if in_threes:
            thumb.adds(R3, R3, R5)
        for total in (R3,) if in_threes else (R3, R5):
            _drain(thumb, total, first=drains == 0)
            drains += 1
    certain = _bytes(thumb, estimate)
    thumb.ldr(R5, R6, _END)
    thumb.subs(R6, R6, 4 * (9 + 5))
    thumb.cmp(R7, R5)
    thumb.bne(pixel)
    thumb.b(row_end)
    certain(to_limbs)


def general(thumb: Thumb, to_limbs: Label, row_end: Label) -> None:
    """The loop for windows without dilation_w, up to 2 * PAIRS taps wide: each row of taps begins r11 bytes
    late in the code for the widest.

    The table begins with the number of rows of taps. H is in r5; the carry tells what the low lane borrowed.
    """
    pixel = thumb.label()
    thumb.movs(R5, 0)
    thumb.mov(R8, R5)
    thumb.ldm(R6, R2)
    row = thumb.label()
    thumb.add(PC, R11)
    thumb.mov(R8, R8)  # never reached: the program counter is ahead
    for _ in range(PAIRS):
        at = len(thumb)
        thumb.ldm(R7, R0, R1)
        _pair(thumb)
        thumb.add(R8, R3)
        thumb.asrs(R3, R3, 16)
        thumb.adcs(R5, R3)
        assert len(thumb) - at == PAIR_BYTES
    thumb.add(R7, R10)
    thumb.subs(R2, R2, 1)
    thumb.bne(row)
    thumb.mov(R9, R5)
    _finish(thumb, pixel, to_limbs, row_end)


def dilated(thumb: Thumb, to_limbs: Label, row_end: Label) -> None:
    """The loop for any window, with taps that are r11 bytes apart. The table begins with the number of rows
    of taps, and each row with that of pairs."""
    pixel = thumb.label()
    thumb.movs(R3, 0)
    thumb.mov(R8, R3)
    thumb.mov(R9, R3)
    thumb.ldm(R6, R2)
    row = thumb.label()
    thumb.ldm(R6, R5)
    pair = thumb.label()
    for x in (R0, R1):
        thumb.ldr(x, R7)
        thumb.add(R7, R11)
    _pair(thumb)
    _drain(thumb, R3)
    thumb.subs(R5, R5, 1)
    thumb.bne(pair)
    thumb.add(R7, R10)
    thumb.subs(R2, R2, 1)
    thumb.bne(row)
    _finish(thumb, pixel, to_limbs, row_end)


def to_limbs(thumb: Thumb, exact: Callable[[int], Label]) -> Label:
    """Return the label of a routine: r5 = the exact result of the sum in r5, which has no bias yet.

    exact: writes the routine that this one needs, for so many bytes on the stack above the arguments.
    """
    to_exact = exact(32)
    start = thumb.label()
    thumb.push(R0, R1, R2, R3, R4, R6, R7, LR)
    thumb.ldr(R4, R6, _BIAS)
    thumb.adds(R5, R5, R4)
    thumb.ldr(R4, R6, _NUMBER)
    thumb.bl(to_exact)
    thumb.pop(R0, R1, R2, R3, R4, R6, R7, PC)
    return start


def _finish(thumb: Thumb, pixel: Label, to_limbs: Label, row_end: Label) -> None:
    thumb.ldm(R6, R3)
    thumb.adds(R7, R7, R3)
    certain = _bytes(thumb, ANY)
    thumb.ldr(R5, R6, _END)
    thumb.ldr(R6, R6, _TABLE)
    thumb.cmp(R7, R5)
    thumb.bne(pixel)
    thumb.b(row_end)
    certain(to_limbs)


def _pair(thumb: Thumb) -> None:
    """r3 = the products of x in r0 and r1; r4 is lost."""
    thumb.ldm(R6, R3, R4)
    thumb.muls(R3, R0)
    thumb.muls(R4, R1)
    thumb.adds(R3, R3, R4)


def _drain(thumb: Thumb, total: Register, first: bool = False) -> None:
    """Add the lanes of ``total`` to T in r8 and H in r9, through r4."""
    thumb.add(total, R12)
    thumb.asrs(R4, total, 16)
    put = thumb.mov if first else thumb.add
    put(R8, total)
    put(R9, R4)


def _bytes(thumb: Thumb, estimate: Estimate) -> Callable[[Label], None]:
    """Store both bytes: 38 cycles. Returns what writes the rest, off the loop's way."""
    upper, lower = Output(), Output()
    thumb.ldm(R6, R0, R1, R2, R3, R5)
    thumb.add(LR, R5)
    thumb.add(R3, R8)
    thumb.mov(R4, R9)
    thumb.lsls(R5, R4, 16)
    thumb.subs(R3, R3, R5)
    _byte(thumb, lower, R4, estimate)
    thumb.mov(R4, LR)
    thumb.strb(R5, R4, R2)
    _byte(thumb, upper, R3, estimate)
    thumb.mov(R4, LR)
    thumb.strb(R5, R4)

    def rest(to_limbs: Label) -> None:
        for output, total in ((lower, R9), (upper, R3)):
            aside(thumb, output)
            thumb.place(output.uncertain)
            thumb.mov(R5, total)
            thumb.mov(R4, LR)
            thumb.bl(to_limbs)
            thumb.mov(LR, R4)
            thumb.b(output.certain)

    return rest


def _byte(thumb: Thumb, output: Output, total: Register, estimate: Estimate) -> None:
    """r5 = the byte for the sum in ``total``; r4 is lost, r0: M, r1: O."""
    thumb.asrs(R5, total, estimate.dropped)
    thumb.muls(R5, R0)
    thumb.adds(R5, R5, R1)
    thumb.bmi(output.negative)
    thumb.lsls(R4, R5, 32 - estimate.fraction)
    thumb.lsrs(R4, R4, 32 - estimate.zone)
    thumb.beq(output.uncertain)
    thumb.lsrs(R5, R5, estimate.fraction)
    thumb.place(output.certain)
    thumb.cmp(R5, 255)
    thumb.bhi(output.high)
    thumb.subs(R5, R5, 128)
    thumb.place(output.stored)
