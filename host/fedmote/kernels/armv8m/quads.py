"""Quads of a stream met with the patches of two pixels on Cortex-M33: the loops and what makes bytes of sums.

A record of the stream begins with what one instruction loads: where the patch is, twice the bias of four
outputs for two pixels, and where to go on: into the loop. Behind its weights stand how to finish it, three
constants of each output, and where to go on then.

The loops begin with r0 at the weights, r1 at the patch, and sums in r4 to r7 and, of the second pixel, in r8
to r11. Their products are doubled.
"""

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.armv8m.requantise import clamp, requantise, to_byte
from fedmote.kernels.thumb import LR, PC, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, SP, Label
from fedmote.kernels.thumb2 import Thumb2, asr

#: pairs of columns in a turn of the loop over a stream, with their bytes of code
PAIRS, PAIR_BYTES = 8, 44
#: four columns in a turn of the loop over bytes, with their bytes of code
FOURS, FOUR_BYTES = 4, 88

_FIRST, _SECOND = (R4, R5, R6, R7), (R8, R9, R10, R11)


def begin(thumb: Thumb2) -> None:
    """Go into a loop with the record at r0."""
    thumb.ldm_w(R0, R1, *_FIRST, *_SECOND, PC)


def over_pairs(thumb: Thumb2, frame: Frame) -> Label:
    """Write the loop over a stream of pairs of weights: 11 instructions for 16 products. Return its label."""
    loop = thumb.label()
    for _ in range(PAIRS):
        at = len(thumb)
        thumb.ldrd_post(R2, R3, R1, 8)
        for n in (0, 2):
            thumb.ldrd_post(R12, LR, R0, 8)
            for weights, output in ((R12, n), (LR, n + 1)):
                thumb.smlad(_FIRST[output], weights, R2, _FIRST[output])
                thumb.smlad(_SECOND[output], weights, R3, _SECOND[output])
        assert len(thumb) - at == PAIR_BYTES
    frame.load(thumb, R2, "patch_end")
    thumb.cmp(R1, R2)
    thumb.bne(loop)
    thumb.ldr_post(PC, R0, 4)
    return loop


def over_bytes(thumb: Thumb2, frame: Frame) -> Label:
    """Write the loop over weights as they stand in the file, for the first pixel alone: 22 instructions for
    16 products. Return its label.

    As the bytes are weights + 128, the sums begin with twice the bias less 256 times the sum of x.
    """
    loop = thumb.label()
    for _ in range(FOURS):
        at = len(thumb)
        thumb.ldm_w(R0, *_SECOND)
        thumb.ldrd_post(R2, R3, R1, 8)
        for column, other, x in ((R8, R10, R2), (R9, R11, R3)):
            thumb.pkhbt(R12, column, other, 16)
            thumb.pkhtb(LR, other, column, 16)
            for both, output in ((R12, 0), (LR, 2)):
                thumb.uxtb16(column, both)
                thumb.uxtb16(both, both, 8)
                for weights, n in ((column, output), (both, output + 1)):
                    thumb.smlad(_FIRST[n], weights, x, _FIRST[n])
        assert len(thumb) - at == FOUR_BYTES
    frame.load(thumb, R2, "patch_end")
    thumb.cmp(R1, R2)
    thumb.bne(loop)
    thumb.add_w(R0, SP, frame.offset("constant_0"))
    frame.load(thumb, PC, "finish")
    return loop


def finish_one(thumb: Thumb2, frame: Frame) -> Label:
    """Write what finishes a whole quad of one pixel, as ``finish_fast`` does it of two."""
    start = thumb.label()
    frame.load(thumb, R1, "y")
    for total in _FIRST:
        thumb.ldm_w(R0, R2, R3, R12)
        to_byte(thumb, total, R2, R3, R12)
        thumb.strb_post(total, R1, 1)
    frame.store_two(thumb, R1, R1, "y")
    thumb.ldr_post(PC, R0, 4)
    return start


def copied(thumb: Thumb2, finish: Label) -> Label:
    """Write what lets the sums of one pixel be those of two, on the way to what finishes those."""
    start = thumb.label()
    for first, second in zip(_FIRST, _SECOND, strict=True):
        thumb.mov(second, first)
    thumb.b(finish)
    return start


def finish_fast(thumb: Thumb2, frame: Frame) -> Label:
    """Write what finishes a whole quad of outputs that span int8, with shifts that ``to_byte`` takes.

    Constants: what that wants to know.
    """
    start = thumb.label()
    frame.load_two(thumb, R1, R2, "y")
    for outputs in zip(_FIRST, _SECOND, strict=True):
        thumb.ldm_w(R0, R3, R12, LR)
        for total, y in zip(outputs, (R1, R2), strict=True):
            to_byte(thumb, total, R3, R12, LR)
            thumb.strb_post(total, y, 1)
    frame.store_two(thumb, R1, R2, "y")
    thumb.ldr_post(PC, R0, 4)
    return start


def finish_any(thumb: Thumb2, frame: Frame) -> tuple[Label, Label]:
    """Write what finishes any outputs, of which the sums have no bias. Constants: multiplier, shift to the
    left, bias. Return the labels for a whole quad and for one of as many outputs as a frame's word says.
    """
    whole, output, begun = thumb.label(), Label(), Label()
    thumb.mov_w(LR, 4)
    thumb.b(begun)
    part = thumb.label()
    frame.load(thumb, LR, "tail")
    thumb.place(begun)
    thumb.add_w(R1, SP, frame.offset("sum_0"))
    thumb.stm_w(R1, *_FIRST, *_SECOND)
    thumb.mov_w(R10, 0)  # bytes of sums done
    thumb.place(output)
    thumb.ldm_w(R0, R8, R9, R12)
    for pixel, y in enumerate(("y", "other_y")):
        thumb.add_w(R1, SP, frame.offset(f"sum_{4 * pixel}"))
        thumb.ldr_w(R4, R1, R10)
        thumb.add_w(R4, R12, asr(R4, 1))
        requantise(thumb, R4, R8, R9, R5)
        frame.load(thumb, R5, "zero_y")
        thumb.add_w(R4, R4, R5)
        frame.load_two(thumb, R2, R3, "low")
        clamp(thumb, R4, R2, R3)
        frame.load(thumb, R1, y)
        thumb.strb_post(R4, R1, 1)
        frame.store(thumb, R1, y)
    thumb.add_w(R10, R10, 4)
    thumb.subs_w(LR, LR, 1)
    thumb.bne(output)
    thumb.rsb_w(R10, R10, 16)
    thumb.mov_w(R1, 3)
    thumb.mla(R0, R10, R1, R0)
    thumb.ldr_post(PC, R0, 4)
    return whole, part
