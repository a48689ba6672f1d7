"""ST LIS3DH: acceleration, by its own clock through its FIFO."""

from ... import port
from ...port import const
from .. import checked
from ..live import Buffered
from .bus import connect, signed

_WHO_AM_I = const(0x0F)
_CTRL_REG1 = const(0x20)
_CTRL_REG4 = const(0x23)
_CTRL_REG5 = const(0x24)
_OUT_X_L = const(0x28)
_FIFO_CTRL_REG = const(0x2E)
_FIFO_SRC_REG = const(0x2F)
_COUNT_UP = const(0x80)  # on the register's number: the address moves on within a transfer

# rate in Hz -> bits of ODR; range -> (bits of FS, value in mg of one of the twelve bits, which stand at the
# top)
_RATES = {1: 1, 10: 2, 25: 3, 50: 4, 100: 5, 200: 6, 400: 7}
_RANGES_G = {2: (0, 1), 4: (1, 2), 8: (2, 4), 16: (3, 12)}


def make(settings):
    """Return the reader: acceleration x, y, z in m/s².

    Settings: ``RATE_HZ`` (default 50; the chip's rates are 1, 10, 25, 50, 100, 200 and 400), ``RANGE_G``, and
    those of the bus.
    """
    rate_hz = checked.nearest(settings, 50, _RATES)
    range_g = checked.choice(settings, "RANGE_G", 8, _RANGES_G)
    device = connect(settings, "LIS3DH", (0x18, 0x19))
    device.expect(_WHO_AM_I, (0x33,))
    return Buffered(_Lis3dh(device, rate_hz, _RANGES_G[range_g]))


class _Lis3dh:
    channels = 3
    unit = "m/s²"

    def __init__(self, device, rate_hz, range_g):
        self.name = device.name
        self.rate_hz = rate_hz
        self.overrun = False
        self._device = device
        self._acceleration = range_g[1] * 9.80665e-3 / 16
        self._numbers = bytearray(6)
        device.write(_CTRL_REG5, 0x80)  # as after power-up
        port.sleep_ms(10)
        device.write(_FIFO_CTRL_REG, 0x00)  # empties the FIFO
        device.write(_CTRL_REG5, 0x40)
        device.write(_FIFO_CTRL_REG, 0x80)  # the newest 32 readings
        device.write(_CTRL_REG4, 0x88 | range_g[0] << 4)  # both bytes of one measurement, 12 bits
        device.write(_CTRL_REG1, _RATES[rate_hz] << 4 | 0x07)

    def waiting(self):
        source = self._device.byte(_FIFO_SRC_REG)
        self.overrun = bool(source & 0x40)
        return 32 if self.overrun else source & 0x1F

    def next_into(self, reading):
        numbers = self._numbers
        self._device.read_into(_OUT_X_L | _COUNT_UP, numbers)
        for axis in range(3):
            reading[axis] = signed(numbers[2 * axis], numbers[2 * axis + 1]) * self._acceleration
