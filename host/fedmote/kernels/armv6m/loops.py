"""The inner loops of products on Cortex-M0+: sums of four outputs in two accumulators of two lanes.

A loop begins with r0 at the weights, r1 at the patch, H of outputs 2 and 3 in r2 and r3, T of outputs 0 and 1
in r8 and r9, r10 behind the patch; it ends with the sums of outputs 2 and 3 in r2 and r3 and T in r8 and r9,
so that output 0 is T - (H << 16), modulo 2^32.
"""

from fedmote.kernels.thumb import LR, PC, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, Label, Thumb

#: pairs of steps in one turn of a loop, and bytes of code of each, to begin later in the first turn;
#: lib/mote/kernels/armv6m/products.py has them too
WORDS_PAIRS, WORDS_PAIR = 8, 30
BYTES_PAIRS, BYTES_PAIR = 5, 46


def address_of_next(thumb: Thumb) -> Label:
    """Return the label of a routine that adds the address of what is written after it to r2, for ``bx``."""
    start = thumb.label()
    thumb.mov(R3, PC)  # which is 4 bytes ahead of this instruction
    thumb.adds(R2, R2, R3)
    thumb.adds(R2, R2, 5)  # 4 more to what follows, and the bit that says Thumb
    thumb.bx(LR)
    return start


def over_words(thumb: Thumb) -> None:
    """The loop over expanded weights, drained every two steps: 21 cycles for 8 products."""
    loop = thumb.label()
    for _ in range(WORDS_PAIRS):
        at = len(thumb)
        thumb.ldm(R0, R4, R5)
        thumb.ldm(R1, R6, R7)
        for total, high in ((R8, R2), (R9, R3)):
            thumb.muls(R4, R6)
            thumb.muls(R5, R7)
            thumb.adds(R4, R4, R5)
            thumb.add(total, R4)
            thumb.asrs(R4, R4, 16)  # carry: the low lane is negative and has borrowed from the high one
            thumb.adcs(high, R4)
            if high == R2:
                thumb.ldm(R0, R4, R5)
        assert len(thumb) - at == WORDS_PAIR
    thumb.cmp(R1, R10)
    thumb.bne(loop)


def over_bytes(thumb: Thumb) -> None:
    """The loop over weights as they stand in the file, for few pixels: 28 cycles for 8 products.

    Other than above H is in r10 and r11, r7 is 0x00ff00ff, lr is the end of the patch, which has three words
    for two inputs: x0, x1 and 0x8000 - 0x00800080 * (x0 + x1). That makes the weights signed and the low lane
    positive, so that the high one can be shifted down as it is. T gets 0x8000 too many with each pair.
    """
    loop = thumb.label()
    for _ in range(BYTES_PAIRS):
        at = len(thumb)
        thumb.ldm(R0, R2, R3)
        thumb.ldm(R1, R4, R5)
        for word, other, x in ((R2, R6, R4), (R3, R4, R5)):
            thumb.lsrs(other, word, 8)
            thumb.ands(other, R7)
            thumb.ands(word, R7)
            thumb.muls(other, x)
            thumb.muls(word, x)
        thumb.adds(R2, R2, R3)
        thumb.adds(R6, R6, R4)
        thumb.ldm(R1, R5)
        for lanes, total, high in ((R2, R8, R10), (R6, R9, R11)):
            thumb.adds(lanes, lanes, R5)
            thumb.add(total, lanes)
            thumb.asrs(lanes, lanes, 16)
            thumb.add(high, lanes)
        assert len(thumb) - at == BYTES_PAIR
    thumb.cmp(R1, LR)
    thumb.bne(loop)
