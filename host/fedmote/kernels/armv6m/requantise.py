"""Requantisation for Cortex-M0+: an int32 sum becomes a byte of y, by an estimate that is nearly always
certain and by exact limbs where it is not. docs/kernels.md proves both.

The estimate is E = (S >> 2) * M + O with 19 bits of fraction. The true quotient lies in [E, E + w) for a
small w of each output, so it has E's integer part unless E's fraction is one of the last w. O has the zero
point + 128 in it, hence results are 0 to 255 and the byte of y is the result - 128.

Two words are loaded for an output: its first uncertain fraction, shifted up (0: none is certain, and M is 0
as well), and M.
"""

from fedmote.kernels.thumb import LR, R0, R1, R4, R5, R6, R7, SP, Label, Register, Thumb

#: bits of S that the estimate drops, bits of its fraction; lib/mote/kernels/armv6m/estimate.py has them too
DROPPED = 2
FRACTION = 19


class Output:
    """The labels of an output: what lies off its usual way is written elsewhere, by ``aside``."""

    def __init__(self) -> None:
        self.negative, self.uncertain, self.certain, self.high, self.stored = (Label() for _ in range(5))


def estimate(thumb: Thumb, output: Output, total: Register, place: int) -> None:
    """Store the byte for the sum in ``total`` at r1 + place: 16 cycles, 13 where it is below the lowest.

    r0: the words for the output, which it steps over. r7: O. Changes r4 to r6.
    """
    thumb.ldm(R0, R4, R6)
    thumb.asrs(R5, total, DROPPED)
    thumb.muls(R5, R6)
    thumb.adds(R5, R5, R7)
    thumb.bmi(output.negative)
    thumb.lsls(R6, R5, 32 - FRACTION)
    thumb.cmp(R6, R4)
    thumb.bhs(output.uncertain)
    thumb.lsrs(R5, R5, FRACTION)
    thumb.place(output.certain)
    thumb.cmp(R5, 255)
    thumb.bhi(output.high)
    thumb.subs(R5, R5, 128)
    thumb.place(output.stored)
    thumb.strb(R5, R1, place)


def aside(thumb: Thumb, output: Output) -> None:
    """Write what the estimate does with results below 0 and above 255."""
    thumb.place(output.negative)
    thumb.movs(R5, 128)
    thumb.b(output.stored)
    thumb.place(output.high)
    thumb.movs(R5, 127)
    thumb.b(output.stored)


def exact(thumb: Thumb, depth: int, multipliers: int, shifts: int, offset: int) -> Label:
    """Return the label of a routine: r5 = the exact result of the sum in r5, at most 255, and below 0 as 0.

    r4: 8 times the output's number, and up to 7 more. Changes r1 and r4 to r7. depth: bytes on the stack
    above the address of the arguments, whose offsets the others are.
    """
    fits = Label()
    start = thumb.label()
    thumb.ldr(R7, SP, depth)
    thumb.lsrs(R4, R4, 3)
    thumb.lsls(R4, R4, 2)
    thumb.ldr(R6, R7, multipliers)
    thumb.ldr(R6, R6, R4)
    thumb.ldr(R1, R7, shifts)
    thumb.ldr(R1, R1, R4)
    rescale(thumb)
    thumb.ldr(R7, SP, depth)
    thumb.ldr(R1, R7, offset)
    thumb.adds(R5, R5, R1)
    thumb.asrs(R1, R5, 31)
    thumb.bics(R5, R1)
    thumb.cmp(R5, 255)
    thumb.bls(fits)
    thumb.movs(R5, 255)
    thumb.place(fits)
    thumb.bx(LR)
    return start


def rescale(thumb: Thumb) -> None:
    """r5 = the int32 in r5 times the multiplier in r6, shifted by r1 bits, with both roundings.

    Changes r1, r4, r6 and r7.
    """
    right, no_right = Label(), Label()
    thumb.cmp(R1, 0)
    thumb.ble(right)
    thumb.lsls(R5, R5, R1)
    thumb.place(right)
    thumb.push(R1)
    # (S * m + 2^30) >> 31, S = r5 * 2^16 + r4, m = r6 * 2^16 + r1
    thumb.uxth(R4, R5)
    thumb.asrs(R5, R5, 16)
    thumb.uxth(R1, R6)
    thumb.lsrs(R6, R6, 16)
    thumb.movs(R7, R4)
    thumb.muls(R7, R1)
    thumb.lsrs(R7, R7, 16)
    thumb.muls(R4, R6)
    thumb.adds(R4, R4, R7)  # S's low half * m without the last 16 bits: below 2^31
    thumb.muls(R1, R5)
    thumb.muls(R5, R6)
    thumb.lsls(R5, R5, 1)
    thumb.lsrs(R6, R4, 15)
    thumb.adds(R5, R5, R6)
    thumb.asrs(R6, R1, 15)
    thumb.adds(R5, R5, R6)
    thumb.movs(R6, 0)
    thumb.lsls(R4, R4, 17)
    thumb.lsls(R1, R1, 17)
    thumb.adds(R4, R4, R1)  # what is below 2^31: its carry, then that of half
    thumb.adcs(R5, R6)
    thumb.lsls(R4, R4, 1)
    thumb.adcs(R5, R6)
    # the rounding shift, ties away from zero
    thumb.pop(R1)
    thumb.rsbs(R1, R1)
    thumb.ble(no_right)
    thumb.asrs(R7, R5, 31)
    thumb.adds(R5, R5, R7)
    thumb.asrs(R5, R5, R1)
    thumb.adcs(R5, R6)
    thumb.place(no_right)
