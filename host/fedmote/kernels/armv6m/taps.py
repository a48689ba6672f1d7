"""The taps function of Cortex-M0+: depthwise convolutions, channel by channel, two outputs in two lanes.
docs/kernels.md explains its lanes; lib/mote/kernels/armv6m/taps.py calls it.

A channel is written into a plane (plane.py), then each of its outputs' weights and constants into a table, in
front of the plane; then the outputs are made row by row by one of the loops in windows.py.
"""

from fedmote.kernels.armv6m.arguments import Arguments
from fedmote.kernels.armv6m.mail import known
from fedmote.kernels.armv6m.plane import copy, pad
from fedmote.kernels.armv6m.requantise import exact
from fedmote.kernels.armv6m.tables import table
from fedmote.kernels.armv6m.windows import IN_THREES, IN_TWOS, dilated, general, three_by_three, to_limbs
from fedmote.kernels.thumb import (
    LR,
    PC,
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
    SP,
    Label,
    Thumb,
)  # fmt: skip

#: of the names that a number follows, the kind of an output tells which: lib/mote/kernels/armv6m/taps.py
ARGUMENTS = Arguments(
    "place", "apart", "table_bytes", "plane_quads", "padding", "segments", "channels", "row_step",
    "between_rows", "pitch_bytes", "copied_bytes", "skip_both", "skip_one", "multipliers", "shifts", "offset",
    "per_channel", "weights", "small", "kernel_h", "memory", "kept_channel", "kept_left",
    # in reach from MOVED as well
    "kept_output", "kept_weights", "kinds", "kernel_w", "pairs", "across",
    # from there alone
    "bias", "half_bytes", "outputs", "dropped", "y", "scale", "scale_1", "scale_2", "start", "start_1",
    "start_2", "drained", "drained_1", "row_bytes", "between_windows", "rows", "down", "along", "kept_rows",
    "kept_end", "kept_loop",
)  # fmt: skip


def taps() -> Thumb:
    """Return the code of the function."""
    thumb = Thumb()
    last = known(thumb)
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(low, high)
    thumb.push(R4, R5, R6, R7)
    thumb.push(R0)
    main, row_end, channel, output = (Label() for _ in range(4))
    thumb.b(main)
    loops = _loops(thumb, row_end)
    thumb.place(main)
    thumb.movs(R7, R0)
    ARGUMENTS.load(thumb, R0, "place")
    thumb.ldr(R0, R0)
    ARGUMENTS.load(thumb, R1, "apart")
    thumb.adds(R0, R0, R1)
    ARGUMENTS.store(thumb, R0, "memory")
    pad(thumb, ARGUMENTS)
    _begin(thumb)
    thumb.place(channel)
    copy(thumb, ARGUMENTS)
    thumb.place(output)
    table(thumb, ARGUMENTS)
    _rows(thumb, loops, row_end)
    _next(thumb, channel, output)
    thumb.pop(R0)
    thumb.pop(R4, R5, R6, R7)
    for high, low in ((R8, R4), (R9, R5), (R10, R6), (R11, R7)):
        thumb.mov(high, low)
    thumb.place(last)
    return thumb


def _loops(thumb: Thumb, row_end: Label) -> list[Label]:
    """Write the loops. Return their labels, by the numbers that are in the kinds of outputs."""
    constants = [ARGUMENTS.offset(name) for name in ("multipliers", "shifts", "offset")]
    limbs = to_limbs(thumb, lambda depth: exact(thumb, depth, *constants))
    labels = []
    for estimates in (IN_THREES, IN_TWOS):
        for estimate in estimates:
            labels.append(thumb.label())
            three_by_three(thumb, estimates == IN_THREES, estimate, limbs, row_end)
    for loop in (general, dilated):
        labels.append(thumb.label())
        loop(thumb, limbs, row_end)
    return labels


