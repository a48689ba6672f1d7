"""Average pools: fills in what the native function wants to know."""

from array import array

from uctypes import addressof

from . import code


def average_pool(
    x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape
):  # fmt: skip
    """See ``plain.average_pool``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, _ = y_shape
    words = array("i", (
        addressof(x), addressof(y), low, high, kernel_h, kernel_w, stride_h, stride_w, -top, -left,
        height, width, channels, out_h, out_w, 0, 0, 0, 0, 0,
    ))  # fmt: skip

    def run():
        code.average_pool(words)

    return run
