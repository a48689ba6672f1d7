"""How far the sums of depthwise outputs can go: absolute weights, added up by output and by row of taps."""

from fedmote.kernels.thumb import R0, R1, R2, R3, R4, R5, R6, R7, Label, Thumb


def spread() -> Thumb:
    """Return the code of a function of five words: weights, number of outputs, rows and columns of taps, and
    where to put two words for each output: the sum of all, the largest of a row."""
    thumb = Thumb()
    thumb.push(R0)
    thumb.ldm(R0, R1, R2, R3, R4, R5)
    output = thumb.label()
    thumb.push(R2, R3)
    thumb.movs(R0, 0)
    thumb.movs(R7, 0)
    row = thumb.label()
    thumb.movs(R6, 0)
    thumb.push(R4)
    tap, positive, smaller = thumb.label(), Label(), Label()
    thumb.movs(R2, 0)
    thumb.ldrsb(R2, R1, R2)
    thumb.cmp(R2, 0)
    thumb.bge(positive)
    thumb.rsbs(R2, R2)
    thumb.place(positive)
    thumb.adds(R6, R6, R2)
    thumb.adds(R1, R1, 1)
    thumb.subs(R4, R4, 1)
    thumb.bne(tap)
    thumb.pop(R4)
    thumb.adds(R0, R0, R6)
    thumb.cmp(R6, R7)
    thumb.bls(smaller)
    thumb.movs(R7, R6)
    thumb.place(smaller)
    thumb.subs(R3, R3, 1)
    thumb.bne(row)
    thumb.movs(R6, R0)
    thumb.stm(R5, R6, R7)
    thumb.pop(R2, R3)
    thumb.subs(R2, R2, 1)
    thumb.bne(output)
    thumb.pop(R0)
    return thumb
