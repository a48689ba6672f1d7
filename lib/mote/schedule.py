"""When a board works on rounds and when it rests, as its settings say. It knows no rounds and no link."""

from .port import ticks_add, ticks_diff

_DAY_S = 24 * 3600
_LONGEST_SLEEP_S = 7 * _DAY_S


class Schedule:
    """The settings DUTY, QUIET and SLEEP_S, see docs/settings.md. ``sleep_s``: the latter, 0 for none.

    Boards have no clock: until somebody tells the time there are no quiet hours. Raises ValueError for
    settings that are wrong.
    """

    def __init__(self, config):
        duty = config.get("DUTY", 100)
        self.sleep_s = config.get("SLEEP_S", 0)
        if not 0 < duty <= 100:
            raise ValueError("DUTY = %s: write percent of the time, 1 to 100" % duty)
        if not 0 <= self.sleep_s <= _LONGEST_SLEEP_S:
            raise ValueError("SLEEP_S = %s: write seconds, at most %d" % (self.sleep_s, _LONGEST_SLEEP_S))
        self._rest = (100 - duty) / duty
        self._busy_until = None
        self._quiet = _hours(config["QUIET"]) if "QUIET" in config else None
        self._time = self._time_at = None

    def set_time(self, seconds, at):
        """Tell the time: seconds since midnight UTC at the ticks ``at``."""
        self._time, self._time_at = seconds, at

    def quiet_s(self, now):
        """Return how many seconds the quiet hours still last, 0 outside them. To be asked once a day or more,
        or ticks wrap unseen. now: milliseconds of port.ticks_ms."""
        if self._time is None or self._quiet is None:
            return 0
        passed = ticks_diff(now, self._time_at) // 1000
        self._time = (self._time + passed) % _DAY_S
        self._time_at = ticks_add(self._time_at, 1000 * passed)
        start, end = self._quiet
        left = (end - self._time) % _DAY_S
        return left if 0 < left <= (end - start) % _DAY_S else 0

    def allows(self, now):
        """Tell whether the board may learn or send now."""
        if self._busy_until is not None and ticks_diff(now, self._busy_until) < 0:
            return False
        self._busy_until = None
        return True

    def spent(self, start, end):
        """Count the time of learning or sending, in ticks; the board rests in proportion to it."""
        if self._rest and end != start:
            self._busy_until = ticks_add(end, int(self._rest * ticks_diff(end, start)) + 1)


def _hours(text):
    """Return (first, last) of "22-6" in seconds since midnight."""
    first, dash, last = str(text).partition("-")
    try:
        start, end = int(first), int(last)
    except ValueError:
        dash = ""
    if not dash or not (0 <= start <= 24 and 0 <= end <= 24) or start % 24 == end % 24:
        raise ValueError('QUIET = "%s": write two hours of UTC, such as "22-6"' % text)
    return 3600 * (start % 24), 3600 * (end % 24)
