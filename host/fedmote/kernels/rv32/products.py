"""The products function of RV32: windows of an image times weights in quads, for convolutions and dense
layers. docs/kernels.md explains its lanes; lib/mote/kernels/rv32/products.py calls it.

Block by block it makes a stream from some quads (expand.py), then their outputs at every pixel, four at a
time: the inputs of four pixels are written as words, the patch (patch.py), and met with each quad (quads.py).
The last four pixels of an image may be partly done before. Few pixels are made one by one (alone.py).
"""

from fedmote.kernels.arguments import PRODUCTS
from fedmote.kernels.assembler import Label
from fedmote.kernels.riscv import A0, RA, T0, T1, T2, T3, Register, RiscV
from fedmote.kernels.rv32 import expand
from fedmote.kernels.rv32.alone import alone
from fedmote.kernels.rv32.frame import Frame
from fedmote.kernels.rv32.patch import TOGETHER, copy, patch
from fedmote.kernels.rv32.quads import BEFORE, PAIR_BYTES, PATCH_STEP, TURN, WEIGHTS_STEP, quads
from fedmote.kernels.rv32.requantise import Bounds, without_zero

_FRAME = Frame(
    "table", "y", "pitch", "zero_y", "low", "high", "stream", "stream_end", "x", "x_end", "entry", "skipped",
    "back", "patch", "pad", "pixel", "u_0", "u_1", "u_2", "u_3", "v_0", "v_1", "v_2", "v_3",
    # of a block: addresses, then what is left
    "weights", "bias", "multipliers", "shifts", "block_y", "block_bytes", "quads", "outputs",
)  # fmt: skip
_OF_A_BLOCK = ("weights", "bias", "multipliers", "shifts", "outputs")


def products() -> RiscV:
    """Return the code of the function."""
    riscv, main, by_themselves, end = RiscV(), Label(), Label(), Label()
    _FRAME.enter(riscv)
    riscv.j(main)
    to_copy = copy(riscv)
    to_quads, turn = quads(riscv, _FRAME)
    riscv.place(main)
    _FRAME.store(riscv, A0, "table")
    _load(riscv, T0, "scratch")
    riscv.lw(T0, T0)
    _FRAME.store(riscv, T0, "pad")
    _load(riscv, T1, "room")
    riscv.beqz(T1, by_themselves)
    for name in ("pitch", "quads", *_OF_A_BLOCK):
        _copy_word(riscv, name, name)
    bounds = Bounds(T0, T1, T2)
    for register, name in zip(bounds, ("zero_y", "low", "high"), strict=True):
        _load(riscv, register, name)
    without_zero(riscv, bounds)
    for register, name in zip(bounds, ("zero_y", "low", "high"), strict=True):
        _FRAME.store(riscv, register, name)
    _copy_word(riscv, "y", "block_y")
    _pad(riscv)
    _places(riscv, turn)
    block = riscv.label()
    _block(riscv)
    riscv.li(T0, 0)
    pixels = riscv.label()
    _pixels(riscv, to_copy, to_quads)
    riscv.blt(T0, T1, pixels)
    _FRAME.load(riscv, T0, "block_y")
    _FRAME.load(riscv, T1, "block_bytes")
    riscv.add(T0, T0, T1)
    _FRAME.store(riscv, T0, "block_y")
    _FRAME.load(riscv, T0, "quads")
    riscv.bnez(T0, block)
    riscv.j(end)
    riscv.place(by_themselves)
    alone(riscv, _FRAME)
    riscv.place(end)
    _FRAME.leave(riscv)
    return riscv


def _load(riscv: RiscV, register: Register, name: str) -> None:
    riscv.lw(register, A0, PRODUCTS.offset(name))


def _copy_word(riscv: RiscV, name: str, target: str) -> None:
    _load(riscv, T0, name)
    _FRAME.store(riscv, T0, target)


