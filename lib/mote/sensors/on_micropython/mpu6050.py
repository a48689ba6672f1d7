"""InvenSense MPU6050 (and MPU6500, MPU9250, which have the same registers): acceleration and rotation, by its
own clock through its FIFO."""

from math import pi

from ... import port
from ...port import const
from .. import checked
from ..live import Buffered
from .bus import connect, signed

_SMPLRT_DIV = const(0x19)
_CONFIG = const(0x1A)
_GYRO_CONFIG = const(0x1B)
_ACCEL_CONFIG = const(0x1C)
_FIFO_EN = const(0x23)
_USER_CTRL = const(0x6A)
_PWR_MGMT_1 = const(0x6B)
_FIFO_COUNT = const(0x72)
_FIFO_R_W = const(0x74)
_WHO_AM_I = const(0x75)
_READING_BYTES = const(12)
# The FIFO's 1,024 bytes are no multiple of a reading: once full, it no longer tells where a reading begins.
_FULL_BYTES = const(1024 - 12)

# range -> (bits of FS_SEL, counts in one g or in one degree a second)
_RANGES_G = {2: (0, 16384), 4: (1, 8192), 8: (2, 4096), 16: (3, 2048)}
_RANGES_DPS = {250: (0, 131.0), 500: (1, 65.5), 1000: (2, 32.8), 2000: (3, 16.4)}
# low-pass filter: (bandwidth in Hz, bits of DLPF_CFG), the widest that lets nothing through above half the
# rate
_FILTERS = ((184, 1), (94, 2), (44, 3), (21, 4), (10, 5), (5, 6))


def make(settings):
    """Return the reader: acceleration x, y, z in m/s², then rotation x, y, z in rad/s.

    Settings: ``RATE_HZ`` (default 50, from 4 to 200; the chip takes the nearest 1000 Hz / n), ``RANGE_G``,
    ``RANGE_DPS``, and those of the bus.
    """
    rate_hz = checked.number(settings, "RATE_HZ", 50, 4, 200)
    range_g = checked.choice(settings, "RANGE_G", 8, _RANGES_G)
    range_dps = checked.choice(settings, "RANGE_DPS", 2000, _RANGES_DPS)
    device = connect(settings, "MPU6050", (0x68, 0x69))
    device.expect(_WHO_AM_I, (0x68, 0x70, 0x71))
    return Buffered(_Mpu6050(device, round(1000 / rate_hz), _RANGES_G[range_g], _RANGES_DPS[range_dps]))


class _Mpu6050:
    channels = 6
    unit = ""

    def __init__(self, device, divider, range_g, range_dps):
        self.name = device.name
        self.rate_hz = 1000 / divider
        self.overrun = False
        self._device = device
        self._acceleration = 9.80665 / range_g[1]
        self._rotation = pi / 180 / range_dps[1]
        self._count = bytearray(2)
        self._numbers = bytearray(_READING_BYTES)
        device.write(_PWR_MGMT_1, 0x80)  # reset
        port.sleep_ms(100)
        device.write(_PWR_MGMT_1, 0x01)  # awake, with the gyroscope's clock
        port.sleep_ms(10)
        device.write(_SMPLRT_DIV, divider - 1)
        fitting = [bits for width, bits in _FILTERS if width <= self.rate_hz / 2]
        device.write(_CONFIG, fitting[0] if fitting else _FILTERS[-1][1])
        device.write(_GYRO_CONFIG, range_dps[0] << 3)
        device.write(_ACCEL_CONFIG, range_g[0] << 3)
        device.write(_FIFO_EN, 0x78)  # acceleration and all three rotations
        self._empty_fifo()

    def waiting(self):
        self._device.read_into(_FIFO_COUNT, self._count)
        held = self._count[0] << 8 | self._count[1]
        self.overrun = held > _FULL_BYTES
        if self.overrun:
            self._empty_fifo()
            return 0
        return held // _READING_BYTES

    def next_into(self, reading):
        numbers = self._numbers
        self._device.read_into(_FIFO_R_W, numbers)
        for axis in range(3):
            at = 2 * axis
            reading[axis] = signed(numbers[1 + at], numbers[at]) * self._acceleration
            reading[3 + axis] = signed(numbers[7 + at], numbers[6 + at]) * self._rotation

    def _empty_fifo(self):
        self._device.write(_USER_CTRL, 0x04)
        self._device.write(_USER_CTRL, 0x40)
