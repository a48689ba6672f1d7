"""Sensirion SHT40, SHT41 and SHT45: temperature and humidity, every answer checked by its CRC."""

from ... import port
from ...port import const
from .. import checked
from ..live import Polled
from .bus import connect

_MEASURE = const(0xFD)  # at high precision
_MEASURE_MS = const(9)
_SERIAL_NUMBER = const(0x89)
_RESET = const(0x94)


def make(settings):
    """Return the reader: temperature in °C, relative humidity in %.

    Settings: ``RATE_HZ`` (default 1, at most 20), and those of the bus.
    """
    rate_hz = checked.rate(settings, 1, 20)
    return Polled(_Sht4x(connect(settings, "SHT4x", (0x44, 0x45, 0x46))), rate_hz)


class _Sht4x:
    channels = 2
    unit = ""

    def __init__(self, device):
        self.name = device.name
        self._device = device
        self._answer = bytearray(6)
        device.command(_RESET)
        port.sleep_ms(2)
        self._ask(_SERIAL_NUMBER)  # its CRC tells that it is no other chip

    def measure_into(self, reading):
        self._ask(_MEASURE)
        answer = self._answer
        reading[0] = -45 + 175 * (answer[0] << 8 | answer[1]) / 65535
        reading[1] = min(max(-6 + 125 * (answer[3] << 8 | answer[4]) / 65535, 0), 100)

    def _ask(self, command):
        answer = self._answer
        self._device.command(command)
        port.sleep_ms(_MEASURE_MS)
        self._device.answer_into(answer)
        for start in (0, 3):
            if crc8(answer, start) != answer[start + 2]:
                raise OSError("%s: its answer to command 0x%02x has a wrong check sum" % (self.name, command))


def crc8(data, start):
    """Return the check sum of the two bytes from ``start``: polynomial 0x31, begun with 0xFF."""
    crc = 0xFF
    for at in (start, start + 1):
        crc ^= data[at]
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc
