"""Readers of live sensors: by polling in step with a clock, or from a buffer that the chip fills by its own.

What they read is a *source*, with ``name``, ``channels`` and ``unit``, and with one of the two sets of
methods that the classes here name. Sources raise OSError (CircuitPython's drivers RuntimeError too) for a
failed reading.
"""

from .. import port
from ..port import ticks_diff
from .pacer import Pacer

#: failed readings in a row after which the sensor counts as gone
PATIENCE = 10


class Live:
    """What all live readers share. A failed reading counts as missed; the tenth in a row raises OSError."""

    label = None
    labelled = False
    boundary = False

    def __init__(self, source, rate_hz):
        self.source, self.rate_hz = source, rate_hz
        self.channels, self.unit = source.channels, source.unit
        self.missed = 0
        self._failures = 0

    def read_into(self, reading):
        """Fill ``reading`` (array('f') of ``channels``) and return True, or return False when none is due."""
        try:
            if not self._take(reading):
                return False
        except (OSError, RuntimeError) as error:
            self.missed += 1
            self._failures += 1
            if self._failures < PATIENCE:
                return False
            raise OSError(
                "%s: %d readings in a row failed, the last one: %s" % (self.source.name, PATIENCE, error)
            )
        self._failures = 0
        return True


class Polled(Live):
    """Asks the source, ``measure_into(reading)``, ``rate_hz`` times a second."""

    def __init__(self, source, rate_hz):
        super().__init__(source, rate_hz)
        self._pacer = Pacer(rate_hz, port.ticks_us())

    def _take(self, reading):
        steps = self._pacer.due(port.ticks_us())
        if not steps:
            return False
        self.missed += steps - 1
        self.source.measure_into(reading)
        return True


class Buffered(Live):
    """Empties the FIFO of a source that measures by its own clock, so that readings are evenly spaced however
    late they are asked for.

    The source has ``waiting()``, how many readings its FIFO holds; ``overrun``, whether that call found some
    lost; ``next_into(reading)``, which takes the oldest; and ``rate_hz``.
    """

    def __init__(self, source):
        super().__init__(source, source.rate_hz)
        self._period = round(1000000 / source.rate_hz)
        self._waiting = self._vain = 0
        self._asked = port.ticks_us()

    def _take(self, reading):
        if not self._waiting and not self._ask():
            return False
        self._waiting -= 1
        try:
            self.source.next_into(reading)
        except OSError:
            self._waiting = 0  # whatever it holds now, it is to be asked anew
            raise
        return True

    def _ask(self):
        now = port.ticks_us()
        since = ticks_diff(now, self._asked)
        if since < self._period:
            return False
        self._asked = now
        self._waiting = self.source.waiting()
        if self.source.overrun:
            self.missed += max(1, since // self._period - self._waiting)
        self._vain = 0 if self._waiting else self._vain + 1
        if self._vain > 2 * PATIENCE:
            raise OSError("it measures no longer, as if it had lost its power for a moment")
        return self._waiting > 0
