"""The taps function of Cortex-M33: depthwise convolutions, channel by channel. Its argument is TAPS of
``arguments``; docs/kernels.md explains it.

A channel is written into a plane (plane.py), then each of its outputs' weights into a table in front of it,
and the outputs are made row by row by one of the loops in windows.py.
"""

from collections.abc import Sequence

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.armv8m.plane import PLANE, TABLE, copy, pad, prepare
from fedmote.kernels.armv8m.requantise import constants
from fedmote.kernels.armv8m.windows import STEP, STEP_BYTES, STEPS, general, three_by_three
from fedmote.kernels.thumb import PC, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R11, R12, Label
from fedmote.kernels.thumb2 import Thumb2

FRAME = Frame(
    *PLANE, "table", "weights_table", "channel", "outputs_left", "weights", "constants", "small_loop",
    "late_bias", "reach", "lowest", "zero_y", "low", "high", "y",
    # of the loops: words that are loaded together stand together
    "bias", "pair_step", "multiplier", "half", "right", "along", "pairs_end", "outputs", "windows_end",
    "tap_step", "down", "row_pairs", "steps", "steps_entry", "row_loop", "general_loop", "rows_left",
    "between_rows", "pairs_bytes", "windows_bytes",
)  # fmt: skip


def taps() -> Thumb2:
    """Return the code of the function."""
    thumb = Thumb2()
    main, row_end = Label(), Label()
    FRAME.enter(thumb)
    thumb.b(main)
    places = copy(thumb, FRAME)
    small = three_by_three(thumb, FRAME, row_end)
    loops = [general(thumb, FRAME, row_end, is_dilated) for is_dilated in (False, True)]

    thumb.place(main)
    thumb.mov(R11, R0)
    _start(thumb, small, loops)
    pad(thumb, FRAME)
    prepare(thumb, FRAME, places)
    channel = thumb.label()
    FRAME.load(thumb, R0, "channel")
    thumb.bl(places.start)
    TABLE.load(thumb, R0, "per_channel")
    FRAME.store(thumb, R0, "outputs_left")
    output = thumb.label()
    _weights(thumb)
    _constants(thumb)
    _rows(thumb, row_end)
    FRAME.load(thumb, R0, "y")
    thumb.adds(R0, R0, 1)
    FRAME.store(thumb, R0, "y")
    FRAME.load(thumb, R0, "outputs_left")
    thumb.subs(R0, R0, 1)
    FRAME.store(thumb, R0, "outputs_left")
    thumb.bne(output)
    FRAME.load(thumb, R0, "channel")
    thumb.adds(R0, R0, 1)
    FRAME.store(thumb, R0, "channel")
    TABLE.load(thumb, R1, "channels")
    thumb.cmp(R0, R1)
    thumb.bne(channel)
    FRAME.leave(thumb)
    return thumb


def _start(thumb: Thumb2, small: Sequence[Label], loops: Sequence[tuple[Label, Label]]) -> None:
    """Fill in what stays for all channels. r11: the table."""
    FRAME.store(thumb, R11, "table")
    for name in ("zero_y", "low", "high", "y", "weights", "outputs", "along", "tap_step", "between_rows"):
        TABLE.load(thumb, R1, name)
        FRAME.store(thumb, R1, name)
    TABLE.load(thumb, R1, "scratch")
    thumb.ldr(R1, R1)
    FRAME.store(thumb, R1, "weights_table")
    TABLE.load(thumb, R2, "table_bytes")
    thumb.add(R1, R2)
    FRAME.store(thumb, R1, "plane")
    thumb.mov_w(R1, 0)
    FRAME.store(thumb, R1, "channel")
    FRAME.store(thumb, R1, "constants")

    # steps: of a row of taps; pair_step, down: to the row of taps below the next one
    TABLE.load(thumb, R4, "kernel_w")
    TABLE.load(thumb, R5, "kernel_h")
    thumb.mul_w(R1, R4, R5)
    thumb.lsls(R1, R1, 14)
    FRAME.store(thumb, R1, "reach")
    thumb.adds(R4, R4, STEP - 1)
    thumb.lsrs(R4, R4, STEP.bit_length() - 1)
    FRAME.store(thumb, R4, "steps")
    thumb.adds(R5, R5, 1)
    thumb.lsrs(R5, R5, 1)
    FRAME.store(thumb, R5, "row_pairs")
    TABLE.load(thumb, R1, "dilation_h")
    TABLE.load(thumb, R2, "pitch")
    thumb.muls(R1, R2)
    thumb.lsls(R1, R1, 3)
    FRAME.store(thumb, R1, "pair_step")
    TABLE.load(thumb, R2, "tap_step")
    thumb.lsls(R3, R4, STEP.bit_length() - 1)
    thumb.mls(R1, R2, R3, R1)
    FRAME.store(thumb, R1, "down")
    _choose_loop(thumb, loops)
    _choose_small_loop(thumb, small)
    _row_sizes(thumb)


def _choose_loop(thumb: Thumb2, loops: Sequence[tuple[Label, Label]]) -> None:
    """Find the loop for outputs that others are not made for. r4: steps of a row of taps."""
    chosen = Label()
    thumb.rsb_w(R4, R4, 0)
    thumb.and_w(R4, R4, STEPS - 1)
    TABLE.load(thumb, R5, "dilation_w")
    for is_dilated, (loop, steps) in zip((False, True), loops, strict=True):
        thumb.address(R1, loop)
        thumb.address(R2, steps)
        thumb.mov_w(R3, STEP_BYTES[is_dilated])
        if not is_dilated:
            thumb.cmp(R5, 1)
            thumb.beq(chosen)
    thumb.place(chosen)
    thumb.mla(R2, R3, R4, R2)
    FRAME.store(thumb, R1, "general_loop")
    FRAME.store(thumb, R2, "steps_entry")


