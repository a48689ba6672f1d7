"""The taps function of RV32: depthwise convolutions, channel by channel, two outputs in two lanes.
docs/kernels.md explains its lanes; lib/mote/kernels/rv32/taps.py calls it.

A channel is written into a plane (plane.py), and each of its outputs is made of it row by row, by one of the
loops in windows.py.
"""

from collections.abc import Callable, Mapping

from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import A0, S10, S11, T0, T1, T2, T3, T4, ZERO, Register, RiscV
from fedmote.kernels.rv32 import windows
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.plane import fill, load, pad
from fedmote.kernels.rv32.requantise import constants, without_zero
from fedmote.kernels.rv32.windows import ALONG, BOUNDS, END, HALF, HIGH_Y, SCALE, STEP, WEIGHTS, WINDOW, Y

#: what is in every output's frame as the arguments have it
_COPIED = (
    "zero_x", "x", "along", "tap_step", "down", "outputs", "kernel_h", "kernel_w", "weights", "bias",
    "multipliers", "shifts", "per_channel", "channels", "y", "zero_y", "low", "high", "high_y",
    "between_rows", "out_w", "pitch", "dilation_h",
)  # fmt: skip
_FRAME = Frame(*_COPIED, "table", "plane", "first_t", "first_h", "left", "rows", "columns", "loop")

_MOST_IN_A_LANE = 255  # as 255 * 128 < 2^15


def taps() -> RiscV:
    """Return the code of the function."""
    riscv, main, row_end = RiscV(), Label(), Label()
    _FRAME.enter(riscv)
    riscv.j(main)
    loops: dict[Callable[[RiscV, Frame], None], Label] = {}
    for loop in (windows.in_threes, windows.in_twos, windows.general, windows.dilated):
        loops[loop] = riscv.label()
        loop(riscv, _FRAME)
        riscv.j(row_end)
    riscv.place(main)
    _FRAME.store(riscv, A0, "table")
    for name in _COPIED:
        load(riscv, T0, name)
        _FRAME.store(riscv, T0, name)
    load(riscv, T0, "scratch")
    riscv.lw(T0, T0)
    load(riscv, T1, "table_bytes")
    riscv.add(T0, T0, T1)
    _FRAME.store(riscv, T0, "plane")
    pad(riscv, _FRAME)
    channel = riscv.label()
    fill(riscv, _FRAME)
    load(riscv, T0, "per_channel")
    _FRAME.store(riscv, T0, "left")
    output = riscv.label()
    _output(riscv, loops)
    _rows(riscv, row_end)
    _next(riscv, channel, output)
    _FRAME.leave(riscv)
    return riscv


