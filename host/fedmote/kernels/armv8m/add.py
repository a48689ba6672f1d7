"""The add function of Cortex-M33: sums of two activations of one shape, four at a time. Its argument is ADD
of ``arguments``."""

from fedmote.kernels.arguments import ADD
from fedmote.kernels.armv8m.frame import Frame, Table
from fedmote.kernels.armv8m.requantise import clamp
from fedmote.kernels.thumb import (
    LR,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    Label,
    Register,
)  # fmt: skip
from fedmote.kernels.thumb2 import Thumb2, asr, lsl

_SUMMANDS = (("a", R0), ("b", R1))

TABLE = Table(ADD, R11)
FRAME = Frame(
    *(f"{word}_{factor}" for factor in "aby" for word in ("half", "right", "multiplier", "mask", "zero")),
    "sign", "left", "low", "high", "target",
)  # fmt: skip

#: bits that inputs are shifted to the left, and one more as sums are doubled
_LEFT = 21

_VALUES = (R4, R5, R6, R7)
_HALF, _RIGHT, _MULTIPLIER, _MASK, _ZERO = R9, R10, R11, R12, LR


def add() -> Thumb2:
    """Return the code of the function."""
    thumb = Thumb2()
    done, narrow, tail = Label(), Label(), Label()
    FRAME.enter(thumb)
    thumb.mov(R11, R0)
    _start(thumb)
    thumb.cmn_w(R3, 128)
    thumb.bne(narrow)
    thumb.cmp(R4, 127)
    thumb.bne(narrow)
    _fours(thumb, tail, done, is_narrow=False)
    thumb.place(narrow)
    _fours(thumb, tail, done, is_narrow=True)

    thumb.place(tail)
    thumb.adds(R3, R3, 4)
    byte = thumb.label()
    thumb.strb_post(R4, R2, 1)
    thumb.lsrs(R4, R4, 8)
    thumb.subs(R3, R3, 1)
    thumb.bne(byte)
    thumb.place(done)
    FRAME.leave(thumb)
    return thumb


def _start(thumb: Thumb2) -> None:
    """Fill in what stays. Leaves addresses in r0 and r1, the bounds in r3 and r4. r11: the table."""
    for factor in "aby":
        TABLE.load(thumb, R2, f"shift_{factor}")
        thumb.cmp(R2, 31)
        thumb.it("gt")
        thumb.mov_w(R2, 31)  # 0 is left as well
        thumb.sub_w(R3, R2, 1)
        thumb.mov_w(R1, 1)
        thumb.lsl_w(R1, R1, R3)  # 0 where nothing is shifted
        FRAME.store_two(thumb, R1, R2, f"half_{factor}")
        TABLE.load(thumb, R1, f"multiplier_{factor}")
        thumb.rsb_w(R2, R2, 0)
        thumb.mov_w(R2, asr(R2, 31))
        FRAME.store_two(thumb, R1, R2, f"multiplier_{factor}")
        TABLE.load(thumb, R1, f"zero_{factor}")
        FRAME.store(thumb, R1, f"zero_{factor}")
    for name, target in (("sign", "sign"), ("count", "left"), ("y", "target")):
        TABLE.load(thumb, R1, name)
        FRAME.store(thumb, R1, target)
    for register, name in ((R0, "a"), (R1, "b"), (R3, "low"), (R4, "high")):
        TABLE.load(thumb, register, name)
    FRAME.store_two(thumb, R3, R4, "low")


def _fours(thumb: Thumb2, tail: Label, done: Label, is_narrow: bool) -> None:
    """Write the loop. Of the last few values r4 has the bytes, r3 how many are missing, r2 where they go."""
    loop = thumb.label()
    for factor, address in _SUMMANDS:
        _take(thumb, factor)
        if factor == "b":
            FRAME.load(thumb, R3, "sign")
        for total in _VALUES:
            value = R8 if factor == "b" else total
            thumb.ldrsb_post(value, address, 1)
            thumb.sub_w(value, value, _ZERO)
            thumb.mov_w(value, lsl(value, _LEFT))
            _scale(thumb, value)
            if factor == "b":
                thumb.mla(total, value, R3, total)
    _take(thumb, "y")
    if is_narrow:
        FRAME.load(thumb, R3, "low")
        FRAME.load(thumb, R8, "high")
    for n, total in enumerate(_VALUES):
        thumb.mov_w(total, lsl(total, 1))
        _scale(thumb, total)
        thumb.add(total, _ZERO)
        if is_narrow:
            clamp(thumb, total, R3, R8)
        else:
            thumb.ssat(total, 8, total)
        if n:
            thumb.bfi(R4, total, 8 * n, 8)
    FRAME.load(thumb, R3, "left")
    FRAME.load(thumb, R2, "target")
    thumb.subs(R3, R3, 4)
    thumb.blt(tail)
    FRAME.store(thumb, R3, "left")
    thumb.str_post(R4, R2, 4)
    FRAME.store(thumb, R2, "target")
    thumb.bne(loop)
    thumb.b(done)


def _take(thumb: Thumb2, factor: str) -> None:
    """Load what scales a, b or their sum."""
    FRAME.load_two(thumb, _HALF, _RIGHT, f"half_{factor}")
    FRAME.load_two(thumb, _MULTIPLIER, _MASK, f"multiplier_{factor}")
    FRAME.load(thumb, _ZERO, f"zero_{factor}")


def _scale(thumb: Thumb2, value: Register) -> None:
    """Multiply a value, doubled, with two roundings. mask: 0 where nothing is shifted, else -1."""
    thumb.smmulr(value, value, _MULTIPLIER)
    thumb.and_w(R2, _MASK, asr(value, 31))
    thumb.add(value, R2)
    thumb.add(value, _HALF)
    thumb.asr_w(value, value, _RIGHT)
