"""Depthwise convolutions: fills in what the native function wants to know."""

from array import array

from uctypes import addressof

from ..native import scratch
from ..plain.arithmetic import int32_at
from ..plain.taps import taps as _plain
from . import code, cores
from .limits import limited

# As in host/fedmote/kernels/armv6m/windows.py: estimates as bits dropped, of fraction and of the zone; the
# numbers of loops, pairs of taps in a turn of the general one with their bytes of code, words of the tail.
_SMALL = ((1, 20, 5), (1, 21, 4), (1, 16, 3))
_ANY = ((3, 20, 4),)
_IN_THREES, _IN_TWOS, _GENERAL, _DILATED = 0, 2, 5, 6
_PAIRS, _PAIR_BYTES = 4, 16
_TAIL = 9
# As in plane.py: pixels in a turn with bytes of code for each, the shift of a segment of both lanes.
_PIXELS, _BOTH_BYTES, _ONE_BYTES, _BOTH = 8, 12, 10, 32

# As in taps.py: places of the words with addresses of what stands behind the words.
_SEGMENTS, _KINDS = 5, 25

_ALONE = 2  # the estimate that only outputs drained after two taps have
_NONE = 3  # no estimate
_WORD = 0xFFFFFFFF


def taps(
    x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
    dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
):  # fmt: skip
    """See ``plain.taps``."""
    _, height, width, channels = x_shape
    _, out_h, out_w, outputs = y_shape
    small = kernel_h == kernel_w == 3 and dilation_w == 1
    pairs = (kernel_w + 1) // 2
    table = 4 * (_TAIL + (9 if small else 2 + kernel_h * (1 + 2 * pairs)))
    pitch = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1
    reach = (kernel_h - 1) * dilation_h

    def size_of(half):  # rows of output in each lane
        rows = (half - 1) * stride_h + reach + 1
        return table + (4 * (rows * pitch + dilation_w) + 15) // 16 * 16

    if size_of(1) > scratch.LIMIT // cores.count:
        return _plain(
            x, weights, bias, multipliers, shifts, y, zero_x, zero_y, low, high, stride_h, stride_w,
            dilation_h, dilation_w, top, left, kernel_h, kernel_w, window, x_shape, y_shape, origin,
        )  # fmt: skip
    parts = min(cores.count, out_h)
    share = (out_h + parts - 1) // parts
    whole = parts * min(size_of((share + 1) // 2), scratch.LIMIT // parts // 4 * 4)
    size = scratch.reserve(whole, parts * size_of(1)) // (4 * parts) * 4
    bands = 1
    while size_of(((share + bands - 1) // bands + 1) // 2) > size:
        bands += 1
    rows = (share + bands - 1) // bands

    kinds = _kinds(weights, bias, multipliers, shifts, zero_y, outputs, kernel_h, kernel_w, small)
    loop = _GENERAL if dilation_w == 1 and pairs <= _PAIRS else _DILATED
    if not small:
        for n in range(outputs):
            kinds[n] |= loop << 3
    step = 3 if small else 2 * pairs * dilation_w  # of a row of taps, in words
    drains = (3, 6) if small else (0 if loop == _GENERAL else kernel_h * pairs, 0)
    if small:
        along = 4 * (stride_w - 2 * dilation_h * pitch - 3)
    elif loop == _GENERAL:
        along = (_PAIRS - pairs) * _PAIR_BYTES
    else:
        along = 4 * dilation_w
    estimates = _SMALL if small else _ANY
    copied = min(width, pitch - left)
    scales, starts = [], []
    for dropped, fraction, zone in estimates:
        scales.append(30 - fraction - dropped)
        starts.append((2 * (zero_y + 128) + 1 << fraction - 1) + (1 << fraction - zone - 1))
    missing = [0] * (_NONE - len(estimates))

    def words(first):  # of the call that makes the rows from this one on
        count = min(rows, out_h - first)
        half = (count + 1) // 2
        numbers = [
            scratch.place(), first // rows % parts * size, table, (size_of(half) - table) // 16,
            zero_x * 0x10001, 0, channels, width * channels, 4 * (pitch - copied), 4 * pitch,
            4 * copied, -copied % _PIXELS * _BOTH_BYTES, -copied % _PIXELS * _ONE_BYTES,
            addressof(multipliers), addressof(shifts), zero_y + 128, outputs // channels, addressof(weights),
            small, kernel_h, 0, 0, 0, 0, 0, 0, kernel_w, pairs if loop == _DILATED else 0,
            4 * (stride_w - kernel_h * dilation_h * pitch), addressof(bias),
            (count - half) * out_w * outputs, outputs, estimates[0][0],
            addressof(y) + first * out_w * outputs,
        ] + scales + missing + starts + missing + [
            -drains[0] << 15, -drains[1] << 15, 4 * out_w * stride_w,
            4 * (stride_h * pitch - out_w * stride_w), half, 4 * (dilation_h * pitch - step), along, 0, 0, 0,
        ]  # fmt: skip
        length = len(numbers)
        numbers += _segments(
            first * stride_h - top, (first + count - half) * stride_h - top,
            (half - 1) * stride_h + reach + 1, height, addressof(x), width * channels, table + 4 * left,
            4 * pitch, zero_x,
        )  # fmt: skip
        result = array("I", [number & _WORD for number in numbers])
        result.extend(array("I", kinds))
        result[_SEGMENTS] = addressof(result) + 4 * length
        result[_KINDS] = addressof(result) + 4 * len(numbers)
        return result

    steps = []
    for first in range(0, out_h, parts * rows):
        starts_of_rows = range(first, min(first + parts * rows, out_h), rows)
        steps.append(cores.shared(code.taps, [words(start) for start in starts_of_rows]))

    def run():
        for step in steps:
            step()

    return limited(run, y, low, high, y_shape)


def _segments(low, high, rows, height, x, row_bytes, target, pitch_bytes, padding):
    """Return what plane.py wants to know. low, high: the image's row in either lane of the plane's first."""
    edges = [0, rows]
    for edge in (-low, height - low, -high, height - high):
        if 0 < edge < rows:
            edges.append(edge)
    edges.sort()
    words = []
    for start, end in zip(edges, edges[1:]):
        u, v = low + start, high + start
        in_low, in_high = 0 <= u < height, 0 <= v < height
        to = target + start * pitch_bytes
        if start < end and in_low and in_high:
            words += [x + u * row_bytes, x + v * row_bytes, end - start, _BOTH, to]
        elif start < end and in_low:
            words += [x + u * row_bytes, padding << 16, end - start, 0, to]
        elif start < end and in_high:
            words += [x + v * row_bytes, padding, end - start, 16, to]
    return words + [0, 0, 0, 0, 0]


def _kinds(weights, bias, multipliers, shifts, zero_point, outputs, kernel_h, kernel_w, small):
    """Return a byte for each output: the number of its estimate, 4 where it is drained twice a row, 8 times
    its loop's number."""
    sums = array("I", bytes(8 * outputs))
    code.spread(array("I", (addressof(weights), outputs, kernel_h, kernel_w, addressof(sums))))
    estimates = _SMALL if small else _ANY
    kinds = bytearray((outputs + 3) // 4 * 4)
    for n in range(outputs):
        kind = 0
        constants = int32_at(bias, n), 128 * sums[2 * n], int32_at(multipliers, n), int32_at(shifts, n)
        while kind < len(estimates) and not _fits(estimates[kind], zero_point + 128, *constants):
            kind += 1
        if kind == len(estimates):
            kind = _NONE
        if small:
            in_threes = 128 * sums[2 * n + 1] < 1 << 15 and kind != _ALONE
            loop = (_IN_THREES if in_threes else _IN_TWOS) + kind % _NONE
            kind |= loop << 3 | (not in_threes) << 2
        kinds[n] = kind
    return kinds


def _fits(estimate, offset, bias, spread, multiplier, shift):
    """Tell whether an output's results lie within half a zone from the estimate."""
    dropped, fraction, zone = estimate
    scale = 31 - fraction - dropped - shift
    if shift >= 0 or scale < 1 or multiplier <= 0:
        return False
    factor = (multiplier >> scale - 1) + 1 >> 1
    farthest = abs(bias) + spread
    if ((farthest >> dropped) + 2) * factor >= 7 << 28 or factor >= 1 << 28:
        return False
    # sums beyond this give results beyond 0 to 255, whatever the error
    matters = min(farthest, (max(offset + 3, 259 - offset) << 31 - shift) // multiplier + 1)
    error = matters * abs(multiplier - (factor << scale)) >> scale + dropped
    error += (factor - (factor >> dropped) >> 1) + 4
    if offset:  # the second rounding takes from sums below 0 what it adds to others
        error += 2 << fraction >> 1 - shift
    return error <= 1 << fraction - zone - 1
