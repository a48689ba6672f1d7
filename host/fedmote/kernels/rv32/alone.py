"""Products of few pixels on RV32, as in dense layers: pixel by pixel, with weights where they stand.

Weights are read as w + 128: 128 times the sum of the inputs is taken from every sum.
"""

from collections.abc import Callable

from fedmote.kernels.arguments import PRODUCTS
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
from fedmote.kernels.rv32.requantise import Bounds, Scale, byte, constants, unshifted_byte, without_zero

_STEPS = 8  # in a turn of the loop

_TABLE, _COLUMNS, _INPUTS, _LEFT = A0, S9, S10, S11
_WEIGHTS, _BIAS, _MULTIPLIERS, _SHIFTS, _OUTPUTS, _X, _Y = A1, A2, A3, A4, A5, A6, A7
_TOTALS = (S0, S1, S2, S3)
_ADDED = S4
_BOUNDS = Bounds(S5, S6, S7)
_SCALE = Scale(T0, T1)


def alone(riscv: RiscV, frame: Frame) -> None:
    """Make all pixels. a0: arguments. frame: pad has room for a patch of bytes."""
    for register, name in zip(_BOUNDS, ("zero_y", "low", "high"), strict=True):
        _load(riscv, register, name)
    without_zero(riscv, _BOUNDS)
    _load(riscv, _COLUMNS, "columns")
    _load(riscv, _Y, "y")
    for place, first in (("u_0", "first_u"), ("u_1", "x"), ("pixel", "out_h")):
        _load(riscv, T0, first)
        frame.store(riscv, T0, place)
    row = riscv.label()
    for place, first in (("v_0", "first_v"), ("v_2", "out_w")):
        _load(riscv, T0, first)
        frame.store(riscv, T0, place)
    frame.load(riscv, T0, "u_1")
    frame.store(riscv, T0, "v_1")
    pixel = riscv.label()
    _find_inputs(riscv, frame)
    _sum_of_inputs(riscv)
    _quads(riscv)
    for kept, by, left, again in (("v", "pixel_step", "v_2", pixel), ("u", "row_step", "pixel", row)):
        for place, step in ((f"{kept}_1", by), (f"{kept}_0", f"stride_{'w' if kept == 'v' else 'h'}")):
            frame.load(riscv, T0, place)
            _load(riscv, T1, step)
            riscv.add(T0, T0, T1)
            frame.store(riscv, T0, place)
        frame.load(riscv, T0, left)
        riscv.addi(T0, T0, -1)
        frame.store(riscv, T0, left)
        riscv.bnez(T0, again)


def _find_inputs(riscv: RiscV, frame: Frame) -> None:
    """_INPUTS = where the pixel's inputs stand side by side: in x, or in a patch that this writes."""
    found = Label()
    frame.load(riscv, _INPUTS, "v_1")
    _load(riscv, T0, "pointwise")
    riscv.bnez(T0, found)
    # t0: the patch, t1: a row of taps, t2: u, t3: rows left; t4: a tap, t5: v, t6: columns left
    frame.load(riscv, T0, "pad")
    riscv.mv(T1, _INPUTS)
    frame.load(riscv, T2, "u_0")
    _load(riscv, T3, "kernel_h")
    row = riscv.label()
    riscv.mv(T4, T1)
    frame.load(riscv, T5, "v_0")
    _load(riscv, T6, "kernel_w")
    tap = riscv.label()
    inside, outside, copied = Label(), Label(), Label()
    _load(riscv, S0, "channels")
    _load(riscv, S1, "height")
    _load(riscv, S2, "width")
    riscv.mv(S3, T4)
    riscv.bgeu(T2, S1, outside)
    riscv.bltu(T5, S2, inside)
    riscv.place(outside)
    _load(riscv, S1, "zero_x")
    padding = riscv.label()
    riscv.sb(S1, T0)
    riscv.addi(T0, T0, 1)
    riscv.addi(S0, S0, -1)
    riscv.bnez(S0, padding)
    riscv.j(copied)
    riscv.place(inside)
    riscv.lb(S1, S3)
    riscv.sb(S1, T0)
    riscv.addi(S3, S3, 1)
    riscv.addi(T0, T0, 1)
    riscv.addi(S0, S0, -1)
    riscv.bnez(S0, inside)
    riscv.place(copied)
    _advance(riscv, T4, "tap_step")
    _advance(riscv, T5, "dilation_w")
    riscv.addi(T6, T6, -1)
    riscv.bnez(T6, tap)
    _advance(riscv, T1, "tap_row_step")
    _advance(riscv, T2, "dilation_h")
    riscv.addi(T3, T3, -1)
    riscv.bnez(T3, row)
    frame.load(riscv, _INPUTS, "pad")
    riscv.place(found)


