"""The loops of depthwise convolutions along a row of a plane (plane.py): for each of its words a window with
its sums in two lanes, then two bytes of y, of the upper half of the rows and of the lower."""

from collections.abc import Callable

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
    Xtensa,
)  # fmt: skip

Y, WINDOW, WEIGHTS, END = A3, A4, A5, A14
_T, _H, _ROW, _STEP = A6, A7, A12, A13
_X, _W, _SUM, _LEFT = A8, A9, A10, A15

_SIDE = 3  # of small windows


def requantiser(code: Xtensa) -> Requantise:
    """Return what requantises in these loops."""
    return Requantise(code, (A8, A9, A10), (A11, A12, A15, A13))


def small(code: Xtensa, words: Words, requantise: Requantise, together: int) -> None:
    """The loop for 3x3 windows whose taps touch. together: so many products of a row, or of all rows where
    these are two, have a sum within 16 bits."""

    def sums() -> None:
        words.load(_STEP, "row_step")
        taps = _SIDE * _SIDE
        for tap in range(taps):
            row, column = divmod(tap, _SIDE)
            if row and not column:
                code.add(_ROW, WINDOW if row == 1 else _ROW, _STEP)
            first, last = tap % together == 0, tap % together == together - 1 or tap == taps - 1
            code.l32i(_X, _ROW if row else WINDOW, 4 * column)
            code.l32i(_W, WEIGHTS, 4 * tap)
            code.mull(_SUM if first else _X, _X, _W)
            if not first:
                code.add(_SUM, _SUM, _X)
            if last:
                _drain(code)

    _loop(code, words, requantise, sums)


def small_drains(together: int) -> int:
    """Return how often a window of ``small`` is drained."""
    return -(-_SIDE * _SIDE // together)


def general(code: Xtensa, words: Words, requantise: Requantise) -> None:
    """The loop for all other windows, over pairs of taps; the last weight of a row may be one of 0 on top."""

    def sums() -> None:
        words.load(_STEP, "tap_step")
        words.load(_LEFT, "kernel_h")
        words.load(WEIGHTS, "table")
        code.mov(_ROW, WINDOW)
        row = code.label()
        words.load(A11, "pairs")
        pair = code.label()
        code.l32i(_X, _ROW)
        code.l32i(_W, WEIGHTS)
        code.add(_ROW, _ROW, _STEP)
        code.mull(_SUM, _X, _W)
        code.l32i(_X, _ROW)
        code.l32i(_W, WEIGHTS, 4)
        code.add(_ROW, _ROW, _STEP)
        code.mull(_X, _X, _W)
        code.addi(WEIGHTS, WEIGHTS, 8)
        code.addi(A11, A11, -1)
        code.add(_SUM, _SUM, _X)
        _drain(code)
        code.branch_on_zero("nez", A11, pair)
        words.load(A11, "next_row")
        code.addi(_LEFT, _LEFT, -1)
        code.add(_ROW, _ROW, A11)
        code.branch_on_zero("nez", _LEFT, row)

    _loop(code, words, requantise, sums)


def _drain(code: Xtensa) -> None:
    code.add(_T, _T, _SUM)
    code.addmi(_SUM, _SUM, -0x8000)
    code.srai(_SUM, _SUM, 16)
    code.add(_H, _H, _SUM)


def _loop(code: Xtensa, words: Words, requantise: Requantise, sums: Callable[[], None]) -> None:
    """From ``WINDOW`` to ``END``; ``Y`` moves along."""
    window, end = code.label(), Label()
    words.load(_T, "first_t")
    words.load(_H, "first_h")
    sums()
    code.slli(A8, _H, 16)
    code.sub(_T, _T, A8)
    for register, name in zip(
        (*requantise.bounds, requantise.multiplier, requantise.right),
        ("zero_y", "low", "high", "multiplier", "right"),
        strict=True,
    ):
        words.load(register, name)
    for register in (_T, _H):
        requantise.emit(register)
    words.load(A8, "high_y")
    words.load(A9, "along")
    words.load(A10, "outputs")
    code.add(A8, A8, Y)
    code.s8i(_T, Y)
    code.s8i(_H, A8)
    code.add(WINDOW, WINDOW, A9)
    code.add(Y, Y, A10)
    code.branch("eq", WINDOW, END, end)
    code.j(window)
    code.place(end)
