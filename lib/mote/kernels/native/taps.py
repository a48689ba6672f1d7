"""Depthwise convolutions: fills in what a native function wants to know."""

from uctypes import addressof

from ..plain.taps import taps as _plain
from . import scratch
from .words import call, near, words

_BESIDES = 32  # bytes of scratch that any function may use on top, at its end


def binder(function, cell, lanes, tap):
    """Return the ``taps`` of a kernel: see ``plain.taps``.

    The function writes channel after channel into a plane in the scratch memory: all rows of the image that
    some rows of y cover, with the padding around them. cell: bytes of a pixel there. lanes: 1, or 2 where
    a cell has a pixel of the upper half of the rows and one of the lower. tap: bytes of scratch for each tap
    and each of ``kernel_h`` rows of them, in front of the plane.
    """

    def taps(
        x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
        dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
    ):  # fmt: skip
        _, height, width, channels = x_shape
        _, out_h, out_w, outputs = y_shape
        pitch = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1
        reach = (kernel_h - 1) * dilation_h
        table_bytes = (tap * kernel_h * (kernel_w + 1) + 3) // 4 * 4

        def rows_of(count):  # of the plane, for rows of y
            return ((count + lanes - 1) // lanes - 1) * stride_h + reach + 1

        def size_of(count):
            return table_bytes + (cell * rows_of(count) * pitch + 3) // 4 * 4 + _BESIDES

        if size_of(1) > scratch.LIMIT or not near(bias, shifts, kernel_h * kernel_w):
            return _plain(
                x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
                dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
            )  # fmt: skip
        size = scratch.reserve(min(size_of(out_h), scratch.LIMIT), size_of(1))
        bands = 1
        while size_of((out_h + bands - 1) // bands) > size:
            bands += 1
        band = (out_h + bands - 1) // bands
        row_of_y = out_w * outputs
        tables = []
        for first in range(0, out_h, band):
            count = min(band, out_h - first)
            half = (count + lanes - 1) // lanes
            tables.append(words(
                scratch.place(), addressof(x), addressof(y) + first * row_of_y,
                addressof(weights), addressof(bias), addressof(multipliers), addressof(shifts),
                channels, outputs // channels, outputs, half, out_w, (count - half) * row_of_y,
                kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, table_bytes,
                first * stride_h - top, (first + count - half) * stride_h - top, rows_of(count), pitch,
                left, min(width, pitch - left), height, width, width * channels,
                cell * stride_w, cell * dilation_w, cell * (dilation_h * pitch - kernel_w * dilation_w),
                cell * (stride_h * pitch - out_w * stride_w), zero_x, zero_y, low, high,
            ))  # fmt: skip
        return call(function, tables)

    return taps
