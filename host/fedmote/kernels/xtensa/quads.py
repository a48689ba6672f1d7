"""Four outputs at a time: their constants and weights in the scratch memory, and the sums of their products
with a patch."""

from fedmote.kernels.xtensa.requantise import Requantise
from fedmote.kernels.xtensa.words import Words
from fedmote.kernels.xtensa_lx import (
    A3,
    A4,
    A5,
    A6,
    A7,
    A8,
    A9,
    A10,
    A11,
    A12,
    A13,
    A14,
    A15,
    Label,
    Register,
    Xtensa,
)  # fmt: skip

#: bytes of a quad's first sums, before its weights, and of its constants behind them
SUMS, CONSTANTS = 16, 32
#: bytes of expanded weights for a column
COLUMN = 8

_TURN, _TAIL = 8, 4  # columns
_LANES = 0x00800080
_WINDOWS = (2, 4, 8)


def constants(code: Xtensa, words: Words, requantise: Requantise, to: Register, shift: Register) -> None:
    """Write the quad's multipliers and prepared shifts to where ``to`` is, and let the words ``quad_bias``,
    ``quad_multipliers`` and ``quad_shifts`` have the next quad's. Changes ``shift``, a10, a11, and what
    ``requantise`` does."""
    for number in range(4):
        words.load(A10, "quad_multipliers")
        words.load(shift, "quad_shifts")
        code.l32i(A10, A10, 4 * number)
        code.l32i(shift, shift, 4 * number)
        requantise.prepare(shift)
        code.s32i(A10, to, 8 * number)
        code.s32i(shift, to, 8 * number + 4)
    for name in ("quad_bias", "quad_multipliers", "quad_shifts"):
        words.advance(name, 16, A10, A11)


def expand(code: Xtensa, words: Words) -> None:
    """Write a quad's first sums and its weights to a8, which moves behind them. a9: its weights, which moves
    likewise. Both lanes of a word: outputs 0 and 2, then 1 and 3. Changes a3 to a7 and a10 to a15."""
    mask, offset, count, p, q = A10, A11, A12, A13, A14
    words.load(A3, "quad_bias")
    words.load(A15, "drains")
    for first in (0, 1):
        code.l32i(A4, A3, 4 * first)
        code.l32i(A5, A3, 4 * first + 8)
        code.slli(A6, A5, 16)
        code.add(A4, A4, A6)
        code.add(A5, A5, A15)
        code.s32i(A4, A8, 8 * first)
        code.s32i(A5, A8, 8 * first + 4)
    code.addi(A8, A8, SUMS)
    code.constant(mask, 0x00FF00FF)
    code.constant(offset, _LANES)
    words.load(count, "columns")
    again = code.label()
    code.l32i(p, A9)
    code.addi(A9, A9, 4)
    code.srli(q, p, 8)
    code.and_(p, p, mask)
    code.and_(q, q, mask)
    code.sub(p, p, offset)
    code.sub(q, q, offset)
    code.s32i(p, A8)
    code.s32i(q, A8, 4)
    code.addi(A8, A8, COLUMN)
    code.addi(count, count, -1)
    code.branch_on_zero("nez", count, again)
    words.load(A3, "columns")
    code.neg(A3, A3)
    code.extui(A3, A3, 0, 2)  # columns beyond the last
    end = Label()
    code.branch_on_zero("eqz", A3, end)
    again = code.label()
    code.s32i(count, A8)
    code.s32i(count, A8, 4)
    code.addi(A8, A8, COLUMN)
    code.addi(A3, A3, -1)
    code.branch_on_zero("nez", A3, again)
    code.place(end)


