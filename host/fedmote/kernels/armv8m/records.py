"""What Cortex-M33 makes of a quad: the constants of its outputs, and its record in a stream, as ``quads``
takes it, with its weights in pairs of halves."""

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.armv8m.patch import TABLE
from fedmote.kernels.armv8m.requantise import constants
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
    R12,
    SP,
    Label,
)  # fmt: skip
from fedmote.kernels.thumb2 import Thumb2, lsl

#: words of the frame: what sums of a quad begin with, then CONSTANTS of each output, and where to go on
QUAD = (*(f"bias_{n}" for n in range(4)), *(f"constant_{n}" for n in range(12)), "quad_end")


def choose(thumb: Thumb2, frame: Frame) -> None:
    """Find the constants of the next quad, and how it is finished: a word of the frame. Changes all but r0
    and r11, the table."""
    slow, chosen = Label(), Label()
    _from_its_first(thumb, frame)
    frame.load(thumb, R1, "outputs_left")
    thumb.cmp(R1, 4)
    thumb.blt(slow)
    output = thumb.label()
    _take(thumb)
    constants(thumb, frame, slow)
    thumb.strd_post(R2, R3, R5, 8)
    thumb.str_post(R12, R5, 4)
    thumb.str_post(R1, R4, 4)
    thumb.cmp(R6, R9)
    thumb.bne(output)
    frame.load(thumb, R1, "to_finish_fast")
    thumb.b(chosen)

    thumb.place(slow)
    _from_its_first(thumb, frame)
    thumb.mov_w(R12, 0)
    output = thumb.label()
    _take(thumb)
    thumb.strd_post(R2, R3, R5, 8)
    thumb.str_post(R1, R5, 4)
    thumb.str_post(R12, R4, 4)
    thumb.cmp(R6, R9)
    thumb.bne(output)
    frame.load_two(thumb, R1, R2, "to_finish_any")
    frame.load(thumb, R3, "outputs_left")
    thumb.cmp(R3, 4)
    thumb.it("lt")
    thumb.mov(R1, R2)

    thumb.place(chosen)
    frame.store(thumb, R1, "finish")
    frame.store(thumb, R6, "bias")
    frame.store_two(thumb, R7, R8, "multipliers")
    frame.load(thumb, R1, "outputs_left")
    thumb.subs(R1, R1, 4)
    frame.store(thumb, R1, "outputs_left")


def _from_its_first(thumb: Thumb2, frame: Frame) -> None:
    """Begin with a quad's first output."""
    thumb.add_w(R4, SP, frame.offset("bias_0"))
    thumb.add_w(R5, SP, frame.offset("constant_0"))
    frame.load(thumb, R6, "bias")
    frame.load_two(thumb, R7, R8, "multipliers")
    thumb.add_w(R9, R6, 16)


def _take(thumb: Thumb2) -> None:
    """Load an output's bias, multiplier and shift."""
    for register, address in ((R1, R6), (R2, R7), (R3, R8)):
        thumb.ldr_post(register, address, 4)


def record(thumb: Thumb2, frame: Frame) -> None:
    """Write the record of the next quad to r0: patch, twice the biases, loop, weights, how to finish it, its
    constants and where to go on. Changes all but r11, the table."""
    choose(thumb, frame)
    thumb.add_w(R1, SP, frame.offset("bias_0"))
    thumb.ldm(R1, R2, R3, R4, R5)
    for register in (R2, R3, R4, R5):
        thumb.lsls(register, register, 1)
    frame.load(thumb, R1, "patch")
    frame.load(thumb, R6, "begin")
    thumb.stm(R0, R1, R2, R3, R4, R5)
    thumb.stm(R0, R2, R3, R4, R5, R6)
    _spread(thumb, frame)
    frame.load(thumb, R1, "finish")
    thumb.stm(R0, R1)
    thumb.add_w(R1, SP, frame.offset("constant_0"))
    for words in ((R2, R3, R4, R5, R6, R7), (R2, R3, R4, R5, R6, R7, R8)):
        thumb.ldm_w(R1, *words)
        thumb.stm_w(R0, *words)


def _spread(thumb: Thumb2, frame: Frame) -> None:
    """Write the weights of a quad to r0, doubled: the pairs of its four outputs, then the next pairs."""
    frame.load(thumb, R1, "weights")
    frame.load(thumb, R7, "fours")
    four = thumb.label()
    thumb.ldm_w(R1, R8, R9, R10, R12)
    for column in (R8, R9, R10, R12):
        thumb.eor_w(column, column, 0x80808080)
    for column, other in ((R8, R10), (R9, R12)):
        thumb.pkhbt(LR, column, other, 16)
        thumb.pkhtb(column, other, column, 16)
        thumb.sxtb16(R2, LR)
        thumb.sxtb16(R3, LR, 8)
        thumb.sxtb16(R4, column)
        thumb.sxtb16(R5, column, 8)
        for pair in (R2, R3, R4, R5):
            thumb.sadd16(pair, pair, pair)
        thumb.stm(R0, R2, R3, R4, R5)
    thumb.subs(R7, R7, 1)
    thumb.bne(four)
    next_weights(thumb, frame)


def next_weights(thumb: Thumb2, frame: Frame) -> None:
    """Go to the weights of the next quad."""
    TABLE.load(thumb, R2, "columns")
    frame.load(thumb, R1, "weights")
    thumb.add_w(R1, R1, lsl(R2, 2))
    frame.store(thumb, R1, "weights")
