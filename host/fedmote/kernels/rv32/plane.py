"""The plane of a channel on RV32, which taps reads: words with a pixel of the upper half of the rows and one
of the lower half in two lanes, and padding around them."""

from fedmote.kernels.arguments import TAPS
from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import (
    A0,
    A1,
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
    SP,
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

_LOW, _HIGH, _LOW_STEP, _HIGH_STEP, _COUNT = T0, T1, T2, T3, T4
_TARGET = S6


def pad(riscv: RiscV, frame: Frame) -> None:
    """Fill the plane with padding. a0: arguments. frame: plane, zero_x."""
    frame.load(riscv, T0, "plane")
    frame.load(riscv, T1, "zero_x")
    riscv.slli(T2, T1, 16)
    riscv.add(T1, T1, T2)
    load(riscv, T2, "plane_rows")
    load(riscv, T3, "pitch")
    riscv.mul(T2, T2, T3)
    cell = riscv.label()
    riscv.sw(T1, T0)
    riscv.addi(T0, T0, 4)
    riscv.addi(T2, T2, -1)
    riscv.bnez(T2, cell)


def fill(riscv: RiscV, frame: Frame) -> None:
    """Write the pixels of a channel. a0: arguments. frame: plane, zero_x, x of the channel."""
    for register, name in (
        (S0, "plane_rows"), (S1, "first_u"), (S2, "high_u"), (S3, "height"), (S5, "row_bytes"), (S7, "pitch"),
        (S8, "copied"), (S9, "channels"), (T0, "left"),
    ):  # fmt: skip
        load(riscv, register, name)
    frame.load(riscv, S4, "x")
    frame.load(riscv, _TARGET, "plane")
    riscv.addi(S10, SP, frame.offset("zero_x"))
    riscv.slli(T0, T0, 2)
    riscv.add(_TARGET, _TARGET, T0)
    riscv.sub(S7, S7, S8)
    riscv.slli(S7, S7, 2)  # between the pixels of two rows
    riscv.slli(A1, S8, 2)
    row, done, beside = riscv.label(), Label(), Label()
    for place, source, step in ((S1, _LOW, _LOW_STEP), (S2, _HIGH, _HIGH_STEP)):
        outside = Label()
        riscv.mv(source, S10)
        riscv.li(step, 0)
        riscv.bgeu(place, S3, outside)
        riscv.mul(source, place, S5)
        riscv.add(source, source, S4)
        riscv.mv(step, S9)
        riscv.place(outside)
        riscv.addi(place, place, 1)
    riscv.or_(T5, _LOW_STEP, _HIGH_STEP)
    riscv.beqz(T5, beside)
    _pixels(riscv)
    riscv.j(done)
    riscv.place(beside)
    riscv.add(_TARGET, _TARGET, A1)
    riscv.place(done)
    riscv.add(_TARGET, _TARGET, S7)
    riscv.addi(S0, S0, -1)
    riscv.bnez(S0, row)


def _pixels(riscv: RiscV) -> None:
    """Write a row's: 31 instructions for four cells."""
    small, end = Label(), Label()

    def cell(n: int) -> None:
        riscv.lb(T5, _LOW)
        riscv.lb(T6, _HIGH)
        riscv.add(_LOW, _LOW, _LOW_STEP)
        riscv.add(_HIGH, _HIGH, _HIGH_STEP)
        riscv.slli(T6, T6, 16)
        riscv.add(T5, T5, T6)
        riscv.sw(T5, _TARGET, 4 * n)

    riscv.addi(_COUNT, S8, -4)
    riscv.bltz(_COUNT, small)
    four = riscv.label()
    for n in range(4):
        cell(n)
    riscv.addi(_TARGET, _TARGET, 16)
    riscv.addi(_COUNT, _COUNT, -4)
    riscv.bgez(_COUNT, four)
    riscv.place(small)
    riscv.addi(_COUNT, _COUNT, 3)
    riscv.bltz(_COUNT, end)
    one = riscv.label()
    cell(0)
    riscv.addi(_TARGET, _TARGET, 4)
    riscv.addi(_COUNT, _COUNT, -1)
    riscv.bgez(_COUNT, one)
    riscv.place(end)


def load(riscv: RiscV, register: Register, name: str) -> None:
    """register = an argument. a0: arguments."""
    riscv.lw(register, A0, TAPS.offset(name))
