"""Convolutions on ulab's arrays, by sums of int16 products of patches that are laid side by side."""

from array import array

from ulab import numpy as np

from .arithmetic import Requantiser, int8s
from .dense import dense
from .depthwise import apart
from .sums import pairs_fit, piece_of, share
from .weighted import weighted

_GATHERED = 2048  # numbers that are laid side by side at a time


def conv(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.conv``. Constants and origin are looked at once."""
    _, kernel_h, kernel_w, channels = weights_shape
    _, out_h, out_w, pitch = y_shape
    if kernel_h * kernel_w * stride_h * stride_w == 1 and top == left == 0 and x_shape[:3] == y_shape[:3]:
        return dense(x, weights, bias, multipliers, shifts, y, zero_y, low, high, form, pitch, origin)
    outputs = len(bias) // 4
    first = origin[0]
    run = _gathered(
        x, int8s(weights, (outputs, kernel_h * kernel_w * channels)), (bias, multipliers, shifts),
        int8s(y, (out_h * out_w, pitch))[:, first : first + outputs], zero_x, zero_y, low, high,
        (kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left, out_w), x_shape,
        (x, weights, y),
    )  # fmt: skip
    if run:
        return run
    from ..plain import conv as plain  # loaded where it is needed only: memory is short

    return plain.conv(
        x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
        dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
    )  # fmt: skip


def depthwise(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.depthwise``. The constants are looked at once."""
    _, kernel_h, kernel_w, outputs = weights_shape
    _, out_h, out_w, _ = y_shape
    w = int8s(weights, (kernel_h * kernel_w, outputs))
    constants = bias, multipliers, shifts
    window = kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left, out_w
    if x_shape[3] == 1:
        # one channel for all outputs: a convolution
        run = _gathered(
            x, w.transpose(), constants, int8s(y, (out_h * out_w, outputs)), zero_x, zero_y, low, high,
            window, x_shape, (x, weights, y),
        )  # fmt: skip
    else:
        run = apart(x, w, constants, y, zero_x, zero_y, low, high, window, x_shape, (x, weights, y))
    if run:
        return run
    from ..plain import conv as plain  # loaded where it is needed only: memory is short

    return plain.depthwise(
        x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
        dilation_h, dilation_w, top, left, form, x_shape, weights_shape, y_shape, origin,
    )  # fmt: skip


def _gathered(x, w, constants, y_rows, zero_x, zero_y, low, high, window, x_shape, keep):
    """Return run() of a convolution, or None where it cannot be had. w: int8 [N, K]. y_rows: [OH * OW, N].
    keep: x, weights, y."""
    columns = w.shape[1]
    piece = piece_of(columns)
    if not piece or not pairs_fit(keep[1]) or not -128 <= zero_x <= 127:
        return None
    scaled = Requantiser(constants, zero_y, low, high, 16384 * columns, 0, columns // piece)
    if not scaled.possible:
        return None
    return weighted(
        _patches(x, zero_x, window, x_shape, columns), len(y_rows), w, piece, scaled, y_rows, False, keep
    )


def _patches(x, zero_x, window, x_shape, columns):
    """Return fill() of ``weighted`` that lays what a window sees side by side: [KH * KW * C] a pixel."""
    kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left, out_w = window
    _, height, width, channels = x_shape
    of_row = width * channels
    # one row of the image, padded
    reach = (out_w - 1) * stride_w + 1
    padded = max(left + width, reach + (kernel_w - 1) * dilation_w)
    strip = memoryview(array("b", bytes(padded * channels)))
    row = int8s(strip, (padded, channels))
    row[:] = zero_x
    inside = strip[left * channels : left * channels + of_row]
    taps = [row[start : start + reach : stride_w] for start in range(0, kernel_w * dilation_w, dilation_w)]
    padding = np.array([zero_x], dtype=np.int16)
    # the patches of a row, or a part of one, as they are copied to tiles
    count = share(out_w, _GATHERED // columns)
    laid_bytes = memoryview(bytearray(2 * count * columns))
    laid = np.frombuffer(laid_bytes, dtype=np.int16).reshape((count, columns))
    # from one row to the next, what the window sees moves up by so many numbers, and this is new
    kept = max(kernel_h - stride_h, 0) if dilation_h == 1 else 0
    moved = (kernel_h - kept) * kernel_w * channels
    fresh = laid[:, columns - moved :]
    parts = [fresh[:, at : at + channels] for at in range(0, moved, channels)]
    held = None

    def lay(rows, parts, j):
        """Write what the window sees of these rows of the image, from column j of the output on."""
        parts = iter(parts)
        for u in rows:
            is_inside = 0 <= u < height
            if is_inside:
                inside[:] = x[u * of_row : (u + 1) * of_row]
            for tap in taps:
                part = next(parts)
                part += padding if not is_inside else tap if count == out_w else tap[j : j + count]

    def lay_out(i, j, patches=laid, fresh=fresh):
        """Lay the patches of row i from column j on."""
        rows = range(i * stride_h - top, i * stride_h - top + kernel_h * dilation_h, dilation_h)
        if held == (i - 1, j) and kept:
            laid_bytes[: -2 * moved] = laid_bytes[2 * moved :]
            fresh -= fresh
            lay(rows[kept:], parts, j)
        else:
            patches -= patches
            lay(rows, (patches[:, at : at + channels] for at in range(0, columns, channels)), j)

    def fill(tile, tile_bytes, first, column):
        nonlocal held
        if first == 0:
            held = None  # the image is another one
        done, size = 0, 2 * columns
        while done < len(tile):
            i, j = divmod(first + done, out_w)
            start = min(j // count * count, out_w - count)
            if held != (i, start):
                lay_out(i, start)
                held = i, start
            more = min(len(tile) - done, start + count - j)
            source = laid_bytes[(j - start) * size : (j - start + more) * size]
            tile_bytes[done * size : (done + more) * size] = source
            done += more

    return fill
