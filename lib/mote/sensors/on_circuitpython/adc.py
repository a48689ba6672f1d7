"""Analog pins on CircuitPython: soil moisture, light, slow vibration."""

import analogio

from .. import checked
from ..live import Polled
from .wiring import pin


def make(settings):
    """Return the reader: each pin of ``PIN`` as a share of full scale, 0 to 1.

    Settings: ``PIN``, ``RATE_HZ`` (default 50, at most 200; without a timer that interrupts, faster ones
    would not be evenly spaced: a piezo can be read as an analog microphone).
    """
    return Polled(_Pins(checked.pins(settings, "PIN")), checked.rate(settings, 50, 200))


class _Pins:
    name = "adc"
    unit = ""

    def __init__(self, numbers):
        self._pins = [analogio.AnalogIn(pin(number)) for number in numbers]
        self.channels = len(self._pins)

    def measure_into(self, reading):
        for channel in range(self.channels):
            reading[channel] = self._pins[channel].value / 65535
