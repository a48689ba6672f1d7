"""Plays recorded, labelled readings like a sensor: once as fast as they are taken, then at their own pace.

The file (.rec, little-endian): `MREC`, u16 version 1, u16 channels, f32 rate in Hz, u32 series, u32 readings
in all, u32 0, f32 scale of every channel; then for each series: u32 readings, u8 label, 3 bytes 0, readings *
channels i16, to be multiplied by the scale of their channel.
"""

from array import array
from struct import unpack_from

from ..port import ticks_diff, ticks_us

_HEADER_BYTES = 24
_SERIES_BYTES = 8


def make(settings):
    """Return the reader for ``RECORDING`` (a path), played ``REPLAY_SPEED`` times as fast as it was
    recorded."""
    return Replay(settings["RECORDING"], settings.get("REPLAY_SPEED", 1))


class Replay:
    """The first pass through the file is labelled and not paced; later ones are paced and only to be inferred
    on."""

    def __init__(self, path, speed=1):
        self._file = open(path, "rb")  # noqa: SIM115 - it stays open
        head = self._file.read(_HEADER_BYTES)
        if len(head) < _HEADER_BYTES or head[:4] != b"MREC":
            raise ValueError("%s is not a recording" % path)
        version, self.channels, self.rate_hz, self._series, self.readings, _ = unpack_from("<HHfIII", head, 4)
        if version != 1 or not 0 < self.channels <= 256 or not self._series:
            raise ValueError(
                "%s: version %d, %d channels, %d series" % (path, version, self.channels, self._series)
            )
        scales = self._file.read(4 * self.channels)
        if len(scales) < 4 * self.channels:
            raise ValueError("%s ends before its first series" % path)
        self._scales = array("f", unpack_from("<%df" % self.channels, scales))
        self._bytes = bytearray(2 * self.channels)
        self._format = "<%dh" % self.channels
        self._pause_us = int(1e6 / (self.rate_hz * speed))
        self.unit = ""
        self.missed = 0
        self.labelled = True
        self.label = None
        self.boundary = False
        self._left = 0
        self._done = 0
        self._last_us = ticks_us()

    def read_into(self, reading):
        """Fill ``reading`` (channels values) and return True, or return False when none is due yet."""
        if not self.labelled:
            now = ticks_us()
            if ticks_diff(now, self._last_us) < self._pause_us:
                return False
            # After a stall the clock starts anew: a sensor's readings that nobody took are gone as well.
            late = ticks_diff(now, self._last_us) > 20 * self._pause_us
            self._last_us = now if late else self._last_us + self._pause_us
        self.boundary = self._left == 0
        if self._left == 0:
            self._next_series()
        if self._file.readinto(self._bytes) != len(self._bytes):
            raise ValueError("the recording ends in the middle of a series")
        for channel, value in enumerate(unpack_from(self._format, self._bytes)):
            reading[channel] = value * self._scales[channel]
        self._left -= 1
        return True

    def _next_series(self):
        if self._done == self._series:
            self._file.seek(_HEADER_BYTES + 4 * self.channels)
            self._done = 0
            self.labelled = False
            self._last_us = ticks_us()
        head = self._file.read(_SERIES_BYTES)
        if len(head) < _SERIES_BYTES:
            raise ValueError("the recording ends before series %d of %d" % (self._done + 1, self._series))
        self._left, self.label = unpack_from("<IB", head)
        if self._left == 0:
            raise ValueError("series %d of the recording is empty" % (self._done + 1))
        self._done += 1
