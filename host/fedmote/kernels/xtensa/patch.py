"""The inputs of one pixel's window, in the scratch memory: a word each, signed, in the weights' order."""

from collections.abc import Callable

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

_BYTES_OF_TURN = 4
#: words of 0 behind the last
PADDING = 3


def emit(code: Xtensa, words: Words) -> None:
    """Write words to a9, and three of 0 behind them. The pixel is told by the words ``pixel_x``, the address
    of its first tap, ``u`` and ``v``. Changes all registers but a2."""
    u, taps, row, left, v, source, to, from_, count = A3, A4, A5, A6, A7, A8, A9, A10, A11
    work, other, valid, tap_v = A12, A13, A14, A15
    row_of_line, next_row, tap, fill, filled, next_tap, one_by_one = (Label() for _ in range(7))
    # where no tap of a row lies in the padding beside the image, and they touch, a row is one tap
    words.load(row, "pixel_x")
    words.load(u, "u")
    words.load(v, "v")
    words.load(taps, "kernel_w")
    words.load(count, "channels")
    words.load(work, "end_v")
    words.load(other, "dilation_w")
    words.load(left, "kernel_h")
    code.branch("geu", v, work, one_by_one)
    code.addi(other, other, -1)
    code.branch_on_zero("eqz", other, row_of_line)
    code.place(one_by_one)
    code.j(next_row)
    code.place(row_of_line)
    code.movi(taps, 1)
    words.load(count, "line")
    code.place(next_row)
    words.store(taps, "taps")
    words.store(count, "tap_bytes")
    words.store(left, "rows_of_taps")
    rows = code.label()
    words.load(work, "height")
    words.load(taps, "taps")
    words.load(left, "width")
    code.movi(valid, 0)
    code.branch("geu", u, work, tap)
    code.mov(valid, left)
    code.place(tap)
    code.mov(source, row)
    code.mov(tap_v, v)
    each = code.label()
    words.load(count, "tap_bytes")
    code.branch("geu", tap_v, valid, fill)
    code.mov(from_, source)
    _in_turns(code, count, left, lambda number: _byte(code, to, from_, number, work), (to, 4), (from_, 1))
    code.j(filled)
    code.place(fill)
    words.load(work, "zero_x")
    _in_turns(code, count, left, lambda number: code.s32i(work, to, 4 * number), (to, 4))
    code.place(filled)
    code.addi(taps, taps, -1)
    code.branch_on_zero("eqz", taps, next_tap)
    words.load(work, "tap_step")
    words.load(other, "dilation_w")
    code.add(source, source, work)
    code.add(tap_v, tap_v, other)
    code.j(each)
    code.place(next_tap)
    words.load(left, "rows_of_taps")
    words.load(work, "tap_row_step")
    words.load(other, "dilation_h")
    code.add(row, row, work)
    code.add(u, u, other)
    code.addi(left, left, -1)
    words.store(left, "rows_of_taps")
    code.branch_on_zero("nez", left, rows)
    for number in range(PADDING):  # left is 0
        code.s32i(left, to, 4 * number)


def _byte(code: Xtensa, to: Register, source: Register, number: int, work: Register) -> None:
    code.l8ui(work, source, number)
    code.sext(work, work, 7)
    code.s32i(work, to, 4 * number)


def _in_turns(
    code: Xtensa, count: Register, turns: Register, one: Callable[[int], None], *steps: tuple[Register, int]
) -> None:
    """Write ``one`` for ``count`` values, four in a turn. steps: pointers with what a value moves them."""
    rest, end = Label(), Label()
    for number, label in ((_BYTES_OF_TURN, rest), (1, end)):
        if number == 1:
            code.extui(turns, count, 0, 2)
        else:
            code.extui(turns, count, 2, 16)
        code.branch_on_zero("eqz", turns, label)
        again = code.label()
        for value in range(number):
            one(value)
        for pointer, step in steps:
            code.addi(pointer, pointer, number * step)
        code.addi(turns, turns, -1)
        code.branch_on_zero("nez", turns, again)
        code.place(label)