def _output(riscv: RiscV, loops: Mapping[Callable[[RiscV, Frame], None], Label]) -> None:
    """Prepare an output: its bias, its constants, and which loop makes it. a0: arguments."""
    other, small, chosen = Label(), Label(), Label()
    load(riscv, T0, "kernel_h")
    load(riscv, T1, "kernel_w")
    riscv.mul(T2, T0, T1)
    _FRAME.store(riscv, T2, "columns")
    load(riscv, T2, "dilation_w")
    riscv.addi(T3, T2, -1)
    riscv.address(T4, loops[windows.dilated])
    riscv.bnez(T3, other)
    riscv.li(T3, 3)
    riscv.address(T4, loops[windows.general])
    riscv.bne(T0, T3, other)
    riscv.bne(T1, T3, other)
    riscv.j(small)

    riscv.place(other)  # drained as often as there are pairs in its rows, or taps
    riscv.li(T3, 1)
    dilated = Label()
    riscv.bne(T2, T3, dilated)
    riscv.addi(T1, T1, 1)
    riscv.srli(T1, T1, 1)
    riscv.place(dilated)
    riscv.mul(T2, T0, T1)
    riscv.j(chosen)

    riscv.place(small)
    twos = Label()
    _FRAME.load(riscv, T0, "weights")
    riscv.address(T4, loops[windows.in_twos])
    riscv.li(T2, 5)
    riscv.li(T3, _MOST_IN_A_LANE)
    for tap, weight in enumerate(WEIGHTS):
        riscv.lb(weight, T0, tap)
    for first in range(0, 9, 3):
        riscv.li(T1, 0)
        for weight in WEIGHTS[first : first + 3]:
            riscv.srai(S10, weight, 31)
            riscv.xor(S11, weight, S10)
            riscv.sub(S11, S11, S10)
            riscv.add(T1, T1, S11)
        riscv.blt(T3, T1, twos)
    riscv.address(T4, loops[windows.in_threes])
    riscv.li(T2, 3)
    riscv.place(twos)

    riscv.place(chosen)  # t4: the loop, t2: how often it drains
    _FRAME.store(riscv, T4, "loop")
    _FRAME.load(riscv, T0, "bias")
    riscv.lw(T0, T0)
    _FRAME.store(riscv, T0, "first_h")
    riscv.slli(T1, T0, 16)
    riscv.add(T0, T0, T1)
    riscv.slli(T2, T2, 15)
    riscv.sub(T0, T0, T2)
    _FRAME.store(riscv, T0, "first_t")
    _FRAME.load(riscv, SCALE.doubled, "multipliers")
    riscv.lw(SCALE.doubled, SCALE.doubled)
    _FRAME.load(riscv, SCALE.right, "shifts")
    riscv.lw(SCALE.right, SCALE.right)
    constants(riscv, SCALE, T0)
    for register, name in zip(BOUNDS, ("zero_y", "low", "high"), strict=True):
        load(riscv, register, name)
    without_zero(riscv, BOUNDS)


def _rows(riscv: RiscV, row_end: Label) -> None:
    """Make all rows of an output. a0: arguments, as before after it."""
    load(riscv, T0, "rows")
    _FRAME.store(riscv, T0, "rows")
    riscv.lui(HALF, 8)
    _FRAME.load(riscv, ALONG, "along")
    _FRAME.load(riscv, STEP, "outputs")
    _FRAME.load(riscv, WINDOW, "plane")
    _FRAME.load(riscv, Y, "y")
    _FRAME.load(riscv, HIGH_Y, "high_y")
    riscv.add(HIGH_Y, HIGH_Y, Y)
    row = riscv.label()
    for register, name in ((T0, "out_w"), (T2, "pitch"), (T3, "dilation_h")):
        _FRAME.load(riscv, register, name)
    riscv.mul(T0, T0, ALONG)
    riscv.add(END, WINDOW, T0)
    riscv.mul(T2, T2, T3)
    riscv.slli(T2, T2, 2)
    _FRAME.load(riscv, T3, "loop")
    for begin, before in zip(windows.ROWS[1:], windows.ROWS, strict=False):
        riscv.add(begin, before, T2)
    riscv.jalr(ZERO, T3)
    riscv.place(row_end)
    _FRAME.load(riscv, T0, "between_rows")
    riscv.add(WINDOW, WINDOW, T0)
    _FRAME.load(riscv, T0, "rows")
    riscv.addi(T0, T0, -1)
    _FRAME.store(riscv, T0, "rows")
    riscv.bnez(T0, row)
    _FRAME.load(riscv, A0, "table")


def _next(riscv: RiscV, channel: Label, output: Label) -> None:
    """Go to the next output, on the same channel or on the next one, or end. a0: arguments."""
    _FRAME.load(riscv, T1, "columns")
    _add(riscv, "weights", T1)
    riscv.li(T1, 4)
    for name in ("bias", "multipliers", "shifts"):
        _add(riscv, name, T1)
    riscv.li(T1, 1)
    _add(riscv, "y", T1)
    riscv.li(T1, -1)
    _add(riscv, "left", T1)
    riscv.bnez(T0, output)
    _add(riscv, "channels", T1)
    riscv.li(T1, 1)
    riscv.mv(T2, T0)
    _add(riscv, "x", T1)
    riscv.bnez(T2, channel)


def _add(riscv: RiscV, name: str, value: Register) -> None:
    """A word of the frame, which is in t0 then, += value."""
    _FRAME.load(riscv, T0, name)
    riscv.add(T0, T0, value)
    _FRAME.store(riscv, T0, name)
