"""A board without a federation infers as soon as it has seen enough to normalise its inputs."""

import learning

from mote.alone import Alone


def _settle(alone):
    while alone.step(0):
        pass


def test_inference_waits_until_the_normaliser_has_seen_enough_windows():
    local = learning.local(count=0)
    alone = Alone(local)
    rows = learning.rows(40)
    for row, _ in rows[:15]:
        local.ring.add(row, None)
    _settle(alone)
    assert not alone.ready
    for row, _ in rows[15:20]:
        local.ring.add(row, None)
    _settle(alone)
    assert alone.ready and min(local.normaliser.factor) > 1.0


def test_normaliser_follows_a_sensor_that_drifts():
    local = learning.local(count=0)
    alone = Alone(local)
    for row, _ in learning.rows(20):
        local.ring.add(row, None)
    _settle(alone)
    before = local.normaliser.mean[0]
    for row, _ in learning.rows(16):
        row[0] += 10
        local.ring.add(row, None)
    _settle(alone)
    assert local.normaliser.mean[0] > before + 3
