"""How products makes its stream on RV32: some quads with their constants, as quads.py wants them."""

from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import (
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
    T0,
    T1,
    T2,
    T4,
    T5,
    ZERO,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.requantise import MISSING, Scale, constants

#: where the stream is written; then where weights, bias, multipliers and shifts are
STREAM, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS = A1, A2, A3, A4, A5
#: quads, outputs from there on, columns, what T has too much at the end, 1 where columns are odd
QUADS, OUTPUTS, COLUMNS, ADDED, ODD = A6, A7, S0, S1, S2

_SCALE = Scale(T0, T1)


def expand(riscv: RiscV) -> None:
    """Write the stream. At the end all addresses are behind what was used, ``OUTPUTS`` is what is left."""
    quad = riscv.label()
    for row in range(4):
        riscv.lw(T0, BIAS, 4 * row)
        riscv.slli(T1, T0, 16)
        riscv.add(T1, T1, T0)
        riscv.sub(T1, T1, ADDED)
        riscv.sw(T1, STREAM, 8 * row)
        riscv.sw(T0, STREAM, 8 * row + 4)
    riscv.addi(STREAM, STREAM, 32)
    riscv.li(S3, 0x80808080)
    riscv.mv(T1, COLUMNS)
    step = riscv.label()
    riscv.lw(T0, WEIGHTS)
    riscv.addi(WEIGHTS, WEIGHTS, 4)
    riscv.xor(T0, T0, S3)
    riscv.sw(T0, STREAM)
    riscv.addi(STREAM, STREAM, 4)
    riscv.addi(T1, T1, -1)
    riscv.bnez(T1, step)
    even = Label()
    riscv.beqz(ODD, even)
    riscv.sw(ZERO, STREAM)
    riscv.addi(STREAM, STREAM, 4)
    riscv.place(even)
    riscv.li(T5, 4)
    row_of_scales = riscv.label()
    there = Label()
    riscv.lw(_SCALE.doubled, MULTIPLIERS)
    riscv.lw(_SCALE.right, SHIFTS)
    constants(riscv, _SCALE, T2)
    riscv.li(T4, 0)
    riscv.blt(T4, OUTPUTS, there)
    riscv.li(_SCALE.right, MISSING)
    riscv.place(there)
    for n, register in enumerate(_SCALE):
        riscv.sw(register, STREAM, 4 * n)
    riscv.addi(STREAM, STREAM, 8)
    for register in (BIAS, MULTIPLIERS, SHIFTS):
        riscv.addi(register, register, 4)
    riscv.addi(OUTPUTS, OUTPUTS, -1)
    riscv.addi(T5, T5, -1)
    riscv.bnez(T5, row_of_scales)
    riscv.addi(QUADS, QUADS, -1)
    riscv.bnez(QUADS, quad)
