"""The products function of Cortex-M33: windows of an image times weights in quads, for convolutions and dense
layers. Its argument is PRODUCTS of ``arguments``; docs/kernels.md explains it."""

from collections.abc import Iterable

from fedmote.kernels.armv8m.few import few
from fedmote.kernels.armv8m.many import many
from fedmote.kernels.armv8m.patch import TABLE, copy, gather
from fedmote.kernels.armv8m.quads import copied, finish_any, finish_fast, finish_one, over_bytes, over_pairs
from fedmote.kernels.armv8m.state import FRAME, choose_source, take
from fedmote.kernels.thumb import R0, R1, R2, R11, Label
from fedmote.kernels.thumb2 import Thumb2, lsl


def products() -> Thumb2:
    """Return the code of the function."""
    thumb = Thumb2()
    main, by_quads, end = Label(), Label(), Label()
    FRAME.enter(thumb)
    thumb.b(main)
    to_gather = gather(thumb, FRAME, copy(thumb))
    pairs, by_bytes = over_pairs(thumb, FRAME), over_bytes(thumb, FRAME)
    of_two = finish_fast(thumb, FRAME), *finish_any(thumb, FRAME)
    of_one = finish_one(thumb, FRAME), *(copied(thumb, finish) for finish in of_two[1:])

    thumb.place(main)
    thumb.mov(R11, R0)
    _start(thumb)
    choose_source(thumb)
    TABLE.load(thumb, R1, "room")
    thumb.cmp(R1, 0)
    thumb.beq(by_quads)
    _finish_by(thumb, of_two)
    many(thumb, pairs, to_gather)
    thumb.b(end)
    thumb.place(by_quads)
    _finish_by(thumb, of_one)
    few(thumb, by_bytes, to_gather)
    thumb.place(end)
    FRAME.leave(thumb)
    return thumb


def _finish_by(thumb: Thumb2, finishes: Iterable[Label]) -> None:
    for name, label in zip(("to_finish_fast", "to_finish_any", "to_finish_tail"), finishes, strict=True):
        thumb.address(R1, label)
        FRAME.store(thumb, R1, name)


def _start(thumb: Thumb2) -> None:
    """Fill in what stays. r11: the table."""
    FRAME.store(thumb, R11, "table")
    for name in ("zero_y", "low", "high"):
        take(thumb, name, name)
    TABLE.load(thumb, R1, "outputs")
    thumb.and_w(R1, R1, 3)
    FRAME.store(thumb, R1, "tail")
    TABLE.load(thumb, R1, "columns")
    thumb.mov_w(R2, lsl(R1, 14))
    FRAME.store(thumb, R2, "reach")
    thumb.adds(R1, R1, 3)
    thumb.lsrs(R1, R1, 2)
    FRAME.store(thumb, R1, "fours")
    TABLE.load(thumb, R1, "scratch")
    thumb.ldr(R1, R1)
    FRAME.store(thumb, R1, "bytes")