def sums_of_expanded(code: Xtensa, words: Words) -> None:
    """Add up a quad whose first sums are at a8, which moves behind its weights, with the patch at a9. The
    four sums, of outputs 0, 2, 1, 3, end in a4 to a7. Changes all registers but a2."""
    done = Label()
    labels = {window: Label() for window in _WINDOWS}
    for number, register in enumerate((A4, A5, A6, A7)):
        code.l32i(register, A8, 4 * number)
    words.load(A10, "window")
    words.load(A3, "turns")
    code.addi(A8, A8, SUMS)
    for bit, window in enumerate(_WINDOWS[:-1], 1):
        longer = Label()
        code.bbci(A10, bit, longer)
        code.j(labels[window])
        code.place(longer)
    for window in reversed(_WINDOWS):
        tail = Label()
        code.place(labels[window])
        code.branch_on_zero("eqz", A3, tail)
        again = code.label()
        _columns(code, _TURN, window)
        code.addi(A3, A3, -1)
        code.branch_on_zero("nez", A3, again)
        code.place(tail)
        words.load(A3, "tail")
        code.branch_on_zero("eqz", A3, done)
        _columns(code, _TAIL, min(window, _TAIL))
        if window != _WINDOWS[0]:
            code.j(done)
    code.place(done)
    code.slli(A10, A5, 16)
    code.slli(A11, A7, 16)
    code.sub(A4, A4, A10)
    code.sub(A6, A6, A11)


def _columns(code: Xtensa, count: int, window: int) -> None:
    x, p, q, p_sum, q_sum = A10, A11, A12, A13, A14
    for column in range(count):
        first = column % window == 0
        code.l32i(x, A9, 4 * column)
        code.l32i(p, A8, COLUMN * column)
        code.l32i(q, A8, COLUMN * column + 4)
        code.mull(p_sum if first else p, p, x)
        code.mull(q_sum if first else q, q, x)
        if not first:
            code.add(p_sum, p_sum, p)
            code.add(q_sum, q_sum, q)
        if column % window == window - 1:
            code.add(A4, A4, p_sum)
            code.add(A6, A6, q_sum)
            code.addmi(p_sum, p_sum, -0x8000)
            code.addmi(q_sum, q_sum, -0x8000)
            code.srai(p_sum, p_sum, 16)
            code.srai(q_sum, q_sum, 16)
            code.add(A5, A5, p_sum)
            code.add(A7, A7, q_sum)
    code.addi(A8, A8, COLUMN * count)
    code.addi(A9, A9, 4 * count)


def too_much(code: Xtensa, words: Words) -> None:
    """Let the word ``too_much`` be 128 times the sum of the patch. Changes a3 to a9."""
    total, values = A9, (A4, A5, A6, A7)
    words.load(A3, "columns")
    words.load(A8, "patch")
    code.movi(total, 0)
    code.addi(A3, A3, len(values) - 1)
    code.srai(A3, A3, 2)
    again = code.label()
    for number, value in enumerate(values):
        code.l32i(value, A8, 4 * number)
    code.addi(A8, A8, 4 * len(values))
    for value in values:
        code.add(total, total, value)
    code.addi(A3, A3, -1)
    code.branch_on_zero("nez", A3, again)
    code.slli(total, total, 7)
    words.store(total, "too_much")


def sums_of_bytes(code: Xtensa, words: Words) -> None:
    """Add up a quad whose weights, 128 too much, are at a8, which moves behind them, with the patch at a9.
    The word ``too_much`` has 128 times the sum of the patch. Otherwise as ``sums_of_expanded``."""
    sums = A4, A6, A5, A7
    words.load(A10, "quad_bias")
    words.load(A11, "too_much")
    words.load(A3, "columns")
    for number, register in enumerate(sums):
        code.l32i(register, A10, 4 * number)
    for register in sums:
        code.sub(register, register, A11)
    for count in (4, 1):
        end = Label()
        if count == 1:
            words.load(A3, "columns")
            code.extui(A3, A3, 0, 2)
        else:
            code.extui(A3, A3, 2, 16)
        code.branch_on_zero("eqz", A3, end)
        again = code.label()
        for column in range(count):
            code.l32i(A10, A9, 4 * column)
            for number, work in enumerate((A11, A12, A13, A14)):
                code.l8ui(work, A8, 4 * column + number)
            for register, work in zip(sums, (A11, A12, A13, A14), strict=True):
                code.mul16s(work, work, A10)
                code.add(register, register, work)
        code.addi(A8, A8, 4 * count)
        code.addi(A9, A9, 4 * count)
        code.addi(A3, A3, -1)
        code.branch_on_zero("nez", A3, again)
        code.place(end)
