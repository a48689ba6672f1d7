"""How the cores of an RP2040 tell each other something: a word that one fills and the other one empties."""

from fedmote.kernels.thumb import R0, R1, Label, Thumb


def post() -> Thumb:
    """Return the code of a function of a word's address that fills the word."""
    thumb = Thumb()
    thumb.movs(R1, 1)
    thumb.str_(R1, R0)
    thumb.sev()
    return thumb


def receive() -> Thumb:
    """Return the code of a function of a word's address that sleeps until it is filled, and empties it."""
    thumb, filled = Thumb(), Label()
    look = thumb.label()
    thumb.ldr(R1, R0)
    thumb.cmp(R1, 0)
    thumb.bne(filled)
    thumb.wfe()  # an event that came since the look counts
    thumb.b(look)
    thumb.place(filled)
    thumb.movs(R1, 0)
    thumb.str_(R1, R0)
    return thumb
