"""The loops of products on RV32: a quad's rows times four pixels. Two pixels share a word: their products
with a weight are in two lanes, which docs/kernels.md explains.

A quad in the stream has for each row the first value of T and the bias, then for each step its four weights,
signed, then for each row its ``Scale``.
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
    ZERO,
    Register,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.requantise import MISSING, Bounds, Scale, byte, unshifted_byte

#: pairs of steps in a turn of the loop
TURN = 4
#: bytes in a quad of the stream in front of the weights and behind them
BEFORE, BEHIND = 4 * 8, 4 * 8
#: bytes of a step: of weights, of the patch
WEIGHTS_STEP, PATCH_STEP = 4, 8
#: bytes of code for a pair of steps
PAIR_BYTES = 4 * (4 + 4 * 16)

#: T and H of the first two pixels, and of the other two, for each row
_SUMS = ((S0, S1, S2, S3), (S4, S5, S6, S7), (S8, S9, S10, S11), (A4, A5, A6, A7))
_STREAM, _X, _X_END, _HALF = A2, A3, A1, A0
_INPUTS = (T3, T4, T5, T6)  # of a pair of steps: two words of each
_WEIGHTS = (T0, T1)
_PRODUCT, _OTHER = T2, RA

_SCALE = Scale(T3, T4)
_BOUNDS = Bounds(A0, A1, A3)
_Y, _PITCH, _BYTE = T0, T1, T2


def quads(riscv: RiscV, frame: Frame) -> tuple[Label, Label]:
    """Write the loop over the quads of a block for one patch. Return the label where it begins and that of
    the loop's first turn; at its end it jumps to ra as it was in frame's ``back``.

    frame: stream, stream_end, x and x_end of the patch, entry, y, pitch, zero_y, low and high; x and the
    stream's ``skipped`` are as many steps before as the entry is behind the loop's begin.
    """
    start, turn = Label(), riscv.label()
    for pair in range(TURN):
        _pair(riscv, pair)
    assert len(riscv) - (turn.position or 0) == TURN * PAIR_BYTES
    riscv.addi(_STREAM, _STREAM, 2 * TURN * WEIGHTS_STEP)
    riscv.addi(_X, _X, 2 * TURN * PATCH_STEP)
    riscv.bne(_X, _X_END, turn)
    _bytes(riscv, frame)
    riscv.addi(_STREAM, _STREAM, BEHIND)
    frame.load(riscv, _Y, "y")
    frame.load(riscv, T1, "stream_end")
    riscv.addi(_Y, _Y, 4)
    frame.store(riscv, _Y, "y")
    more = Label()
    riscv.bne(_STREAM, T1, more)
    frame.load(riscv, RA, "back")
    riscv.ret()

    riscv.place(start)
    frame.store(riscv, RA, "back")
    frame.load(riscv, _STREAM, "stream")
    riscv.place(more)
    for row, (t, h, other_t, other_h) in enumerate(_SUMS):
        riscv.lw(t, _STREAM, 8 * row)
        riscv.lw(h, _STREAM, 8 * row + 4)
        riscv.mv(other_t, t)
        riscv.mv(other_h, h)
    frame.load(riscv, T0, "skipped")
    frame.load(riscv, T1, "entry")
    frame.load(riscv, _X, "x")
    frame.load(riscv, _X_END, "x_end")
    riscv.lui(_HALF, 8)
    riscv.add(_STREAM, _STREAM, T0)
    riscv.jalr(ZERO, T1)
    return start, turn


def _pair(riscv: RiscV, pair: int) -> None:
    """Two steps: 32 products. 16 instructions a row, and 4."""
    for n, x in enumerate(_INPUTS):
        riscv.lw(x, _X, 2 * PATCH_STEP * pair + 4 * n)
    for row, sums in enumerate(_SUMS):
        for step, weight in enumerate(_WEIGHTS):
            riscv.lb(weight, _STREAM, WEIGHTS_STEP * (2 * pair + step) + row)
        for lanes in range(2):
            riscv.mul(_PRODUCT, _WEIGHTS[0], _INPUTS[lanes])
            riscv.mul(_OTHER, _WEIGHTS[1], _INPUTS[2 + lanes])
            riscv.add(_PRODUCT, _PRODUCT, _OTHER)
            riscv.add(_PRODUCT, _PRODUCT, _HALF)
            riscv.add(sums[2 * lanes], sums[2 * lanes], _PRODUCT)
            riscv.srai(_PRODUCT, _PRODUCT, 16)
            riscv.add(sums[2 * lanes + 1], sums[2 * lanes + 1], _PRODUCT)


def _bytes(riscv: RiscV, frame: Frame) -> None:
    """Store the quad's outputs of all four pixels; the stream is at its ``Scale``s."""
    end = Label()
    frame.load(riscv, _Y, "y")
    frame.load(riscv, _PITCH, "pitch")
    for register, name in zip(_BOUNDS, ("zero_y", "low", "high"), strict=True):
        frame.load(riscv, register, name)
    rests = []
    for row, (t, h, other_t, other_h) in enumerate(_SUMS):
        special, usual = Label(), Label()
        for n, register in enumerate(_SCALE):
            riscv.lw(register, _STREAM, 8 * row + 4 * n)
        for low, high in ((t, h), (other_t, other_h)):
            riscv.slli(_BYTE, high, 16)
            riscv.sub(low, low, _BYTE)
        riscv.bltz(_SCALE.right, special)
        totals = [t, h, other_t, other_h]
        _store(riscv, row, totals, byte)
        riscv.place(usual)
        rests.append((special, usual, totals))
    riscv.j(end)
    for row, (special, usual, totals) in enumerate(rests):
        riscv.place(special)
        riscv.li(_BYTE, MISSING)
        riscv.beq(_SCALE.right, _BYTE, end)
        _store(riscv, row, totals, unshifted_byte)
        riscv.j(usual)
    riscv.place(end)


def _store(riscv: RiscV, row: int, totals: list[Register], make: Callable[..., None]) -> None:
    """Store a row's outputs, every other time from the last pixel to the first one."""
    backwards = row % 2
    for n, total in enumerate(reversed(totals) if backwards else totals):
        if n:
            (riscv.sub if backwards else riscv.add)(_Y, _Y, _PITCH)
        make(riscv, total, _BYTE, _SCALE, _BOUNDS)
        riscv.sb(_BYTE, _Y, row)
