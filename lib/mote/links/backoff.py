"""When a lost connection is tried again: later with each failure, and never by all boards at once. It knows
no transport."""

from struct import unpack

from ..port import random_bytes, ticks_add, ticks_diff

_FIRST_MS = 1000
_DOUBLINGS = 6  # 64 s, so that the longest pause is twice that


class Backoff:
    """The pauses of one link: 1 to 2 s, doubled with each failure up to 64 to 128 s.

    Every board draws its own within these bounds: after a broker was away, a fleet comes back over time and
    not at once. The pauses begin anew when a connection has held for as long as the pause before it: one that
    is lost sooner counts as failing.
    """

    def __init__(self):
        self._failures = 0
        self._due = self._steady = None

    def allows(self, now):
        """Tell whether a link that is down may be tried again; to be asked while it is. now: milliseconds."""
        self._steady = None
        if self._due is None:
            pause = _FIRST_MS << self._failures
            self._due = ticks_add(now, pause + pause * unpack("<H", random_bytes(2))[0] // 65536)
            self._failures = min(self._failures + 1, _DOUBLINGS)
        return ticks_diff(now, self._due) >= 0

    def trying(self):
        """The link is on its way up."""
        self._due = None

    def up(self, now):
        """The link is up; to be told now and then. now: milliseconds."""
        self._due = None
        if self._steady is None:
            self._steady = ticks_add(now, _FIRST_MS << self._failures)
        elif ticks_diff(now, self._steady) >= 0:
            self._failures = 0
