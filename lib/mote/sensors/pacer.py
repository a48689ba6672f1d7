"""Keeps a sensor's time: when a reading is due, and how many were missed. It knows no sensor."""

from ..port import ticks_add, ticks_diff


class Pacer:
    """A schedule of equal steps since its first moment, so that lateness does not add up.

    rate_hz: steps a second; a step is rounded to whole microseconds. now: the first moment, ticks in
    microseconds. early_us: how much before its time a step may be taken, for a timer that rings a little
    early.
    """

    def __init__(self, rate_hz, now, early_us=0):
        self.period_us = round(1000000 / rate_hz)
        self._early = early_us
        self._next = now

    def due(self, now):
        """Return 0 while no step is due, else how many have come due since the last: all but one are
        missed."""
        late = ticks_diff(now, self._next) + self._early
        if late < 0:
            return 0
        steps = late // self.period_us + 1
        self._next = ticks_add(self._next, steps * self.period_us)
        return steps


class Backlog:
    """Tells how many readings a full buffer has lost, where some hardware fills it by its own clock.

    period_us: time between two readings. capacity: readings that the buffer holds. now: ticks in
    microseconds.
    """

    def __init__(self, period_us, capacity, now):
        self._period, self._longest = period_us, period_us * capacity
        self._since = now

    def empty(self, now):
        """Note that the buffer was found empty: nothing is lost, and the two clocks agree again."""
        self._since = now

    def taken(self, now):
        """Note that one reading was taken; return how many were lost before it."""
        self._since = ticks_add(self._since, self._period)
        behind = ticks_diff(now, self._since)
        if behind < 0:
            self._since = now  # its clock is faster than ours
            return 0
        lost = 0 if behind <= self._longest else (behind - self._longest + self._period - 1) // self._period
        self._since = ticks_add(self._since, lost * self._period)
        return lost
