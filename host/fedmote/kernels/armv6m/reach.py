"""How far a sum can be from its bias: 128 times all absolute weights of an output, for some quads."""

from fedmote.kernels.thumb import R0, R1, R2, R3, R4, R5, R6, R7, Label, Thumb


def reach() -> Thumb:
    """Return the code of a function of four words: weights, number of quads, columns, where the sums go."""
    thumb = Thumb()
    thumb.ldm(R0, R1, R2, R3, R4)
    thumb.lsls(R3, R3, 2)
    quad = thumb.label()
    thumb.movs(R7, 4)
    output = thumb.label()
    thumb.movs(R0, 0)
    thumb.subs(R5, R3, 4)
    column, positive = thumb.label(), Label()
    thumb.ldrb(R6, R1, R5)
    thumb.subs(R6, R6, 128)
    thumb.bpl(positive)
    thumb.rsbs(R6, R6)
    thumb.place(positive)
    thumb.adds(R0, R0, R6)
    thumb.subs(R5, R5, 4)
    thumb.bpl(column)
    thumb.lsls(R0, R0, 7)
    thumb.stm(R4, R0)
    thumb.adds(R1, R1, 1)
    thumb.subs(R7, R7, 1)
    thumb.bne(output)
    thumb.adds(R1, R1, R3)
    thumb.subs(R1, R1, 4)
    thumb.subs(R2, R2, 1)
    thumb.bne(quad)
    return thumb
