"""Average pools: fills in what a native function wants to know."""

from uctypes import addressof

from .words import call, words


def binder(function):
    """Return the ``average_pool`` of a kernel: see ``plain.average_pool``."""

    def average_pool(
        x, y, low, high, kernel_h, kernel_w, stride_h, stride_w, top, left, x_shape, y_shape
    ):  # fmt: skip
        _, height, width, channels = x_shape
        _, out_h, out_w, _ = y_shape
        table = words(
            addressof(x), addressof(y), low, high, kernel_h, kernel_w, stride_h, stride_w, -top, -left,
            height, width, channels, out_h, out_w,
        )  # fmt: skip
        return call(function, (table,))

    return average_pool
