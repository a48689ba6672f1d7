"""Digital pins on MicroPython: motion sensors (PIR), switches, light gates."""

from machine import Pin

from .. import checked
from ..live import Polled

_PULLS = {"none": None, "up": Pin.PULL_UP, "down": Pin.PULL_DOWN}


def make(settings):
    """Return the reader: 1 for each pin of ``PIN`` that is high, else 0.

    Settings: ``PIN``, ``PULL`` ("none", "up" or "down"), ``RATE_HZ`` (default 10, at most 1000).
    """
    pull = _PULLS[checked.choice(settings, "PULL", "none", _PULLS)]
    return Polled(_Pins(checked.pins(settings, "PIN"), pull), checked.rate(settings, 10, 1000))


class _Pins:
    name = "pin"
    unit = ""

    def __init__(self, numbers, pull):
        self._pins = tuple(Pin(number, Pin.IN, pull) for number in numbers)
        self.channels = len(self._pins)

    def measure_into(self, reading):
        channel = 0
        for pin in self._pins:
            reading[channel] = pin.value()
            channel += 1
