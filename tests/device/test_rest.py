"""A board leaves its broker in quiet hours and sleeps between looks, and the broker is told before."""

from mote.rest import Rest
from mote.rounds import IDLE, SENDING


class _Link:
    """A link that is up, and acknowledges when it is told to."""

    def __init__(self):
        self.connected, self.prompt = True, True
        self.told, self.opened = [], 0

    def publish(self, topic, payload, qos, retain, on_delivered):
        self.told.append((topic, payload, qos, retain))
        if self.prompt:
            on_delivered(topic)
        return True

    def close(self):
        self.connected = False

    def open(self):
        self.connected = True
        self.opened += 1


class _Participant:
    state = IDLE
    time = time_at = None


class _Memory:
    saved = 0

    def save(self):
        self.saved += 1


class _Board:
    def __init__(self, **config):
        self.participant, self.link, self.memory = _Participant(), _Link(), _Memory()
        self.rest = Rest(config, self.participant, self.link, "status", self.memory, 0)

    def manifest(self, hour, now):
        self.participant.time, self.participant.time_at = 3600 * hour, now

    def away(self, now, free=True):
        """Poll twice, as a loop does."""
        self.rest.poll(now, free)
        return self.rest.poll(now, free)


def test_board_is_away_in_quiet_hours_and_comes_back():
    board = _Board(QUIET="22-6")
    board.manifest(21, 0)
    assert not board.away(3599000)
    assert board.away(3600000) and not board.link.connected
    assert board.link.told == [("status", b'{"state":"offline","back_s":28800}', 1, True)]
    assert board.away(8 * 3600000) and board.rest.sleep_s == 0 and board.memory.saved == 1
    assert not board.away(9 * 3600000) and board.link.opened == 1
    assert not board.away(9 * 3600000 + 20000)


def test_stale_time_of_a_retained_manifest_does_not_send_a_board_away():
    board = _Board(QUIET="22-6")
    board.manifest(23, 0)  # the broker had kept it since the night
    assert not board.away(1000)
    board.manifest(9, 1500)
    assert not board.away(20000)


def test_board_that_has_nothing_to_do_sleeps_after_what_is_retained_has_come():
    board = _Board(SLEEP_S=300)
    assert not board.away(20000)  # it has not heard of its round yet
    board.manifest(9, 20000)
    assert board.away(20001) and board.rest.sleep_s == 300 and board.memory.saved == 1
    assert [payload for _, payload, _, _ in board.link.told] == [b'{"state":"offline","back_s":300}']
    early = _Board(SLEEP_S=300)
    early.manifest(9, 0)
    assert not early.away(9999) and early.away(10000)


def test_board_that_works_or_updates_itself_does_not_sleep():
    board = _Board(SLEEP_S=300)
    board.manifest(9, 0)
    board.participant.state = SENDING
    assert not board.away(20000)
    board.participant.state = IDLE
    assert not board.away(30000, free=False)
    assert board.away(40000)


def test_board_that_finds_no_broker_goes_back_to_sleep():
    board = _Board(SLEEP_S=300)
    board.link.connected = False
    assert not board.away(119000)
    assert board.away(120000) and board.rest.sleep_s == 300 and board.link.told == []


def test_broker_that_does_not_answer_is_left_after_a_while():
    board = _Board(SLEEP_S=300)
    board.link.prompt = False
    board.manifest(9, 0)
    assert not board.away(10000) and board.link.connected
    assert not board.away(12900)
    assert board.away(13000)
    assert len(board.link.told) == 1


def test_board_that_sleeps_does_so_through_quiet_hours():
    board = _Board(SLEEP_S=300, QUIET="22-6")
    board.manifest(23, 0)
    assert board.away(10000) and board.rest.sleep_s == 7 * 3600 - 10
