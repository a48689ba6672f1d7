"""A board works on rounds when its settings let it."""

from mote.port import ticks_add
from mote.schedule import Schedule

_HOUR_MS = 3600 * 1000


def test_quiet_hours_over_midnight_are_kept_once_the_time_is_known():
    schedule = Schedule({"QUIET": "22-6"})
    assert schedule.quiet_s(0) == 0
    schedule.set_time(21 * 3600, 1000)
    assert schedule.quiet_s(1000) == 0
    assert schedule.quiet_s(1000 + _HOUR_MS - 1) == 0
    assert schedule.quiet_s(1000 + _HOUR_MS) == 8 * 3600
    assert schedule.quiet_s(1000 + 4 * _HOUR_MS) == 5 * 3600
    assert schedule.quiet_s(1000 + 9 * _HOUR_MS - 1000) == 1
    assert schedule.quiet_s(1000 + 9 * _HOUR_MS) == 0


def test_quiet_hours_within_a_day_and_up_to_midnight():
    for text, hour, expected in (
        ("9-17", 8, 0), ("9-17", 9, 8), ("9-17", 16, 1), ("9-17", 17, 0), ("20-24", 23, 1), ("20-24", 0, 0),
        ("0-5", 4, 1), ("24-5", 0, 5),
    ):  # fmt: skip
        schedule = Schedule({"QUIET": text})
        schedule.set_time(3600 * hour, 0)
        assert schedule.quiet_s(0) == 3600 * expected, (text, hour)


def test_time_goes_on_for_weeks_of_ticks():
    schedule = Schedule({"QUIET": "22-6"})
    schedule.set_time(12 * 3600, 0)
    now = 0
    for hour in range(24 * 30):
        assert (schedule.quiet_s(now) > 0) == ((12 + hour) % 24 in (22, 23, 0, 1, 2, 3, 4, 5)), hour
        now = ticks_add(now, _HOUR_MS)


def test_learning_takes_no_more_than_its_share_of_the_time():
    for duty in (10, 25, 100):
        schedule, busy, now = Schedule({"DUTY": duty}), 0, 0
        while now < 100000:
            if schedule.allows(now):
                schedule.spent(now, now + 7)
                busy += 7
                now += 7
            else:
                now += 1
        assert duty - 2 <= 100 * busy / now <= duty, (duty, busy)


def test_wrong_settings_are_named():
    for config in ({"DUTY": 0}, {"DUTY": 101}, {"QUIET": "22"}, {"QUIET": "22-22"}, {"QUIET": "x-y"},
                   {"QUIET": "0-25"}, {"QUIET": "24-0"}, {"SLEEP_S": -1}, {"SLEEP_S": 1e9}):  # fmt: skip
        try:
            Schedule(config)
        except ValueError as error:
            assert list(config)[0] in str(error)
        else:
            raise AssertionError(config)
