"""How a sum becomes a byte on RV32, exactly: by the upper half of the product with twice the multiplier.

h = the upper half of S * 2m, plus the highest bit of the lower half, is the rounding doubling high multiply.
(((h - [h < 0]) >> (r - 1)) + 1) >> 1 is h / 2^r, rounded with ties away from zero, for r > 0, and no step of
it exceeds 32 bits for any S.
"""

from typing import NamedTuple

from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import Register, RiscV

#: shift of an output that is not to be written
MISSING = -128


class Scale(NamedTuple):
    """Registers with the constants of an output. doubled: 2m. right: r - 1; negative where nothing is shifted
    to the right, but sums to the left, by -1 - right."""

    doubled: Register
    right: Register


class Bounds(NamedTuple):
    """Registers with what is the same for all outputs: low and high are without the zero point."""

    zero: Register
    low: Register
    high: Register


def constants(riscv: RiscV, scale: Scale, temporary: Register) -> None:
    """Make the constants from the multiplier, in ``doubled``, and the shift, in ``right``."""
    near = Label()
    riscv.slli(scale.doubled, scale.doubled, 1)
    riscv.xori(scale.right, scale.right, -1)  # -1 - shift
    riscv.li(temporary, 30)
    riscv.bge(temporary, scale.right, near)
    riscv.mv(scale.right, temporary)
    riscv.li(scale.doubled, 0)
    riscv.place(near)


def without_zero(riscv: RiscV, bounds: Bounds) -> None:
    """Take the zero point from the bounds."""
    riscv.sub(bounds.low, bounds.low, bounds.zero)
    riscv.sub(bounds.high, bounds.high, bounds.zero)


def byte(riscv: RiscV, total: Register, result: Register, scale: Scale, bounds: Bounds) -> None:
    """result = the output for a sum, which is lost. scale.right is not negative."""
    high(riscv, total, result, scale)
    shift(riscv, total, result, scale)
    clamp(riscv, result, bounds)
    riscv.add(result, result, bounds.zero)


def unshifted_byte(riscv: RiscV, total: Register, result: Register, scale: Scale, bounds: Bounds) -> None:
    """The same where scale.right is negative."""
    riscv.xori(result, scale.right, -1)
    riscv.sll(total, total, result)
    high(riscv, total, result, scale)
    clamp(riscv, result, bounds)
    riscv.add(result, result, bounds.zero)


def high(riscv: RiscV, total: Register, result: Register, scale: Scale) -> None:
    """result = h; total is lost."""
    riscv.mulhsu(result, total, scale.doubled)
    riscv.mul(total, total, scale.doubled)
    riscv.srli(total, total, 31)
    riscv.add(result, result, total)


def shift(riscv: RiscV, temporary: Register, result: Register, scale: Scale) -> None:
    """Shift h in ``result`` to the right."""
    riscv.srai(temporary, result, 31)
    riscv.add(result, result, temporary)
    riscv.sra(result, result, scale.right)
    riscv.addi(result, result, 1)
    riscv.srai(result, result, 1)


def clamp(riscv: RiscV, result: Register, bounds: Bounds) -> None:
    """Keep a result within its bounds."""
    above, below = Label(), Label()
    riscv.bge(result, bounds.low, above)
    riscv.mv(result, bounds.low)
    riscv.place(above)
    riscv.bge(bounds.high, result, below)
    riscv.mv(result, bounds.high)
    riscv.place(below)
