"""Microphones on CircuitPython: PDM, I2S or analog. Each records one block at a time while the board
waits."""

from array import array

from .. import checked
from ..live import Polled
from ..sound import Sound
from .wiring import pin


def make(settings):
    """Return the reader: level, peak and crossings of a block of sound, see sound.py.

    Settings: ``MICROPHONE`` ("pdm", "i2s" or "analog"), its pins, and those of sound.py. The board waits
    while a block of ``SAMPLES`` is recorded.
    """
    kind = checked.choice(settings, "MICROPHONE", "pdm", _KINDS)
    sound = Sound(settings, 32768)
    samples, record = _KINDS[kind](settings, sound)
    return Polled(_Microphone(sound, samples, record), sound.rate_hz)


class _Microphone:
    name = "microphone"

    def __init__(self, sound, samples, record):
        self.channels, self.unit = sound.channels, sound.unit
        self._sound, self._samples, self._record = sound, samples, record

    def measure_into(self, reading):
        self._record(self._samples)
        self._sound.read_into(self._samples, reading)


# Each kind returns the array of a block and the function that fills it.


def _pdm(settings, sound):
    import audiobusio

    microphone = audiobusio.PDMIn(
        pin(checked.pin(settings, "MICROPHONE_CLOCK")),
        pin(checked.pin(settings, "MICROPHONE_DATA")),
        sample_rate=sound.sample_hz,
        bit_depth=16,
    )
    return array("H", bytes(2 * sound.samples)), lambda block: microphone.record(block, len(block))


def _i2s(settings, sound):
    import audioi2sin

    microphone = audioi2sin.I2SIn(
        pin(checked.pin(settings, "MICROPHONE_CLOCK")),
        pin(checked.pin(settings, "MICROPHONE_SELECT")),
        pin(checked.pin(settings, "MICROPHONE_DATA")),
        sample_rate=sound.sample_hz,
        bit_depth=32,
        output_bit_depth=16,
    )
    return array("h", bytes(2 * sound.samples)), lambda block: microphone.record(block, len(block))


def _analog(settings, sound):
    import analogbufio

    microphone = analogbufio.BufferedIn(pin(checked.pin(settings, "PIN")), sample_rate=sound.sample_hz)
    return array("H", bytes(2 * sound.samples)), microphone.readinto


_KINDS = {"pdm": _pdm, "i2s": _i2s, "analog": _analog}
