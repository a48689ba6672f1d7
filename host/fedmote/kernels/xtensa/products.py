"""Convolutions and dense layers over weights in quads. Pixel by pixel, a window's inputs are written into a
patch and multiplied by the weights of all quads: by words of two lanes that were made for all pixels, or by
the bytes as they stand."""

from fedmote.kernels.arguments import PRODUCTS
from fedmote.kernels.xtensa import patch, quads
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

_KEPT = (
    "pixel_x", "u", "v", "taps", "tap_bytes", "rows_of_taps", "quad_weights", "quad_bias", "quad_multipliers",
    "quad_shifts", "drains", "turns", "tail", "too_much", "patch", "stream", "quads_left", "block_quads",
    "row_x", "pixel_y", "rows_left", "pixels_left", "block_outputs", "pixel_end",
)  # fmt: skip
#: word that is used up while quads are made -> where it comes from
_QUAD = {
    "quad_weights": "weights", "quad_bias": "bias", "quad_multipliers": "multipliers",
    "quad_shifts": "shifts",
}  # fmt: skip
_SUMS = A4, A6, A5, A7  # of outputs 0 to 3


def products() -> Xtensa:
    """Return the function. Its argument: words as PRODUCTS has them."""
    code = Xtensa()
    words = Words(code, PRODUCTS, *_KEPT)
    requantise = Requantise(code, (A9, A10, A11), (A12, A13, A14, A3))
    end = Label()
    _begin(code, words)
    block = code.label()
    _block(code, words, requantise)
    for name, source in (("row_x", "x"), ("u", "first_u"), ("rows_left", "out_h")):
        words.copy(name, source, A3)
    row = code.label()
    for name, source in (("pixel_x", "row_x"), ("v", "first_v"), ("pixels_left", "out_w")):
        words.copy(name, source, A3)
    pixel = code.label()
    words.load(A9, "patch")
    patch.emit(code, words)
    _outputs(code, words, requantise)
    words.advance("pixel_y", "pitch", A3, A4)
    words.advance("pixel_x", "pixel_step", A3, A4)
    words.advance("v", "stride_w", A3, A4)
    words.advance("pixels_left", -1, A3, A4)
    code.far("nez", A3, pixel)
    words.advance("row_x", "row_step", A3, A4)
    words.advance("u", "stride_h", A3, A4)
    words.advance("rows_left", -1, A3, A4)
    code.far("nez", A3, row)
    words.load(A3, "quads_left")
    code.far("nez", A3, block)
    code.j(end)
    requantise.finish()
    code.place(end)
    return code


def _begin(code: Xtensa, words: Words) -> None:
    """Find the places in the scratch memory, and how the columns are gone through."""
    words.load(A3, "scratch")
    words.load(A4, "columns")
    code.l32i(A3, A3)
    code.addi(A4, A4, 3)
    words.store(A3, "patch")
    code.srai(A4, A4, 2)  # in fours
    code.slli(A5, A4, 4)
    code.add(A3, A3, A5)
    code.addi(A3, A3, 4 * patch.PADDING)
    words.store(A3, "stream")
    code.srai(A5, A4, 1)
    words.store(A5, "turns")
    code.extui(A6, A4, 0, 1)
    words.store(A6, "tail")
    words.load(A7, "window")
    known = [Label() for _ in range(2)]
    code.slli(A3, A4, 1)
    code.bbsi(A7, 1, known[0])
    code.mov(A3, A4)
    code.bbsi(A7, 2, known[1])
    code.add(A3, A5, A6)
    for label in known:
        code.place(label)
    words.store(A3, "drains")
    words.copy("quads_left", "quads", A3)
    for name, source in _QUAD.items():
        words.copy(name, source, A3)


def _block(code: Xtensa, words: Words, requantise: Requantise) -> None:
    """Expand as many quads as there is room for; all are in a block where there is none. ``pixel_y`` becomes
    the place of its outputs."""
    whole, made = Label(), Label()
    words.load(A3, "quads_left")
    words.load(A4, "room")
    words.load(A6, "quads")
    code.sub(A6, A6, A3)
    code.slli(A6, A6, 2)  # outputs before this block
    code.branch_on_zero("eqz", A4, whole)
    code.min(A4, A4, A3)
    code.sub(A3, A3, A4)
    words.store(A3, "quads_left")
    words.store(A4, "block_quads")
    words.load(A5, "y")
    code.add(A5, A5, A6)
    words.store(A5, "pixel_y")
    words.load(A5, "outputs")
    code.sub(A5, A5, A6)
    code.slli(A4, A4, 2)
    code.min(A5, A5, A4)
    words.store(A5, "block_outputs")
    words.load(A8, "stream")
    quad = code.label()
    words.load(A9, "quad_weights")
    quads.expand(code, words)
    words.store(A9, "quad_weights")
    quads.constants(code, words, requantise, A8, A15)
    code.addi(A8, A8, quads.CONSTANTS)
    words.advance("block_quads", -1, A3, A4)
    code.far("nez", A3, quad)
    code.j(made)
    code.place(whole)
    words.store(A4, "quads_left")
    words.copy("pixel_y", "y", A3)
    words.copy("block_outputs", "outputs", A3)
    code.place(made)


def _outputs(code: Xtensa, words: Words, requantise: Requantise) -> None:
    """Write the outputs of the pixel in the patch."""
    expanded, summed, quad, fewer, done = (Label() for _ in range(5))
    words.load(A8, "stream")
    words.load(A15, "pixel_y")
    words.load(A3, "block_outputs")
    words.load(A4, "room")
    code.add(A3, A3, A15)
    words.store(A3, "pixel_end")
    code.branch_on_zero("nez", A4, quad)
    for name, source in _QUAD.items():
        words.copy(name, source, A3)
    quads.too_much(code, words)
    code.place(quad)
    words.load(A3, "room")
    words.load(A9, "patch")
    code.branch_on_zero("nez", A3, expanded)
    words.load(A8, "quad_weights")
    quads.sums_of_bytes(code, words)
    words.store(A8, "quad_weights")
    words.load(A8, "stream")
    quads.constants(code, words, requantise, A8, A9)
    code.j(summed)
    code.place(expanded)
    quads.sums_of_expanded(code, words)
    code.place(summed)
    for register, name in zip(requantise.bounds, ("zero_y", "low", "high"), strict=True):
        words.load(register, name)
    for number, register in enumerate(_SUMS):
        code.l32i(requantise.multiplier, A8, 8 * number)
        code.l32i(requantise.right, A8, 8 * number + 4)
        requantise.emit(register)
    words.load(A12, "pixel_end")
    code.addi(A8, A8, quads.CONSTANTS)
    code.addi(A13, A15, 4)
    code.branch("ltu", A12, A13, fewer)
    for number, register in enumerate(_SUMS):
        code.s8i(register, A15, number)
    code.mov(A15, A13)
    code.branch("eq", A15, A12, done)
    code.j(quad)
    code.place(fewer)
    for number, register in enumerate(_SUMS[:-1]):
        code.s8i(register, A15, number)
        code.addi(A13, A15, number + 1)
        code.branch("eq", A13, A12, done)
    code.place(done)
