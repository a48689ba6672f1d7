"""Depthwise convolutions: channel by channel, which is written into a plane first, and row by row."""

from fedmote.kernels.arguments import TAPS
from fedmote.kernels.xtensa import plane, windows
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
    Label,
    Xtensa,
)  # fmt: skip

_KEPT = (
    "channel_x", "channels_left", "outputs_left", "output_y", "output_weights", "output_bias",
    "output_multiplier", "output_shift", "table", "plane", "first_t", "first_h", "multiplier", "right",
    "loop", "pairs", "next_row", "row_step", "rows_left", "is_small",
)  # fmt: skip
#: word that moves along with the outputs -> where it comes from
_OUTPUT = {
    "channel_x": "x", "output_y": "y", "output_weights": "weights", "output_bias": "bias",
    "output_multiplier": "multipliers", "output_shift": "shifts",
}  # fmt: skip
_IN_THREES, _IN_TWOS, _GENERAL = range(3)
_LARGEST = 255  # sum of weights whose products fit a lane


def taps() -> Xtensa:
    """Return the function. Its argument: words as TAPS has them."""
    code = Xtensa()
    words = Words(code, TAPS, *_KEPT)
    requantise = windows.requantiser(code)
    row, row_done, others, general, end = (Label() for _ in range(5))
    _begin(code, words)
    channel = code.label()
    plane.emit(code, words)
    words.copy("outputs_left", "per_channel", A3)
    output = code.label()
    _weights(code, words)
    words.load(A3, "output_shift")
    code.l32i(A3, A3)
    requantise.prepare(A3)
    words.store(A3, "right")
    words.copy("rows_left", "rows", A3)
    words.load(windows.Y, "output_y")
    words.load(windows.WINDOW, "plane")

    code.place(row)
    words.load(A6, "out_w")
    words.load(A7, "along")
    code.mull(A6, A6, A7)
    code.add(windows.END, windows.WINDOW, A6)
    words.load(windows.WEIGHTS, "table")
    words.load(A6, "loop")
    code.branch_on_zero("nez", A6, others)
    windows.small(code, words, requantise, 3)
    code.j(row_done)
    code.place(others)
    twos = Label()
    code.bbsi(A6, 0, twos)
    code.j(general)
    code.place(twos)
    windows.small(code, words, requantise, 2)
    code.j(row_done)
    code.place(general)
    windows.general(code, words, requantise)
    code.place(row_done)
    words.load(A6, "between_rows")
    code.add(windows.WINDOW, windows.WINDOW, A6)
    words.advance("rows_left", -1, A6, A7)
    code.far("nez", A6, row)

    for name in ("output_bias", "output_multiplier", "output_shift"):
        words.advance(name, 4, A3, A4)
    words.advance("output_y", 1, A3, A4)
    words.advance("outputs_left", -1, A3, A4)
    code.far("nez", A3, output)
    words.advance("channel_x", 1, A3, A4)
    words.advance("channels_left", -1, A3, A4)
    code.far("nez", A3, channel)
    code.j(end)
    requantise.finish()
    code.place(end)
    return code


def _begin(code: Xtensa, words: Words) -> None:
    """Find places, steps and the kind of the loop."""
    general = Label()
    for name, source in {**_OUTPUT, "channels_left": "channels"}.items():
        words.copy(name, source, A3)
    words.load(A3, "scratch")
    words.load(A4, "table_bytes")
    code.l32i(A3, A3)
    words.store(A3, "table")
    code.add(A3, A3, A4)
    words.store(A3, "plane")
    words.load(A3, "kernel_w")
    words.load(A4, "tap_step")
    words.load(A5, "down")
    code.mull(A6, A3, A4)
    code.add(A6, A6, A5)
    words.store(A6, "row_step")
    code.addi(A6, A3, 1)
    code.srai(A6, A6, 1)
    words.store(A6, "pairs")
    code.movi(A7, 0)
    words.store(A7, "is_small")
    code.extui(A6, A3, 0, 1)
    code.mull(A6, A6, A4)
    code.sub(A6, A5, A6)
    words.store(A6, "next_row")
    code.movi(A6, 3)
    code.branch("ne", A3, A6, general)
    words.load(A3, "kernel_h")
    code.branch("ne", A3, A6, general)
    words.load(A3, "dilation_w")
    code.movi(A6, 1)
    code.branch("ne", A3, A6, general)
    words.store(A6, "is_small")
    code.place(general)


def _weights(code: Xtensa, words: Words) -> None:
    """Write an output's weights as words, find the loop that they allow, and its first sums."""
    source, to, most, rows, columns, total, weight, is_small = A3, A4, A5, A6, A7, A8, A9, A10
    even, found, general = (Label() for _ in range(3))
    words.load(source, "output_weights")
    words.load(to, "table")
    words.load(rows, "kernel_h")
    words.load(is_small, "is_small")
    code.movi(most, 0)
    row = code.label()
    words.load(columns, "kernel_w")
    code.mov(A11, columns)
    code.movi(total, 0)
    column = code.label()
    code.l8ui(weight, source)
    code.addi(source, source, 1)
    code.sext(weight, weight, 7)
    code.addi(columns, columns, -1)
    code.s32i(weight, to)
    code.addi(to, to, 4)
    code.abs(weight, weight)
    code.add(total, total, weight)
    code.branch_on_zero("nez", columns, column)
    code.max(most, most, total)
    code.branch_on_zero("nez", is_small, even)
    code.bbci(A11, 0, even)
    code.s32i(columns, to)
    code.addi(to, to, 4)
    code.place(even)
    code.addi(rows, rows, -1)
    code.branch_on_zero("nez", rows, row)
    words.store(source, "output_weights")

    code.branch_on_zero("eqz", is_small, general)
    code.movi(A12, _LARGEST)
    code.movi(A13, _IN_TWOS)
    code.movi(A11, windows.small_drains(2))
    code.branch("lt", A12, most, found)
    code.movi(A13, _IN_THREES)
    code.movi(A11, windows.small_drains(3))
    code.j(found)
    code.place(general)
    words.load(A11, "pairs")
    words.load(A12, "kernel_h")
    code.movi(A13, _GENERAL)
    code.mull(A11, A11, A12)
    code.place(found)
    words.store(A13, "loop")
    words.load(A3, "output_bias")
    code.l32i(A3, A3)
    code.add(A11, A11, A3)
    words.store(A11, "first_h")
    code.slli(A4, A3, 16)
    code.add(A3, A3, A4)
    words.store(A3, "first_t")
    words.load(A3, "output_multiplier")
    code.l32i(A3, A3)
    words.store(A3, "multiplier")
