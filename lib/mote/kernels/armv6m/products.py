"""Convolutions and dense layers over weights in quads: fills in what the native function wants to know."""

from array import array

from uctypes import addressof

from ..native import scratch
from ..plain.products import products as _plain
from . import code, cores
from .estimate import estimate
from .limits import limited

# As in host/fedmote/kernels/armv6m: what comes after a quad, and pairs of inputs in a turn of the loops, with
# their bytes of code. The words below are in the order of ARGUMENTS there.
_NEXT, _END, _PART, _END_OF_PART = 0, 1, 3, 5
_WORDS_LOOP, _BYTES_LOOP = (8, 30), (5, 46)
_ZONES = 61

_FEW = 2  # so many pixels are not worth expanding the weights


def products(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.products``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, pitch = y_shape
    columns = kernel_h * kernel_w * channels
    pairs = (columns + 1) // 2
    outputs = min(len(bias) // 4, pitch - origin[0])
    quads = (outputs + 3) // 4
    few = out_h * out_w <= _FEW
    parts = min(cores.count, quads)
    besides = 20 + (12 * pairs + 4 if few else 8 * pairs)  # a patch, a tag, and nothing at 0
    quad_bytes = 60 + (0 if few else 16 * pairs)
    room = (scratch.LIMIT // parts - besides) // quad_bytes
    if window < 2 or room < 1:
        return _plain(
            x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
            dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape,
            origin,
        )  # fmt: skip
    share = (quads + parts - 1) // parts
    blocks = (share + room - 1) // room
    size = besides + (share + blocks - 1) // blocks * quad_bytes
    size = scratch.reserve(parts * size, parts * (besides + quad_bytes)) // (4 * parts) * 4
    room = (size - besides) // quad_bytes

    spreads = array("I", bytes(16 * quads))
    code.reach(array("I", (addressof(weights), quads, columns, addressof(spreads))))
    biases, halves, right = (
        array(kind, bytes(view[: 4 * outputs]))
        for kind, view in (("i", bias), ("H", multipliers), ("i", shifts))
    )
    offset, start, zones = estimate(biases, spreads, halves, right, zero_y)
    zones.extend(bytes(-outputs & 3))

    pairs_of_turn, bytes_of_pair = _BYTES_LOOP if few else _WORDS_LOOP
    line, row_of_taps, step = kernel_w * channels, dilation_h * width * channels, stride_w * channels
    pointwise = kernel_h == kernel_w == 1 and top == left == channels & 3 == 0 and not few

    def words(part):
        first = part * share
        last = min(first + share, quads)
        tail = outputs & 3 if last == quads else 0
        place = 16 + part * size
        table = array("I", [word & 0xFFFFFFFF for word in (
            0, 0, channels // 4 if pointwise else 0, 0, pitch, step - (channels if pointwise else 0), 0, 0,
            start, 0, 0, out_w, 0, 0, stride_h * width * channels, offset, 0, 0, stride_h, -left, 0, 0,
            stride_w, height - (kernel_h - 1) * dilation_h - 1,
            width - kernel_w if dilation_w == 1 or kernel_w == 1 else -1,
            kernel_h, kernel_w, line, channels, height, width,
            row_of_taps - line, (dilation_w - 1) * channels, dilation_h, dilation_w, row_of_taps, zero_x,
            0, 0, 0, 0, columns, -pairs % pairs_of_turn * bytes_of_pair, 0, 0, -pairs << 15 if few else 0,
            0, 0, 0, 0, 0, tail, 0, 0,
            scratch.place(), place + besides - 20, place + (4 * pairs if few else 0),
            place + (12 if few else 8) * pairs, place if few else 0,
            addressof(weights) + 4 * columns * first, addressof(bias) + 16 * first, 0,
            addressof(multipliers) + 16 * first, addressof(shifts) + 16 * first,
            addressof(y) + origin[0] + 4 * first, last - first, room, out_h,
            addressof(x) - (top * width + left) * channels, -top,
            _END_OF_PART if tail else _END, _PART if tail else _NEXT,
        )])  # fmt: skip
        count = len(table)
        table.extend(array("I", zones[4 * first : 4 * last]))
        table[_ZONES] = addressof(table) + 4 * count
        return table

    run = cores.shared(code.products, [words(part) for part in range(parts)])
    return limited(run, y, low, high, y_shape)
