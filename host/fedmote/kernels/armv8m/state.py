"""What the products function of Cortex-M33 keeps on the stack, and how that begins."""

from fedmote.kernels.armv8m.frame import Frame
from fedmote.kernels.armv8m.patch import TABLE
from fedmote.kernels.armv8m.records import QUAD
from fedmote.kernels.thumb import R1, R2, R3, Label, Register
from fedmote.kernels.thumb2 import Thumb2

FRAME = Frame(
    *QUAD, "finish", "to_finish_fast", "to_finish_any", "to_finish_tail", "tail", "reach", "lowest", "zero_y",
    "low", "high", "multipliers", "shifts", "bias", "weights", "outputs_left", "quads_left", "fours",
    # of the pixels: place of the next window, its first tap and that of its row; where bytes go
    "u", "v", "source", "row_source", "row_left", "pixels_left", "return", "bytes", "y", "other_y", "next_y",
    # of a stream, or of single quads
    "table", "patch", "patch_end", "begin", "stream", "room_left", "block_y", "is_flat", "pixel_end", "less",
    *(f"sum_{n}" for n in range(8)),
)  # fmt: skip


def take(thumb: Thumb2, name: str, target: str) -> None:
    """Let a word of the frame be one of the table."""
    TABLE.load(thumb, R1, name)
    FRAME.store(thumb, R1, target)


def quads_from_first(thumb: Thumb2) -> None:
    """Begin with the first quad's constants."""
    for name in ("multipliers", "shifts", "bias", "weights"):
        take(thumb, name, name)
    take(thumb, "outputs", "outputs_left")
    take(thumb, "quads", "quads_left")


def pixels_from_first(thumb: Thumb2) -> None:
    """Begin with the first pixel."""
    for name, target in (
        ("first_u", "u"), ("first_v", "v"), ("x", "source"), ("x", "row_source"), ("out_w", "row_left"),
        ("pixels", "pixels_left"),
    ):  # fmt: skip
        take(thumb, name, target)


def enter_at(thumb: Thumb2, target: str, loop: Label, steps: Register, of_turn: int, bytes_of: int) -> None:
    """Let a word of the frame be where so many steps of a loop are begun. Changes r1 to r3."""
    thumb.rsb_w(R2, steps, 0)
    thumb.and_w(R2, R2, of_turn - 1)
    thumb.mov_w(R3, bytes_of)
    thumb.muls(R2, R3)
    thumb.address(R1, loop)
    thumb.add(R1, R2)
    FRAME.store(thumb, R1, target)


def choose_source(thumb: Thumb2) -> None:
    """Find whether bytes can be taken from x as they stand, where pixel follows on pixel."""
    gathered = Label()
    thumb.mov_w(R3, 0)
    TABLE.load(thumb, R1, "pointwise")
    thumb.cmp(R1, 0)
    thumb.beq(gathered)
    TABLE.load(thumb, R1, "channels")
    thumb.tst_w(R1, 3)
    thumb.bne(gathered)
    TABLE.load(thumb, R1, "pixel_step")
    TABLE.load(thumb, R2, "out_w")
    thumb.muls(R1, R2)
    TABLE.load(thumb, R2, "row_step")
    thumb.subs(R1, R1, R2)
    thumb.bne(gathered)
    thumb.mov_w(R3, 1)
    thumb.place(gathered)
    FRAME.store(thumb, R3, "is_flat")
