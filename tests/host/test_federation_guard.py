"""What a user can rely on: nobody gets more than a share, a device that signs nonsense is put aside until an
operator releases it, and nobody else can bring that about."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_boards import FEDERATION, PLAN, Home
from typer.testing import CliRunner

from fedmote.cli import app
from fedmote.federation.events import Quarantined, Refused
from fedmote.federation.guard import Guard
from fedmote.federation.protocol import UPDATE
from fedmote.federation.store import STORE_NAME
from mote import wire

DELTA = np.zeros(sum(PLAN.sizes), np.float32)
NAN = np.full(sum(PLAN.sizes), np.nan, np.float32)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / STORE_NAME)
    home.begin()
    return home


def fault(home: Home, *counters: int, **options: Any) -> None:
    for counter in counters:
        home.aggregator.handle(home.boards["attic"].update(NAN, counter=counter, **options))


def in_quarantine(home: Home) -> list[str]:
    return [device.device for device in home.store.devices() if device.quarantine]


def test_whoever_sends_too_much_is_refused_until_time_has_passed(home: Home) -> None:
    topic, payload = home.boards["attic"].update(DELTA)[0]
    home.aggregator.handle([(topic, payload)] * 5000)
    assert home.refused()["rate", "attic"] > 4000
    home.aggregator.handle(home.boards["cellar"].update(DELTA))  # is not concerned
    home.clock.now += 60
    home.aggregator.handle(home.boards["attic"].update(DELTA))
    assert home.store.model().version == 1


def test_a_whole_body_and_more_may_come_at_once() -> None:
    for pieces in (1, 51, 4000):
        guard = Guard(pieces, lambda: 0.0)
        assert all(guard.admits(UPDATE, "attic", wire.MESSAGE_BYTES + 60) for _ in range(5 * pieces))


def test_large_messages_use_up_a_share_sooner() -> None:
    guard = Guard(1, lambda: 0.0)
    large = sum(guard.admits(UPDATE, "attic", 1 << 30) for _ in range(5000))
    small = sum(guard.admits(UPDATE, "cellar", 100) for _ in range(5000))
    assert 1 <= large < small / 10


def test_strangers_leave_nothing_in_memory(home: Home) -> None:
    home.aggregator.handle([(wire.topic(FEDERATION, "status", f"x{n}"), b"{}") for n in range(1000)])
    assert home.refused() == {("unknown device", ""): 1000}
    assert {device for _, device in home.aggregator._guard._shares} <= set(home.boards)


def test_a_flood_of_refused_messages_is_no_flood_of_events(home: Home) -> None:
    home.aggregator.handle([(wire.topic(FEDERATION, "status", f"x{n}"), b"{}") for n in range(1000)])
    assert 0 < len(home.told(Refused)) <= 100


def test_a_device_that_signs_nonsense_three_times_is_in_quarantine_until_it_is_released(home: Home) -> None:
    fault(home, 1, 2)
    assert not in_quarantine(home)
    fault(home, 3)
    assert in_quarantine(home) == ["attic"] and home.told(Quarantined) == [Quarantined("attic", "not finite")]
    outgoing = home.aggregator.handle(home.boards["attic"].update(DELTA, counter=4))
    assert any(b'"reason":"quarantine"' in message.payload for message in outgoing)
    assert not home.store.accepted(1)
    home.kill_and_start()
    home.aggregator.handle(home.boards["attic"].update(DELTA, counter=5))
    assert not home.store.accepted(1)
    home.store.release("attic")
    home.aggregator.handle(home.boards["attic"].update(DELTA, counter=6))
    assert [one.device for one in home.store.accepted(1)] == ["attic"]


def test_a_nonsensical_body_that_somebody_repeats_counts_once(home: Home) -> None:
    fault(home, *[1] * 10)
    assert home.refused()["not finite", "attic"] == 10 and not in_quarantine(home)


def test_what_a_device_has_not_signed_never_puts_it_into_quarantine(home: Home) -> None:
    fault(home, *range(1, 10), key=bytes(32))
    home.aggregator.handle([(wire.topic(FEDERATION, "update", "attic", 1, 0), b"junk")] * 100)
    assert home.refused() == {("tag", "attic"): 9, ("malformed", "attic"): 100} and not in_quarantine(home)


def test_faults_that_are_a_day_apart_do_not_add_up(home: Home) -> None:
    for counter in (1, 2, 3, 4):
        fault(home, counter)
        home.clock.now += 13 * 3600
    assert not in_quarantine(home)


def test_a_round_does_not_wait_for_a_device_in_quarantine(tmp_path: Path) -> None:
    home = Home(tmp_path / STORE_NAME, names=("attic", "cellar", "shed"))
    home.begin()
    fault(home, 1, 2, 3)
    for name in ("cellar", "shed"):
        home.aggregator.handle(home.boards[name].update(DELTA))
    assert home.store.model().version == 1
    assert home.aggregator.manifest is not None and home.aggregator.manifest.round == 2
    for name in ("cellar", "shed"):
        home.aggregator.handle(home.boards[name].update(DELTA, number=2, version=1, counter=2))
    assert home.store.model().version == 2


def test_an_operator_sees_a_quarantine_and_ends_it(home: Home, tmp_path: Path) -> None:
    fault(home, 1, 2, 3)
    runner, state = CliRunner(), ["--state", str(tmp_path)]
    listed = runner.invoke(app, ["provision", "--list", *state])
    assert "quarantine" in listed.output
    devices = runner.invoke(app, ["devices", "--federation", FEDERATION, "--seconds", "0.1", *state])
    assert "in quarantine (not finite)" in " ".join(devices.output.split())
    released = runner.invoke(app, ["provision", "attic", "--release", *state])
    assert released.exit_code == 0 and not in_quarantine(home)
    again = runner.invoke(app, ["provision", "attic", "--release", *state])
    assert again.exit_code == 1 and "not in quarantine" in str(again.exception)
    home.aggregator.handle(home.boards["attic"].update(DELTA, counter=4))
    assert [one.device for one in home.store.accepted(1)] == ["attic"]
