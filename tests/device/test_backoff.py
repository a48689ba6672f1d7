"""A link that is down is tried again later with each failure, and every board draws its own pauses."""

from mote.links.backoff import Backoff


def _pause(backoff, now):
    """Fail, and return how long the board waits."""
    start = now
    while not backoff.allows(now):
        now += 50
    backoff.trying()
    return now - start


def test_pauses_double_up_to_two_minutes():
    backoff, now = Backoff(), 0
    for failures in range(10):
        pause = _pause(backoff, now)
        least = 1000 << min(failures, 6)
        assert least <= pause <= 2 * least + 50, (failures, pause)
        now += pause


def test_boards_that_lost_the_broker_together_come_back_one_by_one():
    fleet = [Backoff() for _ in range(50)]
    back = sorted([_pause(backoff, 0) for backoff in fleet])
    assert back[-1] - back[0] > 500
    assert len(set(back)) > 10


def test_pauses_begin_anew_after_a_connection_that_held():
    backoff = Backoff()
    for _ in range(5):
        _pause(backoff, 0)
    backoff.up(0)
    assert _pause(backoff, 1000) >= 32000  # it held for a second only
    backoff.up(0)
    backoff.up(65000)
    assert _pause(backoff, 66000) <= 2050
