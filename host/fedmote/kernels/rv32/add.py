"""The add function of RV32: sums of two activations of one shape; lib/mote/kernels/rv32/elementwise.py calls
it."""

from fedmote.kernels.arguments import ADD
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
    T0,
    T1,
    T2,
    Register,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.requantise import Bounds, Scale, clamp, constants, high, shift, without_zero

_FRAME = Frame()

_A, _B, _Y, _END = A1, A2, A3, A4
_SCALES = {"a": Scale(S0, S1), "b": Scale(S2, S3), "y": Scale(S4, S5)}
_ZEROS = {"a": A5, "b": A6}
_BOUNDS = Bounds(A7, S6, S7)
_SIGN = S8
_LEFT = 20  # bits that inputs are shifted before


def add() -> RiscV:
    """Return the code of the function."""
    riscv = RiscV()
    _FRAME.enter(riscv)
    for name, scale in _SCALES.items():
        _load(riscv, scale.doubled, f"multiplier_{name}")
        _load(riscv, scale.right, f"shift_{name}")
        riscv.neg(scale.right, scale.right)
        constants(riscv, scale, T0)
    for register, name in (
        (_A, "a"), (_B, "b"), (_Y, "y"), (_END, "count"), (_ZEROS["a"], "zero_a"), (_ZEROS["b"], "zero_b"),
        (_SIGN, "sign"), *zip(_BOUNDS, ("zero_y", "low", "high"), strict=True),
    ):  # fmt: skip
        _load(riscv, register, name)
    without_zero(riscv, _BOUNDS)
    riscv.add(_END, _END, _Y)
    value = riscv.label()
    for name, source, scaled in (("a", _A, T0), ("b", _B, T1)):
        riscv.lb(T2, source)
        riscv.addi(source, source, 1)
        riscv.sub(T2, T2, _ZEROS[name])
        riscv.slli(T2, T2, _LEFT)
        _scale(riscv, T2, scaled, _SCALES[name])
    riscv.mul(T1, T1, _SIGN)
    riscv.add(T1, T1, T0)
    _scale(riscv, T1, T0, _SCALES["y"])
    clamp(riscv, T0, _BOUNDS)
    riscv.add(T0, T0, _BOUNDS.zero)
    riscv.sb(T0, _Y)
    riscv.addi(_Y, _Y, 1)
    riscv.bne(_Y, _END, value)
    _FRAME.leave(riscv)
    return riscv


def _scale(riscv: RiscV, value: Register, result: Register, scale: Scale) -> None:
    unshifted = Label()
    high(riscv, value, result, scale)
    riscv.bltz(scale.right, unshifted)
    shift(riscv, value, result, scale)
    riscv.place(unshifted)


def _load(riscv: RiscV, register: Register, name: str) -> None:
    riscv.lw(register, A0, ADD.offset(name))
