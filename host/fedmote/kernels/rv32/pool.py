"""The average_pool function of RV32; lib/mote/kernels/rv32/pool.py calls it."""

from fedmote.kernels.arguments import AVERAGE_POOL
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
    S0,
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S10,
    S11,
    T0,
    T1,
    T2,
    T3,
    T4,
    T5,
    ZERO,
    Register,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.requantise import Bounds, clamp

_FRAME = Frame()

_Y, _U, _V, _ROWS_LEFT, _COLUMNS_LEFT, _CHANNELS, _WIDTH = A1, A2, A3, A4, A5, A6, A7
_BOUNDS = Bounds(ZERO, S0, S1)
#: of the window's part in the image: first byte, rows, columns, bytes between its rows, half of its pixels,
#: all
_FIRST, _ROWS, _COLUMNS, _BETWEEN, _HALF, _COUNT = S2, S3, S4, S5, S6, S7
_CHANNELS_LEFT = S8


def average_pool() -> RiscV:
    """Return the code of the function."""
    riscv = RiscV()
    _FRAME.enter(riscv)
    for register, name in (
        (_Y, "y"), (_U, "first_u"), (_ROWS_LEFT, "out_h"), (_CHANNELS, "channels"), (_WIDTH, "width"),
        (_BOUNDS.low, "low"), (_BOUNDS.high, "high"),
    ):  # fmt: skip
        _load(riscv, register, name)
    row = riscv.label()
    _load(riscv, _V, "first_v")
    _load(riscv, _COLUMNS_LEFT, "out_w")
    pixel = riscv.label()
    _window(riscv)
    channel = riscv.label()
    _sum(riscv)
    _mean(riscv)
    clamp(riscv, T0, _BOUNDS)
    riscv.sb(T0, _Y)
    riscv.addi(_Y, _Y, 1)
    riscv.addi(_FIRST, _FIRST, 1)
    riscv.addi(_CHANNELS_LEFT, _CHANNELS_LEFT, -1)
    riscv.bnez(_CHANNELS_LEFT, channel)
    for place, step, left, again in (
        (_V, "stride_w", _COLUMNS_LEFT, pixel), (_U, "stride_h", _ROWS_LEFT, row),
    ):  # fmt: skip
        _load(riscv, T0, step)
        riscv.add(place, place, T0)
        riscv.addi(left, left, -1)
        riscv.bnez(left, again)
    _FRAME.leave(riscv)
    return riscv


def _window(riscv: RiscV) -> None:
    """Find the part of the window inside of the image."""
    for place, kernel, size, first, count in (
        (_U, "kernel_h", "height", S10, _ROWS), (_V, "kernel_w", "width", S11, _COLUMNS),
    ):  # fmt: skip
        inside, whole = Label(), Label()
        _load(riscv, count, kernel)
        _load(riscv, T0, size)
        riscv.add(count, count, place)
        riscv.bge(T0, count, whole)
        riscv.mv(count, T0)
        riscv.place(whole)
        riscv.mv(first, place)
        riscv.bgez(first, inside)
        riscv.li(first, 0)
        riscv.place(inside)
        riscv.sub(count, count, first)
    _load(riscv, T0, "x")
    riscv.mul(_FIRST, S10, _WIDTH)
    riscv.add(_FIRST, _FIRST, S11)
    riscv.mul(_FIRST, _FIRST, _CHANNELS)
    riscv.add(_FIRST, _FIRST, T0)
    riscv.sub(_BETWEEN, _WIDTH, _COLUMNS)
    riscv.mul(_BETWEEN, _BETWEEN, _CHANNELS)
    riscv.mul(_COUNT, _ROWS, _COLUMNS)
    riscv.srli(_HALF, _COUNT, 1)
    riscv.mv(_CHANNELS_LEFT, _CHANNELS)


def _sum(riscv: RiscV) -> None:
    """t0 = the sum of a channel's pixels in the window."""
    riscv.li(T0, 0)
    riscv.mv(T1, _FIRST)
    riscv.mv(T2, _ROWS)
    row = riscv.label()
    riscv.andi(T3, _COLUMNS, 3)
    riscv.srli(T4, _COLUMNS, 2)
    fours, four, end = Label(), Label(), Label()
    riscv.beqz(T3, fours)
    one = riscv.label()
    _pixel(riscv)
    riscv.addi(T3, T3, -1)
    riscv.bnez(T3, one)
    riscv.place(fours)
    riscv.beqz(T4, end)
    riscv.place(four)
    for _ in range(4):
        _pixel(riscv)
    riscv.addi(T4, T4, -1)
    riscv.bnez(T4, four)
    riscv.place(end)
    riscv.add(T1, T1, _BETWEEN)
    riscv.addi(T2, T2, -1)
    riscv.bnez(T2, row)


def _pixel(riscv: RiscV) -> None:
    riscv.lb(T5, T1)
    riscv.add(T1, T1, _CHANNELS)
    riscv.add(T0, T0, T5)


def _mean(riscv: RiscV) -> None:
    """t0 = the sum in t0 by their number, halves away from zero."""
    below, done = Label(), Label()
    riscv.bltz(T0, below)
    riscv.add(T0, T0, _HALF)
    riscv.j(done)
    riscv.place(below)
    riscv.sub(T0, T0, _HALF)
    riscv.place(done)
    riscv.div(T0, T0, _COUNT)  # towards zero


def _load(riscv: RiscV, register: Register, name: str) -> None:
    riscv.lw(register, A0, AVERAGE_POOL.offset(name))
