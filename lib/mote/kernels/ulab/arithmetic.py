"""What the families of the ulab kernel share: buffers as arrays, and
requantisation in float32 that is exact.

Most functions of ulab return new arrays, which the garbage collector pays for; PIECE limits them.
"""

from struct import unpack

from ulab import numpy as np
from ulab.utils import from_int32_buffer

from ..plain.arithmetic import int32_at, requantise
from . import scratch

PIECE = 1024  # values per temporary array, where the op can be cut
_LARGEST_DOUBT = 0.05
_NO_FRACTION = 12582912.0


def int8s(view, shape=None):
    """Return the buffer as an array of int8. It does not keep the
    buffer alive: whoever uses it has to."""
    numbers = np.frombuffer(view, dtype=np.int8)
    return numbers if shape is None else numbers.reshape(shape)


class Requantiser:
    """Makes sums the outputs of an op: clamp(plain.requantise(sum + bias) + zero_point), exactly, nearly all
    of them in float32, and in place as far as ulab lets.

    constants: bias, multipliers, shifts, views of bytes with N int32 each, or one. lane: (first, step) of
    those that count. largest: no sum is larger in size. most: sums at a time. pieces: of so many numbers is a
    sum made up. ``possible`` is False where float32 would leave too many outputs in doubt, or int8 does not
    hold what is clamped.

    With t = sum * multiplier / 2^31 and r = -shift, t is rounded to an integer first, then t / 2^r, ties away
    from zero. Both together are floor(t / 2^r + 1/2 + h), h = 2^-(r + 1) for t > 0, -h for t < 0, and 0 for
    r = 0: an integer reaches a step of the second rounding where t is no more than 1/2 short of it. Where
    ``low`` is the zero point, outputs of t < 0 are not seen. Each of the at most 10 + pieces float32
    operations, in the preparation and for each sum, errs by at most 2^-24 of a value that no output that is
    not clamped takes beyond 256 + the bias's part. Outputs nearer to a step are computed in integers.
    """

    def __init__(self, constants, zero_point, low, high, largest, most, pieces=1, lane=(0, 1)):
        first, step = lane
        offset, factor = [from_int32_buffer(view)[first::step] + 0.0 for view in constants[:2]]
        shifts = unpack("<%di" % (len(constants[2]) // 4), constants[2])[first::step]
        self._constants, self._lane, self._is_one = constants, lane, len(shifts) == 1
        self._zero_point = zero_point
        self.possible = (
            np.min(factor) >= 0.0
            and max(shifts) <= 0
            and -128 <= low <= high <= 127
            and abs(zero_point) <= 128
        )
        if not self.possible:
            return
        # powers of two, which Python's short floats hold too
        powers = {shift: 1 / (1 << -shift) for shift in set(shifts)}
        half = np.array([powers[shift] for shift in shifts])
        factor *= half
        factor *= 1 / (1 << 31)
        half *= 0.5
        if 0 in powers:
            half *= np.array([float(shift < 0) for shift in shifts])
        offset *= factor
        of_bias = max(np.max(offset), -np.min(offset))
        doubt = (512 + of_bias) * (10 + pieces) / (1 << 24)
        self.possible = doubt < _LARGEST_DOUBT
        self._certain = 0.25 - doubt
        if low < zero_point:
            self._signed = (half * 2.0, half + zero_point)
        else:
            self._signed = ()
            offset += half + zero_point
        self._factor, self._offset = factor, offset
        self._low, self._highest = (np.array([limit], dtype=np.int16) for limit in (low, high))
        self._high = high
        is_short = largest * np.max(factor) + of_bias + 256 < 32000
        self._limits = None if is_short else (low - 0.25, high + 0.25)
        scratch.reserve(scratch.PRODUCT, 2 * most)

    def writer(self, shape, across=False):
        """Return write(value, total_of, target, first=0, of_value=None) for one run, that makes sums without
        bias the outputs from ``first`` on, and writes them to target, int8 of that shape. Overwrites value.

        shape: [n], [..., n], or [n, ...] where ``across``; n outputs, unless all share their constants.
        value: floats. total_of: f(place) = that sum as an integer. of_value: bytes of value, not at the start
        of the scratch's products.

        A float32 of 1.5 * 2^23 and more has no fraction, and a whole number added to that is its lower bits.
        """
        constants = (self._factor, self._offset) + self._signed
        n = shape[0] if across else shape[-1]
        is_part = 1 < len(self._factor) != n
        if across:
            constants = [constant.reshape((len(constant), 1)) for constant in constants]
        size = 2 * (shape[0] if len(shape) == 1 else shape[0] * shape[1])
        memory = memoryview(scratch.of(scratch.PRODUCT))[: 2 * size]
        nearest = np.frombuffer(memory, dtype=np.float).reshape(shape)
        lower = _lower_halves(np.frombuffer(memory, dtype=np.int16), shape)
        low, high = self._low, self._high

        def write(value, total_of, target, first=0, of_value=None, nearest=nearest):
            of_outputs = [constant[first : first + n] for constant in constants] if is_part else constants
            value *= of_outputs[0]
            value += of_outputs[1]
            if self._signed:
                value -= (value < 0.0) * of_outputs[2]
                value += of_outputs[3]
            if self._limits:
                value, of_value = np.clip(value, *self._limits), None
            memory[:] = of_value or value.tobytes()
            nearest += _NO_FRACTION
            outputs = np.maximum(lower, low)
            if np.max(outputs) > high:
                outputs = np.minimum(outputs, self._highest)
            nearest -= _NO_FRACTION
            value -= nearest
            # the squares of what was rounded off
            value *= value
            if np.max(value) > self._certain:
                for place in zip(*np.nonzero(value > self._certain)):
                    axis = place[0] if across or len(place) == 1 else place[1]
                    place = place if len(place) > 1 else place[0]
                    exact = self._exact(total_of(place), first + axis)
                    outputs[place] = min(max(exact, low[0]), high)
            # in place: to assign takes twice the time, and a copy
            target -= target
            target += _lower_halves(np.frombuffer(outputs, dtype=np.int8), shape)

        return write

    def _exact(self, total, n):
        n = self._lane[0] + (0 if self._is_one else n * self._lane[1])
        bias, multiplier, shift = [int32_at(view, n) for view in self._constants]
        return requantise(total + bias, multiplier, shift) + self._zero_point


def _lower_halves(halves, shape):
    """Return every other one of the numbers, in this shape."""
    if len(shape) == 1:
        return halves[::2]
    return halves.reshape((shape[0], 2 * shape[1]))[:, ::2]