def _pad(riscv: RiscV) -> None:
    """Write what taps outside of the image read; t0 = behind it, a multiple of 4."""
    _FRAME.load(riscv, T0, "pad")
    _load(riscv, T1, "channels")
    _load(riscv, T2, "zero_x")
    padding = riscv.label()
    riscv.sb(T2, T0)
    riscv.addi(T0, T0, 1)
    riscv.addi(T1, T1, -1)
    riscv.bnez(T1, padding)
    riscv.addi(T0, T0, 3)
    riscv.andi(T0, T0, -4)


def _places(riscv: RiscV, turn: Label) -> None:
    """Find where patch and stream are, and where each quad begins with them. t0: where the patch is."""
    _FRAME.store(riscv, T0, "patch")
    _load(riscv, T1, "columns")
    riscv.addi(T1, T1, 1)
    riscv.srli(T1, T1, 1)  # pairs of steps
    riscv.slli(T2, T1, (2 * PATCH_STEP).bit_length() - 1)
    riscv.add(T2, T2, T0)
    _FRAME.store(riscv, T2, "x_end")
    _FRAME.store(riscv, T2, "stream")
    riscv.neg(T1, T1)
    riscv.andi(T1, T1, TURN - 1)  # pairs that the first turn leaves out
    riscv.slli(T2, T1, (2 * PATCH_STEP).bit_length() - 1)
    riscv.sub(T0, T0, T2)
    _FRAME.store(riscv, T0, "x")
    riscv.slli(T2, T1, (2 * WEIGHTS_STEP).bit_length() - 1)
    riscv.li(T3, BEFORE)
    riscv.sub(T3, T3, T2)
    _FRAME.store(riscv, T3, "skipped")
    riscv.li(T2, PAIR_BYTES)
    riscv.mul(T1, T1, T2)
    riscv.address(T2, turn)
    riscv.add(T2, T2, T1)
    _FRAME.store(riscv, T2, "entry")


def _block(riscv: RiscV) -> None:
    """Make the stream of as many quads as have room. a0: arguments."""
    few = Label()
    _load(riscv, expand.QUADS, "room")
    _FRAME.load(riscv, T0, "quads")
    riscv.bge(T0, expand.QUADS, few)
    riscv.mv(expand.QUADS, T0)
    riscv.place(few)
    riscv.sub(T0, T0, expand.QUADS)
    _FRAME.store(riscv, T0, "quads")
    riscv.slli(T0, expand.QUADS, 2)
    _FRAME.store(riscv, T0, "block_bytes")
    places = tuple(
        zip(
            _OF_A_BLOCK,
            (expand.WEIGHTS, expand.BIAS, expand.MULTIPLIERS, expand.SHIFTS, expand.OUTPUTS),
            strict=True,
        )
    )
    for name, register in places:
        _FRAME.load(riscv, register, name)
    _FRAME.load(riscv, expand.STREAM, "stream")
    _load(riscv, expand.COLUMNS, "columns")
    riscv.andi(expand.ODD, expand.COLUMNS, 1)
    riscv.add(expand.ADDED, expand.COLUMNS, expand.ODD)
    riscv.slli(expand.ADDED, expand.ADDED, 14)  # half of 0x8000 for each step
    expand.expand(riscv)
    for name, register in places:
        _FRAME.store(riscv, register, name)
    _FRAME.store(riscv, expand.STREAM, "stream_end")


def _pixels(riscv: RiscV, to_copy: Label, to_quads: Label) -> None:
    """Make four pixels. t0: the first one's number, and that of the next four at the end; t1: of all."""
    whole = Label()
    _load(riscv, T1, "pixels")
    riscv.addi(T1, T1, -TOGETHER)
    riscv.bge(T1, T0, whole)
    riscv.mv(T0, T1)
    riscv.place(whole)
    _FRAME.store(riscv, T0, "pixel")
    _load(riscv, T1, "pitch")
    riscv.mul(T1, T1, T0)
    _FRAME.load(riscv, T0, "block_y")
    riscv.add(T0, T0, T1)
    _FRAME.store(riscv, T0, "y")
    patch(riscv, _FRAME, to_copy)
    riscv.jal(RA, to_quads)
    _FRAME.load(riscv, A0, "table")
    _FRAME.load(riscv, T0, "pixel")
    riscv.addi(T0, T0, TOGETHER)
    _load(riscv, T1, "pixels")
