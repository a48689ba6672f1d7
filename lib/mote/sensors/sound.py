"""From a block of sound samples to one reading: how loud it is, or the wave itself. It opens no
microphone."""

from . import checked


class Sound:
    """Settings: ``SAMPLE_HZ``; ``RATE_HZ``, readings a second; ``SAMPLES`` that a reading is made of, in one
    run, at most all between two readings; ``WAVEFORM``, whether a reading is the samples themselves.

    A reading is either 3 values from 0 to 1 - the level (mean distance from the middle), the peak and the
    share of samples at which the wave crosses the middle - or ``SAMPLES`` values from -1 to 1.

    half: the sample value of full scale. shift: bits that samples are shifted to the right before all else.
    """

    name = "microphone"
    unit = ""

    def __init__(self, settings, half, shift=0):
        self.sample_hz = checked.number(settings, "SAMPLE_HZ", 16000, 100, 48000)
        #: samples from the start of one reading to the start of the next
        self.stride = round(self.sample_hz / checked.rate(settings, 20, 200))
        self.rate_hz = self.sample_hz / self.stride
        self.samples = checked.number(settings, "SAMPLES", min(256, self.stride), 2, self.stride)
        self._wave = checked.choice(settings, "WAVEFORM", False, (False, True))
        self.channels = self.samples if self._wave else 3
        self._scale, self._shift = 1.0 / half, shift

    def read_into(self, samples, reading):
        """Make ``reading`` of the first ``SAMPLES`` of an array of whole numbers. Allocates no buffer."""
        count, shift, scale = self.samples, self._shift, self._scale
        middle = 0
        for n in range(count):
            middle += samples[n] >> shift
        middle //= count
        if self._wave:
            for n in range(count):
                reading[n] = ((samples[n] >> shift) - middle) * scale
            return
        total = peak = crossings = 0
        above = (samples[0] >> shift) >= middle
        for n in range(count):
            value = (samples[n] >> shift) - middle
            if (value >= 0) != above:
                crossings += 1
                above = not above
            if value < 0:
                value = -value
            total += value
            if value > peak:
                peak = value
        reading[0] = total * scale / count
        reading[1] = peak * scale
        reading[2] = crossings / count
