"""Digital pins on CircuitPython: motion sensors (PIR), switches, light gates."""

import digitalio

from .. import checked
from ..live import Polled
from .wiring import pin

_PULLS = {"none": None, "up": digitalio.Pull.UP, "down": digitalio.Pull.DOWN}


def make(settings):
    """Return the reader: 1 for each pin of ``PIN`` that is high, else 0.

    Settings: ``PIN``, ``PULL`` ("none", "up" or "down"), ``RATE_HZ`` (default 10, at most 100).
    """
    pull = _PULLS[checked.choice(settings, "PULL", "none", _PULLS)]
    return Polled(_Pins(checked.pins(settings, "PIN"), pull), checked.rate(settings, 10, 100))


class _Pins:
    name = "pin"
    unit = ""

    def __init__(self, numbers, pull):
        self._pins = [digitalio.DigitalInOut(pin(number)) for number in numbers]
        for one in self._pins:
            one.switch_to_input(pull)
        self.channels = len(self._pins)

    def measure_into(self, reading):
        for channel in range(self.channels):
            reading[channel] = self._pins[channel].value
