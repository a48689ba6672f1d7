"""Sums of activations of one shape, with the three roundings of docs/mote-format.md."""

from fedmote.kernels.arguments import ADD
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

_KEPT = ("right_a", "right_b", "right_y")
_FRACTION = 20  # bits that inputs are shifted left by


def add() -> Xtensa:
    """Return the function. Its argument: words as ADD has them."""
    code = Xtensa()
    words = Words(code, ADD, *_KEPT)
    requantise = Requantise(code, (A9, A10, A11), (A12, A13, A14, A15))
    a, b, y, left, first, second = A3, A4, A5, A6, A7, A8
    end = Label()
    for name in "aby":
        words.load(first, f"shift_{name}")
        code.neg(first, first)
        requantise.prepare(first)
        words.store(first, f"right_{name}")
    for register, name in ((a, "a"), (b, "b"), (y, "y"), (left, "count")):
        words.load(register, name)
    for register, name in zip(requantise.bounds, ("zero_y", "low", "high"), strict=True):
        words.load(register, name)
    value = code.label()
    for source, register, name in ((a, first, "a"), (b, second, "b")):
        code.l8ui(register, source)
        words.load(requantise.multiplier, f"zero_{name}")
        code.addi(source, source, 1)
        code.sext(register, register, 7)
        code.sub(register, register, requantise.multiplier)
        words.load(requantise.multiplier, f"multiplier_{name}")
        words.load(requantise.right, f"right_{name}")
        code.slli(register, register, _FRACTION)
        requantise.scale(register)
        code.mov(register, requantise.result)
    words.load(requantise.multiplier, "sign")
    code.mull(second, second, requantise.multiplier)
    words.load(requantise.multiplier, "multiplier_y")
    words.load(requantise.right, "right_y")
    code.add(first, first, second)
    requantise.emit(first)
    code.s8i(first, y)
    code.addi(y, y, 1)
    code.addi(left, left, -1)
    code.branch_on_zero("nez", left, value)
    code.j(end)
    requantise.finish()
    code.place(end)
    return code
