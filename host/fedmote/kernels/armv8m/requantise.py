"""How Cortex-M33 makes bytes of sums, with two exact roundings: doubled sums in six instructions where an
output's constants allow it, any others more slowly."""

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.thumb import LR, R1, R2, R3, R10, R12, Label, Register
from fedmote.kernels.thumb2 import Thumb2, asr, lsl, lsr

# What ``to_byte`` takes: biases nearer to 0, with all products there may be, and shifts to the right.
_NEAR, _FARTHEST = 1 << 28, 22


def to_byte(thumb: Thumb2, value: Register, multiplier: Register, half: Register, right: Register) -> None:
    """Write what makes a signed byte of a doubled sum within 30 bits.

    half: the zero point and half a unit, before the shift to the right.
    """
    thumb.smmulr(value, value, multiplier)
    thumb.add_w(value, value, asr(value, 31))
    thumb.add_w(value, value, half)
    thumb.asr_w(value, value, right)
    thumb.ssat(value, 8, value)


def constants(thumb: Thumb2, frame: Frame, neither: Label) -> None:
    """Write what finds how ``to_byte`` makes an output, or goes to ``neither`` where it cannot.

    r1: bias, r2: multiplier, r3: shift to the left; then r1: bias, r2: multiplier, r3: half, r12: right. An
    output that is the same whatever its sum gets such constants, too, as trained networks have dead channels
    with any bias. Changes r10 and lr. The frame has zero_y, low and high side by side, the room lowest, and
    reach: 2^14 for each product of a sum.
    """
    others, found = Label(), Label()
    frame.load_two(thumb, R10, R12, "low")
    thumb.cmn_w(R10, 128)
    thumb.bne(others)
    thumb.cmp_w(R12, 127)
    thumb.bne(others)
    thumb.mvn_w(R10, R3)
    thumb.cmp_w(R10, _FARTHEST)
    thumb.bhs(others)
    thumb.add_w(R10, R1, _NEAR)
    thumb.cmp_w(R10, 2 * _NEAR)
    thumb.bhs(others)
    thumb.rsb_w(R12, R3, 0)
    frame.load(thumb, LR, "zero_y")
    thumb.lsl_w(LR, LR, R12)
    thumb.sub_w(R10, R12, 1)
    thumb.mov_w(R3, 1)
    thumb.lsl_w(R3, R3, R10)
    thumb.add(R3, LR)
    thumb.b(found)

    thumb.place(others)
    for move in (thumb.sub_w, thumb.add_w):
        frame.load(thumb, LR, "reach")
        move(LR, R1, LR)
        requantise(thumb, LR, R2, R3, R12)
        frame.load(thumb, R12, "zero_y")
        thumb.add(LR, R12)
        frame.load_two(thumb, R10, R12, "low")
        clamp(thumb, LR, R10, R12)
        if move == thumb.sub_w:
            frame.store(thumb, LR, "lowest")
    frame.load(thumb, R10, "lowest")
    thumb.cmp(R10, LR)
    thumb.bne(neither)
    thumb.mov_w(R1, 0)
    thumb.mov_w(R2, 0)
    thumb.mov_w(R3, lsl(LR, 1))
    thumb.mov_w(R12, 1)
    thumb.place(found)


def requantise(
    thumb: Thumb2, value: Register, multiplier: Register, shift: Register, spare: Register
) -> None:
    """Write what turns any sum into its product with multiplier and 2^shift.

    Where a shift to the left overflows, the result is as good: far beyond what a byte holds.
    """
    double, multiply, done = Label(), Label(), Label()
    thumb.adds_w(spare, shift, 0)
    thumb.ble(multiply)
    thumb.place(double)
    thumb.qadd(value, value, value)
    thumb.subs_w(spare, spare, 1)
    thumb.bne(double)
    thumb.place(multiply)
    thumb.smull(spare, value, value, multiplier)
    thumb.adds_w(spare, spare, 1 << 30)
    thumb.adc_w(value, value, 0)
    thumb.mov_w(value, lsl(value, 1))
    thumb.add_w(value, value, lsr(spare, 31))
    thumb.cmp_w(shift, 0)
    thumb.bge(done)
    thumb.mvn_w(spare, shift)  # one less than to shift
    thumb.cmp_w(spare, 31)
    thumb.it("gt")
    thumb.mov_w(spare, 31)
    thumb.add_w(value, value, asr(value, 31))
    thumb.asr_w(value, value, spare)
    thumb.add_w(value, value, 1)
    thumb.mov_w(value, asr(value, 1))
    thumb.place(done)


def clamp(thumb: Thumb2, value: Register, low: Register, high: Register) -> None:
    for condition, limit in (("lt", low), ("gt", high)):
        thumb.cmp_w(value, limit)
        thumb.it(condition)
        thumb.mov_w(value, limit)
