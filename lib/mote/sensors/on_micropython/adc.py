"""Analog pins on MicroPython, sampled by a timer: vibration, soil moisture, light.

The timer's callback writes into memory taken beforehand, so that samples stay evenly spaced while the board
trains.
"""

from array import array

from machine import ADC, Pin

from ... import port
from .. import checked
from ..live import Live
from ..pacer import Pacer
from .timer import start

_KEPT_S = 0.25


def make(settings):
    """Return the reader: each pin of ``PIN`` as a share of full scale, 0 to 1.

    Settings: ``PIN``, ``RATE_HZ`` (default 50, at most 2000).
    """
    return Sampled(Sampler(checked.pins(settings, "PIN"), checked.rate(settings, 50, 2000), _KEPT_S))


class Sampled(Live):
    """The samples of a Sampler one by one."""

    def __init__(self, source):
        super().__init__(source, source.rate_hz)

    def _take(self, reading):
        self.missed = self.source.missed
        return self.source.take_into(reading)


class Sampler:
    """Samples pins at the beat of a timer into a ring of 16-bit numbers that lasts ``kept_s`` seconds.

    missed: readings lost since the start, because the timer was held up or the ring was full.
    """

    name = "adc"
    unit = ""

    def __init__(self, numbers, rate_hz, kept_s):
        self._adcs = tuple(ADC(Pin(number)) for number in numbers)
        self.channels = len(self._adcs)
        self.rate_hz = rate_hz
        self.missed = 0
        self._samples = array("H", bytes(2 * self.channels * (int(rate_hz * kept_s) + 8)))
        self._head = self._tail = 0  # the callback moves the one, the reader the other
        first = port.ticks_add(port.ticks_us(), round(1000000 / rate_hz))
        self._pacer = Pacer(rate_hz, first, round(500000 / rate_hz))
        self._timer = start(rate_hz, self._sample)

    def take_into(self, reading):
        """Fill ``reading`` with the oldest as shares of full scale and return True, or return False."""
        tail = self._tail
        if tail == self._head:
            return False
        for channel in range(self.channels):
            reading[channel] = self._samples[tail + channel] / 65535
        tail += self.channels
        self._tail = tail if tail < len(self._samples) else 0
        return True

    def take_block(self, samples, count):
        """Copy the oldest ``count`` samples of a single pin and return True, or return False."""
        tail, length = self._tail, len(self._samples)
        if (self._head - tail) % length < count:
            return False
        for n in range(count):
            samples[n] = self._samples[tail]
            tail = tail + 1 if tail + 1 < length else 0
        self._tail = tail
        return True

    def _sample(self, _):
        """Runs in an interrupt: allocates nothing, raises nothing."""
        steps = self._pacer.due(port.ticks_us())
        if not steps:
            return  # this beat was held up and has been counted as missed
        head = self._head
        after = head + self.channels
        if after == len(self._samples):
            after = 0
        if after == self._tail:
            self.missed += steps
            return
        self.missed += steps - 1
        for adc in self._adcs:
            self._samples[head] = adc.read_u16()
            head += 1
        self._head = after
