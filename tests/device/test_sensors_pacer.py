"""A sensor's schedule neither drifts nor hides what was missed."""

from mote.port import ticks_add
from mote.sensors.pacer import Backlog, Pacer


def test_readings_late_by_less_than_a_step_do_not_shift_the_schedule():
    pacer = Pacer(50, 0)
    assert pacer.due(0) == 1
    for step in range(1, 500):
        assert pacer.due(step * 20000 - 1) == 0
        assert pacer.due(step * 20000 + step % 20000) == 1


def test_steps_that_passed_unasked_are_counted_once():
    pacer = Pacer(100, 0)
    assert pacer.due(0) == 1
    assert pacer.due(35000) == 3  # two are lost
    assert pacer.due(39999) == 0
    assert pacer.due(40000) == 1


def test_a_timer_that_rings_a_little_early_is_on_time_and_a_held_up_one_does_not_count_twice():
    pacer = Pacer(1000, 0, 500)
    assert pacer.due(0) == 1
    assert pacer.due(980) == 1
    assert pacer.due(5100) == 4  # three of five are lost
    assert pacer.due(5101) == 0  # the callbacks that piled up meanwhile
    assert pacer.due(5999) == 1


def test_the_schedule_outlives_the_wrap_of_the_clock():
    now = ticks_add(0, -15000)
    pacer = Pacer(100, now)
    assert pacer.due(now) == 1
    assert pacer.due(ticks_add(now, 9999)) == 0
    assert pacer.due(ticks_add(now, 20000)) == 2
    assert pacer.due(ticks_add(now, 30000)) == 1


def test_a_full_buffer_loses_what_does_not_fit():
    backlog = Backlog(10000, 5, 0)
    assert backlog.taken(10000) == 0
    assert backlog.taken(70000) == 0  # one taken, five wait
    assert backlog.taken(110000) == 3
    assert backlog.taken(110000) == 0


def test_two_clocks_that_differ_lose_nothing_while_the_buffer_is_found_empty():
    backlog = Backlog(10000, 5, 0)
    lost = now = 0
    for _ in range(10000):
        now += 10100  # one percent slow
        backlog.empty(now - 200)
        lost += backlog.taken(now)
    assert lost == 0
    for _ in range(10000):
        now += 9900
        lost += backlog.taken(now)
    assert lost == 0