def _sum_of_inputs(riscv: RiscV) -> None:
    """_ADDED = 128 times their sum."""
    riscv.li(_ADDED, 0)

    def step(n: int) -> None:
        riscv.lb(T0, _X, n)
        riscv.add(_ADDED, _ADDED, T0)

    riscv.mv(_X, _INPUTS)
    _turns(riscv, step, {_X: 1})
    riscv.slli(_ADDED, _ADDED, 7)


def _quads(riscv: RiscV) -> None:
    """Make the outputs of a pixel."""
    for register, name in (
        (_WEIGHTS, "weights"), (_BIAS, "bias"), (_MULTIPLIERS, "multipliers"), (_SHIFTS, "shifts"),
        (_OUTPUTS, "outputs"),
    ):  # fmt: skip
        _load(riscv, register, name)
    quad = riscv.label()
    end = Label()
    for total in _TOTALS:
        riscv.mv(total, _ADDED)
    riscv.mv(_X, _INPUTS)

    def step(n: int) -> None:
        products = (T0, T1, T2, T3)
        riscv.lb(T4, _X, n)
        for row, product in enumerate(products):
            riscv.lbu(product, _WEIGHTS, 4 * n + row)
        for product in products:
            riscv.mul(product, product, T4)
        for total, product in zip(_TOTALS, products, strict=True):
            riscv.sub(total, total, product)

    _turns(riscv, step, {_X: 1, _WEIGHTS: 4})
    for row, total in enumerate(_TOTALS):
        usual, made = Label(), Label()
        riscv.lw(T4, _BIAS, 4 * row)
        riscv.lw(_SCALE.doubled, _MULTIPLIERS, 4 * row)
        riscv.lw(_SCALE.right, _SHIFTS, 4 * row)
        riscv.sub(total, T4, total)
        constants(riscv, _SCALE, T2)
        riscv.bgez(_SCALE.right, usual)
        unshifted_byte(riscv, total, T4, _SCALE, _BOUNDS)
        riscv.j(made)
        riscv.place(usual)
        byte(riscv, total, T4, _SCALE, _BOUNDS)
        riscv.place(made)
        riscv.sb(T4, _Y, row)
        riscv.addi(_OUTPUTS, _OUTPUTS, -1)
        riscv.beqz(_OUTPUTS, end)
    for register, step_bytes in ((_BIAS, 16), (_MULTIPLIERS, 16), (_SHIFTS, 16), (_Y, 4)):
        riscv.addi(register, register, step_bytes)
    riscv.j(quad)
    riscv.place(end)
    # from the last quad's first output to the next pixel's first
    _load(riscv, T0, "outputs")
    riscv.addi(T0, T0, -1)
    riscv.andi(T0, T0, -4)
    riscv.sub(_Y, _Y, T0)
    _advance(riscv, _Y, "pitch")


def _turns(riscv: RiscV, step: Callable[[int], None], steps: dict[Register, int]) -> None:
    """Do ``step(n)`` for each column, eight in a turn. steps: by how much registers move for a column."""
    whole, eight, end = Label(), Label(), Label()
    riscv.andi(_LEFT, _COLUMNS, _STEPS - 1)
    riscv.beqz(_LEFT, whole)
    one = riscv.label()
    step(0)
    for register, size in steps.items():
        riscv.addi(register, register, size)
    riscv.addi(_LEFT, _LEFT, -1)
    riscv.bnez(_LEFT, one)
    riscv.place(whole)
    riscv.srli(_LEFT, _COLUMNS, 3)
    riscv.beqz(_LEFT, end)
    riscv.place(eight)
    for n in range(_STEPS):
        step(n)
    for register, size in steps.items():
        riscv.addi(register, register, _STEPS * size)
    riscv.addi(_LEFT, _LEFT, -1)
    riscv.bnez(_LEFT, eight)
    riscv.place(end)


def _load(riscv: RiscV, register: Register, name: str) -> None:
    riscv.lw(register, _TABLE, PRODUCTS.offset(name))


def _advance(riscv: RiscV, register: Register, name: str) -> None:
    _load(riscv, _LEFT, name)
    riscv.add(register, register, _LEFT)
