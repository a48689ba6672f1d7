"""ST LSM6DS family (LSM6DSOX, LSM6DSO, LSM6DSR, ISM330DHCX, LSM6DS3TR-C, LSM6DSL, LSM6DS3): acceleration and
rotation.

The chip measures by its own clock into its FIFO, which comes in two kinds: words of six bytes with a tag,
or a stream of 16-bit numbers that repeats in a pattern.
"""

from math import pi

from ... import port
from ...port import const
from .. import checked
from ..live import Buffered
from .bus import connect, signed

_WHO_AM_I = const(0x0F)
_CTRL1_XL = const(0x10)
_CTRL2_G = const(0x11)
_CTRL3_C = const(0x12)
_FIFO_STATUS1 = const(0x3A)
# The two kinds have their FIFO's control registers at different places.
_TAGGED_CTRL3 = const(0x09)
_TAGGED_CTRL4 = const(0x0A)
_TAGGED_DATA = const(0x78)
_PATTERNED_CTRL3 = const(0x08)
_PATTERNED_CTRL5 = const(0x0A)
_PATTERNED_DATA = const(0x3E)
_CONTINUOUS = const(6)
_GYROSCOPE = const(1)
_ACCELEROMETER = const(2)

# rate in Hz -> bits of ODR; range -> (bits of FS, value of one count in mg or in thousandths of a degree a
# second)
_RATES = {12.5: 1, 26: 2, 52: 3, 104: 4, 208: 5, 416: 6, 833: 7}
_RANGES_G = {2: (0, 0.061), 4: (2, 0.122), 8: (3, 0.244), 16: (1, 0.488)}
_RANGES_DPS = {250: (0, 8.75), 500: (1, 17.5), 1000: (2, 35.0), 2000: (3, 70.0)}


def make(settings):
    """Return the reader: acceleration x, y, z in m/s², then rotation x, y, z in rad/s.

    Settings: ``RATE_HZ`` (default 52; the chip's rates are 12.5, 26, 52, 104 ... 833), ``RANGE_G``,
    ``RANGE_DPS``, and those of the bus.
    """
    rate_hz = checked.nearest(settings, 52, _RATES)
    range_g = checked.choice(settings, "RANGE_G", 8, _RANGES_G)
    range_dps = checked.choice(settings, "RANGE_DPS", 2000, _RANGES_DPS)
    device = connect(settings, "LSM6DS", (0x6A, 0x6B))
    family = _FAMILIES[device.expect(_WHO_AM_I, _FAMILIES)]
    return Buffered(family(device, rate_hz, _RANGES_G[range_g], _RANGES_DPS[range_dps]))


class _Lsm6ds:
    channels = 6
    unit = ""

    def __init__(self, device, rate_hz, range_g, range_dps):
        self.name = device.name
        self.rate_hz = rate_hz
        self.overrun = False
        self._device = device
        self._acceleration = range_g[1] * 9.80665e-3
        self._rotation = range_dps[1] * pi / 180e3
        self._status = bytearray(4)
        device.write(_CTRL3_C, 0x01)  # reset
        port.sleep_ms(20)
        device.write(_CTRL3_C, 0x44)  # both bytes of a number from one measurement; addresses count up
        self._fill_fifo(_RATES[rate_hz])
        device.write(_CTRL1_XL, _RATES[rate_hz] << 4 | range_g[0] << 2)
        device.write(_CTRL2_G, _RATES[rate_hz] << 4 | range_dps[0] << 2)


class Tagged(_Lsm6ds):
    """FIFO of 512 words: a tag, then x, y, z of one of the two."""

    def _fill_fifo(self, rate):
        self._word = bytearray(7)
        self._device.write(_TAGGED_CTRL3, rate << 4 | rate)
        self._device.write(_TAGGED_CTRL4, _CONTINUOUS)

    def waiting(self):
        status = self._status
        self._device.read_into(_FIFO_STATUS1, status)
        self.overrun = bool(status[1] & 0x48)
        return (status[0] | (status[1] & 0x03) << 8) // 2

    def next_into(self, reading):
        word = self._word
        turned, pushed = -1, -2  # the time slot of either
        for _ in range(4):  # after an overrun one of a pair may be gone
            self._device.read_into(_TAGGED_DATA, word)
            kind, slot = word[0] >> 3, word[0] >> 1 & 0x03
            if kind == _GYROSCOPE:
                first, scale, turned = 3, self._rotation, slot
            elif kind == _ACCELEROMETER:
                first, scale, pushed = 0, self._acceleration, slot
            else:
                continue
            for axis in range(3):
                reading[first + axis] = signed(word[1 + 2 * axis], word[2 + 2 * axis]) * scale
            if turned == pushed:
                return
        raise OSError("its FIFO holds no pair of acceleration and rotation")


class Patterned(_Lsm6ds):
    """FIFO of numbers: rotation x, y, z, acceleration x, y, z, and again."""

    def _fill_fifo(self, rate):
        self._word = bytearray(2)
        self._numbers = bytearray(12)
        self._device.write(_PATTERNED_CTRL3, 1 << 3 | 1)  # every measurement of both
        self._device.write(_PATTERNED_CTRL5, rate << 3 | _CONTINUOUS)

    def waiting(self):
        status = self._status
        self._device.read_into(_FIFO_STATUS1, status)
        self.overrun = bool(status[1] & 0x40)
        numbers = status[0] | (status[1] & 0x0F) << 8
        at = (status[2] | (status[3] & 0x03) << 8) % 6
        while at and numbers:  # an overrun or a broken transfer left part of a reading
            self._device.read_into(_PATTERNED_DATA, self._word)
            at = (at + 1) % 6
            numbers -= 1
        return numbers // 6

    def next_into(self, reading):
        numbers = self._numbers
        self._device.read_into(_PATTERNED_DATA, numbers)
        for axis in range(3):
            at = 2 * axis
            reading[axis] = signed(numbers[6 + at], numbers[7 + at]) * self._acceleration
            reading[3 + axis] = signed(numbers[at], numbers[1 + at]) * self._rotation


# what the identity register says -> kind of FIFO
_FAMILIES = {0x69: Patterned, 0x6A: Patterned, 0x6B: Tagged, 0x6C: Tagged}
