"""How windows over an image are read through ulab's two dimensions: row by row, through a padded strip."""

from ulab import numpy as np


def strip(x_shape, padding, kernel_w, stride_w, dilation_w, left, out_w):
    """Return (inside, taps), views of one row of an image between its padding.

    inside: [W, C], to be written. taps: for each column of the kernel what
    lies beneath it, [OW, C]. padding: int8.
    """
    _, _, width, channels = x_shape
    reach = (out_w - 1) * stride_w + 1
    row = np.zeros((max(left + width, reach + (kernel_w - 1) * dilation_w), channels), dtype=np.int8)
    row[:] = padding
    taps = [row[start : start + reach : stride_w] for start in range(0, kernel_w * dilation_w, dilation_w)]
    return row[left : left + width], taps


def inside(start, size, limit):
    """Return the part of a window from ``start`` on that lies in [0, limit)."""
    return max(start, 0), min(start + size, limit)
