"""Bosch BME280: temperature, humidity and air pressure, with the data sheet's compensation in whole
numbers."""

from struct import unpack_from

from ... import port
from ...port import const
from .. import checked
from ..live import Polled
from .bus import connect

_CALIBRATION_1 = const(0x88)
_ID = const(0xD0)
_RESET = const(0xE0)
_CALIBRATION_2 = const(0xE1)
_CTRL_HUM = const(0xF2)
_CTRL_MEAS = const(0xF4)
_CONFIG = const(0xF5)
_DATA = const(0xF7)


def make(settings):
    """Return the reader: temperature in °C, relative humidity in %, pressure in hPa.

    Settings: ``RATE_HZ`` (default 1, at most 20), and those of the bus.
    """
    rate_hz = checked.rate(settings, 1, 20)
    device = connect(settings, "BME280", (0x76, 0x77))
    device.expect(_ID, (0x60,))
    return Polled(_Bme280(device), rate_hz)


class _Bme280:
    channels = 3
    unit = ""

    def __init__(self, device):
        self.name = device.name
        self._device = device
        self._data = bytearray(8)
        device.write(_RESET, 0xB6)
        port.sleep_ms(10)
        first, second = bytearray(26), bytearray(7)
        device.read_into(_CALIBRATION_1, first)
        device.read_into(_CALIBRATION_2, second)
        self._compensation = Compensation(first, second)
        device.write(_CTRL_HUM, 1)  # takes effect with the next write to CTRL_MEAS
        device.write(_CONFIG, 0)  # no filter, the shortest pause
        device.write(_CTRL_MEAS, 1 << 5 | 1 << 2 | 3)  # goes on measuring, each value once
        port.sleep_ms(20)

    def measure_into(self, reading):
        data = self._data
        self._device.read_into(_DATA, data)
        compensation = self._compensation
        # Temperature comes first: the others are corrected by it.
        reading[0] = compensation.temperature(data[3] << 12 | data[4] << 4 | data[5] >> 4) / 100
        reading[1] = compensation.humidity(data[6] << 8 | data[7]) / 1024
        reading[2] = compensation.pressure(data[0] << 12 | data[1] << 4 | data[2] >> 4) / 25600


class Compensation:
    """The formulas of the data sheet (BST-BME280-DS002, 4.2.3 and 8.2); names and steps are as there.

    first: registers 0x88 to 0xA1. second: registers 0xE1 to 0xE7.
    """

    def __init__(self, first, second):
        self._t = unpack_from("<Hhh", first)
        self._p = unpack_from("<Hhhhhhhhh", first, 6)
        self._h1 = first[25]
        self._h2, self._h3 = unpack_from("<hB", second)
        self._h4 = _signed(second[3] << 4 | second[4] & 0x0F, 12)
        self._h5 = _signed(second[5] << 4 | second[4] >> 4, 12)
        self._h6 = _signed(second[6], 8)
        self._fine = 0

    def temperature(self, counts):
        """Return hundredths of a degree Celsius."""
        t1, t2, t3 = self._t
        coarse = (((counts >> 3) - (t1 << 1)) * t2) >> 11
        bend = (counts >> 4) - t1
        self._fine = coarse + ((((bend * bend) >> 12) * t3) >> 14)
        return (self._fine * 5 + 128) >> 8

    def pressure(self, counts):
        """Return 256ths of a pascal; 0 for calibration values that no chip has."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self._p
        fine = self._fine - 128000
        square = fine * fine
        offset = square * p6 + ((fine * p5) << 17) + (p4 << 35)
        scale = ((square * p3) >> 8) + ((fine * p2) << 12)
        scale = (((1 << 47) + scale) * p1) >> 33
        if scale == 0:
            return 0
        value = (((1048576 - counts) << 31) - offset) * 3125
        value //= scale
        low = (p9 * (value >> 13) * (value >> 13)) >> 25
        high = (p8 * value) >> 19
        return ((value + low + high) >> 8) + (p7 << 4)

    def humidity(self, counts):
        """Return 1024ths of a percent."""
        fine = self._fine - 76800
        value = (((counts << 14) - (self._h4 << 20) - (self._h5 * fine)) + 16384) >> 15
        bend = ((fine * self._h6) >> 10) * (((fine * self._h3) >> 11) + 32768)
        value *= (((bend >> 10) + 2097152) * self._h2 + 8192) >> 14
        value -= ((((value >> 15) * (value >> 15)) >> 7) * self._h1) >> 4
        return min(max(value, 0), 419430400) >> 12


def _signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value
