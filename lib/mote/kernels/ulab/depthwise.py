"""Convolutions on ulab's arrays whose channels stay apart: int16 products of whole rows of an image, one tap
after the other."""

from ulab import numpy as np

from . import scratch
from .arithmetic import Requantiser, int8s
from .sums import LONGEST, Sums, pairs_fit, share


def apart(x, w, constants, y, zero_x, zero_y, low, high, window, x_shape, keep):
    """Return run() of ``plain.depthwise``, or None where it cannot be had. w: int8 [KH * KW, N].
    keep: x, weights, y."""
    out_w = window[-1]
    taps, outputs = w.shape
    passes = outputs // x_shape[3]
    if taps > LONGEST or not pairs_fit(keep[1]) or not -128 <= zero_x <= 127:
        return None
    # each of the outputs of a channel is a pass of its own
    y_rows = int8s(y, (len(y) // outputs, outputs))
    scales = [
        Requantiser(constants, zero_y, low, high, 16384 * taps, 0, lane=(lane, passes))
        for lane in range(passes)
    ]
    if not all(scaled.possible for scaled in scales):
        return None
    lanes = [(w[:, lane::passes], scales[lane], y_rows[:, lane::passes]) for lane in range(passes)]
    out_h, channels = len(y) // (outputs * out_w), x_shape[3]
    # rows and columns of the outputs that are made at a time
    most = max(1, scratch.limit() // (4 * channels))
    step = share(out_w, most)
    group = share(out_h, most // out_w) if step == out_w else 1
    return _run(
        lanes, taps, (group, step, channels), _Rows(x, zero_x, window, x_shape, group), out_h, window, keep
    )


def _run(lanes, taps, block, rows, out_h, window, keep):
    """Return run(). The products of two taps are made at a time, for all outputs of a block."""
    kernel_h, _, stride_h, _, dilation_h, _, top, _, out_w = window
    group, step, channels = block
    pixels = group * step
    count = pixels * channels
    sums = Sums(count)
    places = [(u, tap) for u in range(0, kernel_h * dilation_h, dilation_h) for tap in rows.taps]
    scratch.reserve(scratch.PRODUCT, 2 * count)

    def total_of(place):
        return sums.total(place[0] * channels + place[1])

    def run(keep=keep):
        shape = pixels, channels
        both = scratch.int16s(scratch.PRODUCT, 2 * count)
        products, others = both[:count], both[count:]
        first, second = products.reshape(shape), others.reshape(shape)
        memory = memoryview(scratch.of(scratch.PRODUCT))
        size = 2 * step * channels
        targets = [memory[size * row : size * (row + 1)] for row in range(2 * group)]
        upper = np.frombuffer(memory[: 2 * count], dtype=np.int8)[1::2]
        high, low = sums.views(shape)

        def multiplied(tap, products, of_tap, row, start, targets):
            u, column = places[tap]
            for target in targets:
                rows.copy(row + u, start + column, target)
                row += stride_h
            products *= of_tap

        def add(row, start, weights, high=high, low=low, products=products):
            """Add H and L of ``sums`` for the block whose window begins at that row and column."""
            for tap in range(0, taps, 2):
                multiplied(tap, first, weights[tap], row, start, targets[:group])
                if tap + 1 < taps:
                    multiplied(tap + 1, second, weights[tap + 1], row, start, targets[group:])
                    products += others
                low += products
                high += upper

        for of_lane, scaled, y_rows in lanes:
            rows.start()
            weights = list(of_lane)
            write = scaled.writer(shape)
            for i in range(0, out_h, group):
                i = min(i, out_h - group)
                for start in range(0, out_w, step):
                    start = min(start, out_w - step)
                    sums.clear()
                    add(i * stride_h - top, start, weights)
                    value, of_value = sums.values()
                    target = i * out_w + start
                    write(value, total_of, y_rows[target : target + pixels], 0, of_value)

    return run


class _Rows:
    """Rows of an image, padded, as int16: those that a window sees, each read once.

    Every ``stride_w``-th pixel lies next to the one before it, so that a tap of the window lies in one piece.
    """

    def __init__(self, x, zero_x, window, x_shape, group):
        """group: rows of the output that are made at a time."""
        kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, _, left, out_w = window
        _, self._height, width, channels = x_shape
        self._x = int8s(x, (self._height * width, channels))
        self._width, self._channels, self._stride, self._left = width, channels, stride_w, left
        self._padding = np.array([zero_x], dtype=np.int16)
        # rows that are kept; one more is padding alone
        self._kept = (kernel_h - 1) * dilation_h + (group - 1) * stride_h + 1
        padded = max(left + width, (out_w - 1) * stride_w + 1 + (kernel_w - 1) * dilation_w)
        self._of_phase = (padded + stride_w - 1) // stride_w
        self._pixels = stride_w * self._of_phase
        #: where the columns of a window begin
        self.taps = [
            column % stride_w * self._of_phase + column // stride_w
            for column in range(0, kernel_w * dilation_w, dilation_w)
        ]
        scratch.reserve(scratch.ROWS, (self._kept + 1) * self._pixels * channels)

    def start(self):
        """Forget all rows: x may have changed."""
        size = (self._kept + 1) * self._pixels
        numbers = scratch.int16s(scratch.ROWS, size * self._channels)
        numbers -= numbers
        numbers += self._padding
        self._rows = numbers.reshape((size, self._channels))
        self._bytes = memoryview(scratch.of(scratch.ROWS))
        self._held = [None] * self._kept

    def copy(self, u, column, target):
        """Write what a tap sees of row u to target, bytes. column: of the output, and that of ``taps``."""
        place = self._kept
        if 0 <= u < self._height:
            place = u % self._kept
            if self._held[place] != u:
                self._read(u, place * self._pixels)
                self._held[place] = u
        at = 2 * self._channels * (place * self._pixels + column)
        target[:] = self._bytes[at : at + len(target)]

    def _read(self, u, at):
        row = self._x[u * self._width : (u + 1) * self._width]
        for phase in range(self._stride):
            first = (phase - self._left) % self._stride
            if first < self._width:
                pixels = row[first :: self._stride]
                start = at + phase * self._of_phase + (first + self._left) // self._stride
                part = self._rows[start : start + len(pixels)]
                part -= part
                part += pixels
