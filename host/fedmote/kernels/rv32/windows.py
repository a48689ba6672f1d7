"""The loops of depthwise convolutions on RV32: along a row of a plane (plane.py), for each of its words a
window with its sums in two lanes; then two bytes of y, of the upper half of the rows and of the lower.

A loop begins with ``WINDOW`` at the first window and ``END`` behind the last one, and goes on behind its
code. docs/kernels.md explains the lanes.
"""

from collections.abc import Callable

from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import (
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    RA,
    S0,
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    T0,
    T1,
    T2,
    T3,
    T4,
    T5,
    T6,
    Register,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.requantise import Bounds, Scale, byte, unshifted_byte

SCALE, BOUNDS = Scale(A1, A2), Bounds(A5, A6, A7)
#: steps from window to window, and of y
ALONG, STEP = A3, A4
HALF, Y, HIGH_Y, WINDOW, END = T5, A0, T6, S9, RA
#: of 3x3 windows: the weights, and rows of taps
WEIGHTS, ROWS = (S0, S1, S2, S3, S4, S5, S6, S7, S8), (S9, S10, S11)
_T, _H = T3, T4
_TEMPORARY = (T0, T1, T2)

#: taps in a turn of ``general``
_TURN = 4


def in_threes(riscv: RiscV, frame: Frame) -> None:
    """The loop for 3x3 windows without dilation_w, where each row of taps fits a lane."""
    pixel = _begin(riscv, frame)
    for number, row in enumerate(ROWS):
        for n, register in enumerate(_TEMPORARY):
            riscv.lw(register, row, 4 * n)
        for n, register in enumerate(_TEMPORARY):
            riscv.mul(register, register, WEIGHTS[3 * number + n])
        riscv.add(T0, T0, T1)
        riscv.add(T0, T0, T2)
        _drain(riscv, T0)
    _end(riscv, pixel, ROWS)


def in_twos(riscv: RiscV, frame: Frame) -> None:
    """The same where it may not: taps are drained two by two."""
    pixel = _begin(riscv, frame)
    for tap in range(0, 9, 2):
        taps = range(tap, min(tap + 2, 9))
        for n, register in zip(taps, _TEMPORARY, strict=False):
            riscv.lw(register, ROWS[n // 3], 4 * (n % 3))
        for n, register in zip(taps, _TEMPORARY, strict=False):
            riscv.mul(register, register, WEIGHTS[n])
        if len(taps) == 2:
            riscv.add(T0, T0, T1)
        _drain(riscv, T0)
    _end(riscv, pixel, ROWS)


def general(riscv: RiscV, frame: Frame) -> None:
    """The loop for any window without dilation_w. frame: kernel_h, kernel_w, down, weights of the output."""
    pixel = _begin(riscv, frame)
    _begin_taps(riscv, frame)
    row = riscv.label()
    pairs, single, row_end = Label(), Label(), Label()
    riscv.addi(S1, S4, -_TURN)
    riscv.bltz(S1, pairs)
    turn = riscv.label()
    _pairs(riscv, _TURN // 2)
    riscv.bgez(S1, turn)
    riscv.place(pairs)
    riscv.addi(S1, S1, _TURN - 2)
    riscv.bltz(S1, single)
    _pairs(riscv, 1)
    riscv.place(single)
    riscv.addi(S1, S1, 1)
    riscv.bltz(S1, row_end)
    _tap(riscv)
    riscv.addi(S10, S10, 4)
    riscv.place(row_end)
    _end_row(riscv, row)
    _end(riscv, pixel, (WINDOW,))


def dilated(riscv: RiscV, frame: Frame) -> None:
    """The loop for any window. frame: as for ``general``, tap_step."""
    pixel = _begin(riscv, frame)
    _begin_taps(riscv, frame)
    frame.load(riscv, S6, "tap_step")
    row = riscv.label()
    riscv.mv(S1, S4)
    tap = riscv.label()
    _tap(riscv)
    riscv.add(S10, S10, S6)
    riscv.addi(S1, S1, -1)
    riscv.bnez(S1, tap)
    _end_row(riscv, row)
    _end(riscv, pixel, (WINDOW,))


def _begin(riscv: RiscV, frame: Frame) -> Label:
    """T and H begin with the bias."""
    pixel = riscv.label()
    frame.load(riscv, _T, "first_t")
    frame.load(riscv, _H, "first_h")
    return pixel


def _begin_taps(riscv: RiscV, frame: Frame) -> None:
    """s0: rows of taps, s10: the first tap, s11: its weight, s4: columns, s5: from row to row."""
    for register, name in ((S0, "kernel_h"), (S4, "kernel_w"), (S5, "down"), (S11, "weights")):
        frame.load(riscv, register, name)
    riscv.mv(S10, WINDOW)


def _pairs(riscv: RiscV, count: int) -> None:
    for pair in range(count):
        for n, (x, weight) in enumerate(((T0, S2), (T1, S3))):
            riscv.lw(x, S10, 8 * pair + 4 * n)
            riscv.lb(weight, S11, 2 * pair + n)
        riscv.mul(T0, T0, S2)
        riscv.mul(T1, T1, S3)
        riscv.add(T0, T0, T1)
        _drain(riscv, T0)
    riscv.addi(S10, S10, 8 * count)
    riscv.addi(S11, S11, 2 * count)
    riscv.addi(S1, S1, -2 * count)


def _tap(riscv: RiscV) -> None:
    riscv.lw(T0, S10)
    riscv.lb(S2, S11)
    riscv.addi(S11, S11, 1)
    riscv.mul(T0, T0, S2)
    _drain(riscv, T0)


def _end_row(riscv: RiscV, row: Label) -> None:
    riscv.add(S10, S10, S5)
    riscv.addi(S0, S0, -1)
    riscv.bnez(S0, row)


def _drain(riscv: RiscV, total: Register) -> None:
    """Add the lanes of a sum to T and H."""
    riscv.add(total, total, HALF)
    riscv.add(_T, _T, total)
    riscv.srai(total, total, 16)
    riscv.add(_H, _H, total)


def _end(riscv: RiscV, pixel: Label, moved: tuple[Register, ...]) -> None:
    """Store both bytes and go to the next window, with all pointers that move."""
    unshifted, stored, row_end = Label(), Label(), Label()
    riscv.slli(T0, _H, 16)
    riscv.sub(_T, _T, T0)
    riscv.bltz(SCALE.right, unshifted)
    _store(riscv, byte)
    riscv.place(stored)
    for register in moved:
        riscv.add(register, register, ALONG)
    riscv.add(Y, Y, STEP)
    riscv.add(HIGH_Y, HIGH_Y, STEP)
    riscv.bne(WINDOW, END, pixel)
    riscv.j(row_end)
    riscv.place(unshifted)
    _store(riscv, unshifted_byte)
    riscv.j(stored)
    riscv.place(row_end)


def _store(riscv: RiscV, make: Callable[..., None]) -> None:
    for total, target in ((_T, Y), (_H, HIGH_Y)):
        make(riscv, total, T0, SCALE, BOUNDS)
        riscv.sb(T0, target)
