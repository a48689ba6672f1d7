"""The loops of depthwise convolutions on Cortex-M33, along a row of y: for each output a window of a plane
(plane.py), whose words have pixels of two rows of taps, as those of the table have their weights, doubled.

A loop begins with r12 at the first window's first word and r9 at y.
"""

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.armv8m.requantise import clamp, requantise, to_byte
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
)  # fmt: skip
from fedmote.kernels.thumb2 import Thumb2, asr, lsl

#: words of a window's row in a step of the general loops; steps in a turn; bytes of code, by is_dilated
STEP, STEPS, STEP_BYTES = 2, 4, {False: 16, True: 28}


def three_by_three(thumb: Thumb2, frame: Frame, row_end: Label) -> tuple[Label, ...]:
    """Write the loops for 3x3 windows without dilation_w. Return their labels: with stride_w 1 and with 2,
    for two outputs at a time as far as a frame's word says and then for one; with any, for one at a time.

    r4 to r6: weights of the first two rows, r7: of the third one's first two taps, r8: of its last.
    """
    single = thumb.label()
    frame.load_two(thumb, R10, LR, "bias")
    thumb.add(LR, R12)
    thumb.ldm_at(R12, R0, R1, R2)
    for word, weights in ((R0, R4), (R1, R5), (R2, R6)):
        thumb.smlad(R10, weights, word, R10)
    thumb.ldm_at(LR, R0, R1, R2)
    _last_row(thumb, R10, R0, R1, R2)
    frame.load_two(thumb, R0, R1, "multiplier")
    frame.load_two(thumb, R2, R3, "right")
    to_byte(thumb, R10, R0, R1, R2)
    thumb.add(R12, R3)
    frame.load_two(thumb, R2, R3, "outputs")
    thumb.strb_w(R10, R9)
    thumb.add(R9, R2)
    thumb.cmp(R12, R3)
    thumb.bne(single)
    thumb.b(row_end)
    return *(_pairs(thumb, frame, single, row_end, stride) for stride in (1, 2)), single


def _pairs(thumb: Thumb2, frame: Frame, single: Label, row_end: Label, stride: int) -> Label:
    """Write the loop for two outputs at a time, whose windows share some of their words."""
    words = (R0, R1, R2, R3, LR)[: stride + 3]
    windows = words[:3], words[stride:]
    start = thumb.label()
    frame.load(thumb, R3, "pairs_end")
    thumb.cmp(R12, R3)
    thumb.beq(single)
    pair = thumb.label()
    if LR in words:
        frame.load(thumb, R11, "bias")
    else:
        frame.load_two(thumb, R11, LR, "bias")
    thumb.ldm_at(R12, *words)
    for n, weights in enumerate((R4, R5, R6)):
        thumb.smlad(R10, weights, windows[0][n], R10 if n else R11)
        thumb.smlad(R11, weights, windows[1][n], R11)
    if LR in words:
        frame.load(thumb, LR, "pair_step")
    thumb.add(LR, R12)
    thumb.add_w(R12, R12, 8 * stride)
    thumb.ldm_at(LR, *words)
    for total, window in zip((R10, R11), windows, strict=True):
        _last_row(thumb, total, *window)
    frame.load_two(thumb, R0, R1, "multiplier")
    frame.load(thumb, R2, "right")
    for total in (R10, R11):
        to_byte(thumb, total, R0, R1, R2)
    frame.load_two(thumb, R3, R2, "pairs_end")
    thumb.strb_w(R10, R9)
    thumb.strb_w(R11, R9, R2)
    thumb.add_w(R9, R9, lsl(R2, 1))
    thumb.cmp(R12, R3)
    thumb.bne(pair)
    frame.load(thumb, R3, "windows_end")
    thumb.cmp(R12, R3)
    thumb.beq(row_end)
    thumb.b(single)
    return start


def _last_row(thumb: Thumb2, total: Register, first: Register, second: Register, third: Register) -> None:
    """Add the products of a window's third row."""
    thumb.smlabb(total, R7, first, total)
    thumb.smlatb(total, R7, second, total)
    thumb.smlabb(total, R8, third, total)


def general(thumb: Thumb2, frame: Frame, row_end: Label, is_dilated: bool) -> tuple[Label, Label]:
    """Write the loop for any windows, with dilation_w or without. Return the labels of it and its steps."""
    start, row, steps, slow, stored = thumb.label(), Label(), Label(), Label(), Label()
    frame.load(thumb, R1, "weights_table")
    frame.load(thumb, R6, "bias")
    frame.load(thumb, R7, "row_pairs")
    frame.load_two(thumb, R10, R11, "tap_step")
    thumb.mov(R0, R12)
    thumb.place(row)
    frame.load(thumb, R8, "steps")
    frame.load(thumb, PC, "steps_entry")
    thumb.place(steps)
    for _ in range(STEPS):
        at = len(thumb)
        if is_dilated:
            for word in (R2, R3):
                thumb.ldr_w(word, R0)
                thumb.add_w(R0, R0, R10)
        else:
            thumb.ldrd_post(R2, R3, R0, 8)
        thumb.ldrd_post(R4, R5, R1, 8)
        thumb.smlad(R6, R4, R2, R6)
        thumb.smlad(R6, R5, R3, R6)
        assert len(thumb) - at == STEP_BYTES[is_dilated]
    thumb.subs_w(R8, R8, STEPS)
    thumb.bgt(steps)
    thumb.add(R0, R11)
    thumb.subs(R7, R7, 1)
    thumb.bne(row)

    frame.load_two(thumb, R0, R1, "multiplier")
    frame.load_two(thumb, R2, R3, "right")
    thumb.cmp(R2, 0)
    thumb.beq(slow)
    to_byte(thumb, R6, R0, R1, R2)
    thumb.place(stored)
    thumb.strb_w(R6, R9)
    frame.load(thumb, R2, "outputs")
    thumb.add(R9, R2)
    thumb.add(R12, R3)
    frame.load(thumb, R3, "windows_end")
    thumb.cmp(R12, R3)
    thumb.bne(start)
    thumb.b(row_end)

    thumb.place(slow)
    frame.load(thumb, R4, "late_bias")
    thumb.add_w(R6, R4, asr(R6, 1))
    requantise(thumb, R6, R0, R1, R4)
    frame.load(thumb, R0, "zero_y")
    thumb.add(R6, R0)
    frame.load_two(thumb, R0, R1, "low")
    clamp(thumb, R6, R0, R1)
    thumb.b(stored)
    return start, steps
