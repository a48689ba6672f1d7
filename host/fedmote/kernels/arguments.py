"""The words that native functions get as their argument, an array of them, in memory that they may change."""


class Arguments:
    """Words by their names, in the order in which they lie."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def offset(self, name: str) -> int:
        """Return the bytes from the first word to this one."""
        return 4 * self.names.index(name)


#: words of their own that functions have behind those below
_KEPT = tuple(f"kept_{n}" for n in range(24))

# What lib/mote/kernels/native fills in; the bytes of scratch memory come from the kernel. x, y, a, b,
# weights, bias, multipliers, shifts: addresses, of bytes or of words. scratch: the address of a word with the
# scratch memory's address, which may change from call to call. u, v: row and column of the image at a
# window's first tap. Steps are in bytes. Sums with their bias, shifted left as a shift says, fit 32 bits.

#: docs/mote-format.md has the op. x: of the first window's first tap, which may lie in the padding. y: of the
#: first pixel's first output. outputs: written at each pixel; the last quad may have fewer than four. room:
#: quads that fit the scratch memory expanded; 0: weights are to be read where they stand. pixels: out_h *
#: out_w. line: a row of taps without dilation_w. end_u, end_v: a window lies inside of the image where
#: 0 <= u < end_u and 0 <= v < end_v. pointwise: 1 where a window is a pixel of the image.
PRODUCTS = Arguments(
    "scratch", "x", "y", "weights", "bias", "multipliers", "shifts",
    "outputs", "quads", "columns", "room", "pixels", "out_h", "out_w", "pitch",
    "stride_h", "stride_w", "row_step", "pixel_step", "first_u", "first_v",
    "height", "width", "channels", "kernel_h", "kernel_w", "dilation_h", "dilation_w",
    "line", "tap_row_step", "tap_step", "end_u", "end_v", "pointwise",
    "zero_x", "zero_y", "low", "high", "window", *_KEPT,
)  # fmt: skip

#: A call makes some rows of y, channel by channel, from a plane that it writes into the scratch memory behind
#: ``table_bytes``: plane_rows rows of ``pitch`` cells, whose first ``left`` and last ones, behind ``copied``
#: pixels, are padding. Where a cell has two lanes, the low one begins at row first_u of the image and gives
#: ``rows`` rows of y; the high one begins at high_u and gives as many, of which the first begins high_y bytes
#: behind y (the middle row may be made twice). Without lanes high_u is first_u, and high_y is 0. per_channel:
#: outputs. along to between_rows are steps in the plane: from window to window, from tap to tap, from behind
#: a row of taps to the next one, from behind a row of windows to the next one.
TAPS = Arguments(
    "scratch", "x", "y", "weights", "bias", "multipliers", "shifts",
    "channels", "per_channel", "outputs", "rows", "out_w", "high_y",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w", "table_bytes",
    "first_u", "high_u", "plane_rows", "pitch", "left", "copied", "height", "width", "row_bytes",
    "along", "tap_step", "down", "between_rows", "zero_x", "zero_y", "low", "high", *_KEPT,
)  # fmt: skip

#: u and v of the first window may be negative
AVERAGE_POOL = Arguments(
    "x", "y", "low", "high", "kernel_h", "kernel_w", "stride_h", "stride_w", "first_u", "first_v",
    "height", "width", "channels", "out_h", "out_w", *_KEPT,
)  # fmt: skip

#: shifts are to the right, 0 to 62. sign: 1 or -1, that of b
ADD = Arguments(
    "a", "b", "y", "count", "zero_a", "multiplier_a", "shift_a", "zero_b", "multiplier_b", "shift_b", "sign",
    "multiplier_y", "shift_y", "zero_y", "low", "high", *_KEPT,
)  # fmt: skip
