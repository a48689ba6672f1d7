"""Microphones on MicroPython: I2S, filled by DMA, or an analog one, sampled by a timer."""

from array import array

from machine import I2S, Pin

from ... import port
from ...port import ticks_diff
from .. import checked
from ..live import Live
from ..pacer import Backlog
from ..sound import Sound
from .adc import Sampler

_KEPT_S = 0.25


def make(settings):
    """Return the reader: level, peak and crossings of a block of sound, see sound.py.

    Settings: ``MICROPHONE`` ("i2s" or "analog"), its pins, and those of sound.py.
    """
    return _KINDS[checked.choice(settings, "MICROPHONE", "i2s", _KINDS)](settings)


def _i2s(settings):
    """An I2S microphone such as INMP441, on ``MICROPHONE_CLOCK``, ``MICROPHONE_SELECT``,
    ``MICROPHONE_DATA``."""
    sound = Sound(settings, 32768, 16)
    pins = [
        Pin(checked.pin(settings, key))
        for key in ("MICROPHONE_CLOCK", "MICROPHONE_SELECT", "MICROPHONE_DATA")
    ]
    kept = max(int(sound.sample_hz * _KEPT_S), 2 * sound.stride)
    i2s = I2S(
        0,
        sck=pins[0],
        ws=pins[1],
        sd=pins[2],
        mode=I2S.RX,
        bits=32,
        format=I2S.MONO,
        rate=sound.sample_hz,
        ibuf=8 * kept,  # the RP2 ports keep both channels, 32 bits each, and drop one later
    )
    return I2sMicrophone(i2s, sound, kept // sound.stride)


def _analog(settings):
    """An amplified microphone on the analog pin ``PIN``."""
    settings = dict(settings)
    settings.setdefault("SAMPLE_HZ", 4000)
    checked.number(settings, "SAMPLE_HZ", None, 100, 8000)
    numbers = checked.pins(settings, "PIN")
    if len(numbers) > 1:
        raise ValueError("PIN = %r: an analog microphone has one pin" % settings["PIN"])
    sound = Sound(settings, 32768)
    return AnalogMicrophone(Sampler(numbers, sound.sample_hz, max(_KEPT_S, 2 / sound.rate_hz)), sound)


class I2sMicrophone(Live):
    """Takes block after block from the DMA's buffer, which holds ``capacity`` blocks."""

    def __init__(self, i2s, sound, capacity):
        super().__init__(sound, sound.rate_hz)
        self._samples = array("i", bytes(4 * sound.stride))
        self._period_us = round(1000000 / sound.rate_hz)
        self._asked = port.ticks_us()
        self._backlog = Backlog(self._period_us, capacity, self._asked)
        self._i2s = i2s
        self._full = False
        i2s.irq(self._filled)  # makes readinto return at once
        i2s.readinto(self._samples)

    def _filled(self, _):
        self._full = True

    def _take(self, reading):
        now = port.ticks_us()
        if not self._full:
            # A full buffer gives a block in half the time that it lasts, an empty one takes nearly all of it.
            if 4 * ticks_diff(now, self._asked) > 3 * self._period_us:
                self._backlog.empty(now)
            return False
        self.missed += self._backlog.taken(now)
        self.source.read_into(self._samples, reading)
        self._full = False
        self._asked = now
        self._i2s.readinto(self._samples)
        return True


class AnalogMicrophone(Live):
    """Takes block after block from a Sampler."""

    def __init__(self, sampler, sound):
        super().__init__(sound, sound.rate_hz)
        self._sampler = sampler
        self._samples = array("H", bytes(2 * sound.stride))

    def _take(self, reading):
        stride = len(self._samples)
        self.missed = (self._sampler.missed + stride - 1) // stride
        if not self._sampler.take_block(self._samples, stride):
            return False
        self.source.read_into(self._samples, reading)
        return True


_KINDS = {"i2s": _i2s, "analog": _analog}
