"""How the first core of an RP2040 has the second one work: by a mail, two words in memory. The first is the
address of a function, 0 where there is no work, the second what the function gets.

The second core runs nothing but machine code: no interpreter that could allocate, and no code in the flash.
"""

from fedmote.kernels.thumb import PC, R0, R1, R2, R4, R5, Label, Thumb

_PUSHED = 2  # bytes of what the inline assembler puts before the code
_AHEAD = 4  # so far the program counter is ahead of the instruction that reads it


def known(thumb: Thumb) -> Label:
    """Let a function, whose code begins here, return its own address where it gets 0.

    The label is to be placed at the end of the code. Only r0, the flags and lr are changed.
    """
    begin, end = Label(), Label()
    start = len(thumb)
    thumb.cmp(R0, 0)
    thumb.bne(begin)
    at = len(thumb) - start
    thumb.mov(R0, PC)
    thumb.subs(R0, R0, _PUSHED + at + _AHEAD - 1)  # addresses of Thumb code are odd
    thumb.bl(end)
    thumb.place(begin)
    return end


def work() -> Thumb:
    """Return the code of a function that does what comes by a mail, and never ends. r0: the mail."""
    thumb, given = Thumb(), Label()
    thumb.movs(R4, R0)
    look = thumb.label()
    thumb.ldr(R1, R4)
    thumb.cmp(R1, 0)
    thumb.bne(given)
    thumb.wfe()  # an event that came since the look counts
    thumb.b(look)
    thumb.place(given)
    thumb.ldr(R0, R4, 4)
    thumb.blx(R1)
    thumb.movs(R1, 0)
    thumb.str_(R1, R4)
    thumb.sev()
    thumb.b(look)
    return thumb


def share() -> Thumb:
    """Return the code of a function that calls another one twice, on both cores at the same time.

    r0 is at four words: the address of the mail and of the function, and what it gets there and here.
    """
    thumb, done = Thumb(), Label()
    thumb.movs(R4, R0)
    thumb.ldr(R5, R4)
    thumb.ldr(R1, R4, 4)
    thumb.ldr(R2, R4, 8)
    thumb.str_(R2, R5, 4)
    thumb.str_(R1, R5)
    thumb.sev()
    thumb.ldr(R0, R4, 12)
    thumb.blx(R1)
    look = thumb.label()
    thumb.ldr(R1, R5)
    thumb.cmp(R1, 0)
    thumb.beq(done)
    thumb.wfe()
    thumb.b(look)
    thumb.place(done)
    return thumb