def _choose_small_loop(thumb: Thumb2, small: Sequence[Label]) -> None:
    """Find the loop for 3x3 windows, if these are such: by stride_w 1, 2, and any."""
    chosen = Label()
    thumb.mov_w(R1, 0)
    for name, value in (("dilation_w", 1), ("kernel_h", 3), ("kernel_w", 3)):
        TABLE.load(thumb, R2, name)
        thumb.cmp(R2, value)
        thumb.bne(chosen)
    TABLE.load(thumb, R2, "stride_w")
    for stride, loop in enumerate(small, 1):
        thumb.address(R1, loop)
        thumb.cmp(R2, stride)
        thumb.beq(chosen)
    thumb.place(chosen)
    FRAME.store(thumb, R1, "small_loop")


def _row_sizes(thumb: Thumb2) -> None:
    """Find how far a row's windows reach, and those that are made two at a time."""
    TABLE.load(thumb, R1, "out_w")
    TABLE.load(thumb, R2, "along")
    thumb.mul_w(R3, R1, R2)
    FRAME.store(thumb, R3, "windows_bytes")
    thumb.bic_w(R1, R1, 1)
    thumb.muls(R1, R2)
    FRAME.store(thumb, R1, "pairs_bytes")


def _weights(thumb: Thumb2) -> None:
    """Write an output's table: for each two rows of taps their weights in halves, doubled, an even number."""
    tap, even = Label(), Label()
    FRAME.load(thumb, R0, "weights_table")
    FRAME.load(thumb, R1, "weights")
    TABLE.load(thumb, R2, "kernel_w")
    TABLE.load(thumb, R3, "kernel_h")
    pair = thumb.label()
    thumb.add_w(R4, R1, R2)
    thumb.mvn_w(R8, 0)
    thumb.cmp(R3, 1)
    thumb.it("eq")
    thumb.mov_w(R8, 0)  # no row is below
    thumb.mov(R5, R2)
    thumb.place(tap)
    thumb.ldrsb_post(R6, R1, 1)
    thumb.ldrsb_post(R7, R4, 1)
    thumb.and_w(R7, R7, R8)
    thumb.pkhbt(R6, R6, R7, 16)
    thumb.sadd16(R6, R6, R6)
    thumb.str_post(R6, R0, 4)
    thumb.subs(R5, R5, 1)
    thumb.bne(tap)
    thumb.lsrs(R6, R2, 1)
    thumb.blo(even)
    thumb.str_post(R5, R0, 4)
    thumb.place(even)
    thumb.cmp(R3, 1)
    thumb.it("ne")
    thumb.mov(R1, R4)
    thumb.subs(R3, R3, 2)
    thumb.bgt(pair)
    FRAME.store(thumb, R1, "weights")


def _constants(thumb: Thumb2) -> None:
    """Take an output's constants and choose its loop. r11: the table."""
    slow, decided, chosen = Label(), Label(), Label()
    FRAME.load(thumb, R0, "constants")
    for register, name in ((R1, "bias"), (R2, "multipliers"), (R3, "shifts")):
        TABLE.load(thumb, register, name)
        thumb.ldr(register, register, R0)
    thumb.adds(R0, R0, 4)
    FRAME.store(thumb, R0, "constants")
    FRAME.store(thumb, R1, "late_bias")
    constants(thumb, FRAME, slow)
    FRAME.load(thumb, R6, "small_loop")
    thumb.cmp(R6, 0)
    thumb.bne(chosen)
    thumb.b(decided)
    thumb.place(slow)
    thumb.mov_w(R1, 0)
    thumb.mov_w(R12, 0)
    thumb.place(decided)
    FRAME.load(thumb, R6, "general_loop")
    thumb.place(chosen)
    thumb.lsls(R1, R1, 1)
    FRAME.store(thumb, R1, "bias")
    FRAME.store(thumb, R6, "row_loop")
    FRAME.store_two(thumb, R2, R3, "multiplier")
    FRAME.store(thumb, R12, "right")


def _rows(thumb: Thumb2, row_end: Label) -> None:
    """Make an output's rows. r11: the table, and at the end again."""
    FRAME.load(thumb, R0, "weights_table")
    thumb.ldm_w(R0, R4, R5, R6, R7)
    thumb.ldm_w(R0, R1, R2, R8)
    thumb.pkhbt(R7, R1, R2, 16)
    FRAME.load(thumb, R9, "y")
    FRAME.load(thumb, R12, "plane")
    TABLE.load(thumb, R0, "rows")
    row = thumb.label()
    FRAME.store(thumb, R0, "rows_left")
    FRAME.load_two(thumb, R0, R1, "pairs_bytes")
    thumb.add(R0, R12)
    thumb.add(R1, R12)
    FRAME.store(thumb, R0, "pairs_end")
    FRAME.store(thumb, R1, "windows_end")
    FRAME.load(thumb, PC, "row_loop")

    thumb.place(row_end)
    FRAME.load_two(thumb, R0, R1, "rows_left")
    thumb.add(R12, R1)
    thumb.subs(R0, R0, 1)
    thumb.bne(row)
    FRAME.load(thumb, R11, "table")
