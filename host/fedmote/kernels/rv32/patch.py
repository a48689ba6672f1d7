"""What products reads on RV32: the inputs of four pixels, step by step, as words of two lanes."""

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
    Register,
    RiscV,
)  # fmt: skip
from fedmote.kernels.rv32.frame import Frame

#: pixels of a patch
TOGETHER = 4

_TABLE, _COUNT, _PATCH, _LEFT, _COLUMNS_LEFT = A0, A1, A2, A3, A4
_SOURCES = (S0, S1, S2, S3)  # of the taps at hand
_STARTS = (S4, S5, S6, S7)  # of the windows
_VALUES = (T0, T1, T2, T3)


def copy(riscv: RiscV) -> Label:
    """Write a routine that adds ``_COUNT`` steps to the patch, and return its label; the sources move on."""
    start, small, end = riscv.label(), Label(), Label()
    riscv.addi(_COUNT, _COUNT, -4)
    riscv.bltz(_COUNT, small)
    four = riscv.label()
    for step in range(4):
        _step(riscv, step)
    _advance(riscv, 4)
    riscv.bgez(_COUNT, four)
    riscv.place(small)
    riscv.addi(_COUNT, _COUNT, 3)
    riscv.bltz(_COUNT, end)
    one = riscv.label()
    _step(riscv, 0)
    _advance(riscv, 1)
    riscv.bgez(_COUNT, one)
    riscv.place(end)
    riscv.ret()
    return start


def _step(riscv: RiscV, step: int) -> None:
    for value, source in zip(_VALUES, _SOURCES, strict=True):
        riscv.lb(value, source, step)
    for n in (0, 2):
        riscv.slli(_VALUES[n + 1], _VALUES[n + 1], 16)
        riscv.add(_VALUES[n], _VALUES[n], _VALUES[n + 1])
        riscv.sw(_VALUES[n], _PATCH, 8 * step + 2 * n)


def _advance(riscv: RiscV, steps: int) -> None:
    for source in _SOURCES:
        riscv.addi(source, source, steps)
    riscv.addi(_PATCH, _PATCH, 8 * steps)
    riscv.addi(_COUNT, _COUNT, -steps)


def patch(riscv: RiscV, frame: Frame, to_copy: Label) -> None:
    """Write the patch of the four pixels from number ``pixel`` on. a0: arguments, as before after it.

    frame: pad, where there are as many zero points of x as channels; u and v with a number: of the pixels'
    windows.
    """
    outside, done = Label(), Label()
    frame.load(riscv, _PATCH, "patch")
    _find(riscv, frame, outside)
    _load(riscv, (S8, "kernel_h"), (S9, "line"), (S10, "tap_row_step"))
    row = riscv.label()
    for source, begin in zip(_SOURCES, _STARTS, strict=True):
        riscv.mv(source, begin)
        riscv.add(begin, begin, S10)
    riscv.mv(_COUNT, S9)
    riscv.jal(RA, to_copy)
    riscv.addi(S8, S8, -1)
    riscv.bnez(S8, row)
    riscv.j(done)

    riscv.place(outside)
    _tap_by_tap(riscv, frame, to_copy)
    riscv.place(done)


def _find(riscv: RiscV, frame: Frame, outside: Label) -> None:
    """Find the windows; jump where taps lie outside of the image, or apart."""
    _load(
        riscv, (A3, "out_w"), (A4, "stride_h"), (A5, "stride_w"), (A6, "first_u"), (A7, "first_v"),
        (S8, "end_u"), (S9, "end_v"), (S10, "row_step"), (S11, "pixel_step"), (A1, "x"), (T4, "dilation_w"),
    )  # fmt: skip
    frame.load(riscv, T0, "pixel")
    riscv.addi(T4, T4, -1)  # 0: inside, and taps stand side by side
    for n, begin in enumerate(_STARTS):
        riscv.divu(T1, T0, A3)
        riscv.mul(T2, T1, A3)
        riscv.sub(T2, T0, T2)  # row and column of y
        riscv.mul(begin, T1, S10)
        riscv.mul(T3, T2, S11)
        riscv.add(begin, begin, A1)
        riscv.add(begin, begin, T3)
        for place, stride, first, end, name in ((T1, A4, A6, S8, f"u_{n}"), (T2, A5, A7, S9, f"v_{n}")):
            riscv.mul(place, place, stride)
            riscv.add(place, place, first)
            frame.store(riscv, place, name)
            riscv.sltu(T3, place, end)
            riscv.addi(T3, T3, -1)
            riscv.or_(T4, T4, T3)
        riscv.addi(T0, T0, 1)
    riscv.bnez(T4, outside)


def _tap_by_tap(riscv: RiscV, frame: Frame, to_copy: Label) -> None:
    """Write the patch where any tap may lie outside of the image. s8, s9: a tap's distance in
    rows and in columns, s10: in bytes."""
    riscv.li(S8, 0)
    riscv.li(S11, 0)
    _load(riscv, (_LEFT, "kernel_h"), (A5, "height"), (A6, "width"))
    row = riscv.label()
    riscv.mv(S10, S11)
    riscv.li(S9, 0)
    _load(riscv, (_COLUMNS_LEFT, "kernel_w"))
    tap = riscv.label()
    frame.load(riscv, T2, "pad")
    for n, (source, begin) in enumerate(zip(_SOURCES, _STARTS, strict=True)):
        beside = Label()
        riscv.mv(source, T2)
        for name, distance, size in ((f"u_{n}", S8, A5), (f"v_{n}", S9, A6)):
            frame.load(riscv, T0, name)
            riscv.add(T0, T0, distance)
            riscv.bgeu(T0, size, beside)
        riscv.add(source, begin, S10)
        riscv.place(beside)
    _load(riscv, (_COUNT, "channels"), (T0, "dilation_w"), (T1, "tap_step"))
    riscv.add(S9, S9, T0)
    riscv.add(S10, S10, T1)
    riscv.jal(RA, to_copy)
    riscv.addi(_COLUMNS_LEFT, _COLUMNS_LEFT, -1)
    riscv.bnez(_COLUMNS_LEFT, tap)
    _load(riscv, (T0, "dilation_h"), (T1, "tap_row_step"))
    riscv.add(S8, S8, T0)
    riscv.add(S11, S11, T1)
    riscv.addi(_LEFT, _LEFT, -1)
    riscv.bnez(_LEFT, row)


def _load(riscv: RiscV, *words: tuple[Register, str]) -> None:
    for register, name in words:
        riscv.lw(register, _TABLE, PRODUCTS.offset(name))
