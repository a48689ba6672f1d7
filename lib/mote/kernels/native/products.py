"""Convolutions and dense layers over weights in quads: fills in what a native function wants to know."""

from uctypes import addressof

from ..plain.products import products as _plain
from . import scratch
from .words import call, near, words


def binder(function, few, alone, besides, quad):
    """Return the ``products`` of a kernel: see ``plain.products``.

    Up to ``few`` pixels are not worth expanding the weights. Bytes of scratch that the function uses, as (for
    each four columns, on top): alone: without expanded weights. besides: with them, quad: for each quad.
    """

    def products(
        x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
        dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
    ):  # fmt: skip
        _, height, width, channels = x_shape
        _, out_h, out_w, pitch = y_shape
        columns = kernel_h * kernel_w * channels
        outputs = min(len(bias) // 4, pitch - origin[0])
        quads = (outputs + 3) // 4
        alone_bytes, besides_bytes, quad_bytes = (
            for_four * ((columns + 3) // 4) + on_top for for_four, on_top in (alone, besides, quad)
        )
        room = 0
        if out_h * out_w > few:
            room = max((scratch.LIMIT - besides_bytes) // quad_bytes, 0)
        if window < 2 or not near(bias, shifts, columns) or not room and alone_bytes > scratch.LIMIT:
            return _plain(
                x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
                dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
            )  # fmt: skip
        if room:
            blocks = (quads + room - 1) // room
            room = (quads + blocks - 1) // blocks
            size = scratch.reserve(besides_bytes + room * quad_bytes, besides_bytes + quad_bytes)
            room = min((size - besides_bytes) // quad_bytes, room)
        else:
            scratch.reserve(alone_bytes, alone_bytes)
        row_bytes = width * channels
        table = words(
            scratch.place(), addressof(x) - (top * width + left) * channels, addressof(y) + origin[0],
            addressof(weights), addressof(bias), addressof(multipliers), addressof(shifts),
            outputs, quads, columns, room, out_h * out_w, out_h, out_w, pitch,
            stride_h, stride_w, stride_h * row_bytes, stride_w * channels, -top, -left,
            height, width, channels, kernel_h, kernel_w, dilation_h, dilation_w,
            kernel_w * channels, dilation_h * row_bytes, dilation_w * channels,
            height - (kernel_h - 1) * dilation_h, width - (kernel_w - 1) * dilation_w,
            kernel_h == kernel_w == 1 and top == left == 0, zero_x, zero_y, low, high, window,
        )  # fmt: skip
        return call(function, (table,))

    return products