def _begin(thumb: Thumb) -> None:
    """Go to the first channel and its first output. r7: arguments."""
    thumb.movs(R0, 0)
    ARGUMENTS.store(thumb, R0, "kept_channel")
    ARGUMENTS.store(thumb, R0, "kept_output")
    ARGUMENTS.load(thumb, R0, "weights")
    ARGUMENTS.store(thumb, R0, "kept_weights")
    ARGUMENTS.load(thumb, R0, "per_channel")
    ARGUMENTS.store(thumb, R0, "kept_left")


def _next(thumb: Thumb, channel: Label, output: Label) -> None:
    """Go to the next output, on the same channel or on the next one, or end. r7: arguments."""
    ARGUMENTS.load(thumb, R0, "kept_output")
    thumb.adds(R0, R0, 1)
    ARGUMENTS.store(thumb, R0, "kept_output")
    ARGUMENTS.load(thumb, R1, "kept_left")
    thumb.subs(R1, R1, 1)
    ARGUMENTS.store(thumb, R1, "kept_left")
    thumb.far("ne", output)
    ARGUMENTS.load(thumb, R1, "per_channel")
    ARGUMENTS.store(thumb, R1, "kept_left")
    ARGUMENTS.load(thumb, R0, "kept_channel")
    thumb.adds(R0, R0, 1)
    ARGUMENTS.store(thumb, R0, "kept_channel")
    ARGUMENTS.load(thumb, R1, "channels")
    thumb.cmp(R0, R1)
    thumb.far("ne", channel)


def _rows(thumb: Thumb, loops: list[Label], row_end: Label) -> None:
    """Make an output's rows. r7: arguments, and at the end again."""
    ARGUMENTS.load(thumb, R6, "memory")
    ARGUMENTS.load(thumb, R0, "table_bytes")
    thumb.adds(R6, R6, R0)
    thumb.movs(R1, R7)
    thumb.adds(R1, R1, ARGUMENTS.MOVED)
    thumb.movs(R7, R1)
    for high, name in ((R10, "down"), (R11, "along")):
        ARGUMENTS.load(thumb, R0, name, moved=True)
        thumb.mov(high, R0)
    thumb.constant(R0, 0x8000)
    thumb.mov(R12, R0)
    ARGUMENTS.load(thumb, R0, "y", moved=True)
    ARGUMENTS.load(thumb, R2, "kept_output", moved=True)
    thumb.adds(R0, R0, R2)
    ARGUMENTS.load(thumb, R2, "outputs", moved=True)
    thumb.subs(R0, R0, R2)
    thumb.mov(LR, R0)
    ARGUMENTS.load(thumb, R0, "rows", moved=True)
    row = thumb.label()  # r7: arguments, r6: the first window, r0: rows left
    ARGUMENTS.store(thumb, R0, "kept_rows", moved=True)
    ARGUMENTS.load(thumb, R2, "row_bytes", moved=True)
    thumb.adds(R2, R2, R6)
    ARGUMENTS.load(thumb, R3, "kept_end", moved=True)
    thumb.str_(R2, R3)
    ARGUMENTS.load(thumb, R2, "kept_loop", moved=True)
    thumb.movs(R7, R6)
    thumb.ldr(R6, R3, 12)
    thumb.add(PC, R2)
    thumb.mov(R8, R8)  # never reached: the program counter is ahead
    for loop in loops:
        thumb.b(loop)

    thumb.place(row_end)
    thumb.movs(R6, R7)
    thumb.ldr(R7, SP)
    thumb.adds(R7, R7, ARGUMENTS.MOVED)
    ARGUMENTS.load(thumb, R0, "between_windows", moved=True)
    thumb.adds(R6, R6, R0)
    ARGUMENTS.load(thumb, R0, "kept_rows", moved=True)
    thumb.subs(R0, R0, 1)
    thumb.bne(row)
    thumb.subs(R7, R7, ARGUMENTS.MOVED)
