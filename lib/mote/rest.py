"""Takes a board off its link in quiet hours, and to sleep between two looks. schedule.py knows when."""

from .port import ticks_diff
from .rounds import IDLE
from .schedule import Schedule

_AWAKE_MS = 10000  # at least, so that what the broker retains has arrived
_LOST_MS = 120000  # a board that sleeps does not wait longer for a connection
_LEAVE_MS = 3000
_OFFLINE = '{"state":"offline","back_s":%d}'


class Rest:
    """The rest of one board.

    config: the settings. participant: rounds.Participant. link: of links. status_topic: where the aggregator
    is told. memory: memory.Memory. ``away``: whether the board is off its link. ``sleep_s``: how long it is
    to be switched off now, 0 for not at all.
    """

    def __init__(self, config, participant, link, status_topic, memory, now):
        self.schedule = Schedule(config)
        self._participant, self._link, self._memory = participant, link, memory
        self._status_topic = status_topic
        self.away, self.sleep_s = False, 0
        self._awake_at, self._lost_at = now, now
        self._leaving_at = self._told_at = None
        self._left = False

    def poll(self, now, free):
        """Leave the link or come back to it; return whether the board is away. free: whether it may leave."""
        link, participant = self._link, self._participant
        if participant.time_at != self._told_at:
            self._told_at = participant.time_at
            self.schedule.set_time(participant.time, participant.time_at)
        if link.connected:
            self._lost_at = now
        pause_s = self._pause_s(now) if self.away or free else 0
        if not pause_s:
            if self.away:
                link.open()
                self._awake_at = self._lost_at = now
            self.away, self._leaving_at = False, None
            return False
        if not self.away and self._leave(now, pause_s):
            self.away = True
            self._memory.save()
        if self.away and self.schedule.sleep_s:
            self.sleep_s = pause_s
        return self.away

    def _pause_s(self, now):
        """Return how long the board has nothing to do from now on, in seconds."""
        if self._awake_at is not None:
            if ticks_diff(now, self._awake_at) < _AWAKE_MS:
                return 0
            self._awake_at = None
        quiet_s, participant = self.schedule.quiet_s(now), self._participant
        if quiet_s:
            return quiet_s
        done = participant.state == IDLE and participant.time is not None
        if done or ticks_diff(now, self._lost_at) >= _LOST_MS:
            return self.schedule.sleep_s
        return 0

    def _leave(self, now, pause_s):
        """Tell the aggregator for how long, so that it knows whom to wait for; return whether the link is
        left."""
        link = self._link
        if self._leaving_at is None and link.connected:
            self._left = False
            told = (_OFFLINE % pause_s).encode()
            if link.publish(self._status_topic, told, 1, True, self._delivered):
                self._leaving_at = now
            return False
        if link.connected and not self._left and ticks_diff(now, self._leaving_at) < _LEAVE_MS:
            return False
        link.close()
        self._leaving_at = None
        return True

    def _delivered(self, topic):
        self._left = True
