"""What a user can rely on: the aggregator knows what its devices last told, believes none of it, and pays
little for it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from federation_boards import FEDERATION, LAYOUT, Home, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedmote.federation.devices import Device
from fedmote.federation.events import RoundClosed
from mote import wire

STATUS = {
    "state": "online",
    "role": "learn",
    "layout": LAYOUT,
    "board": "rpi_pico_w",
    "runtime": "micropython 1.26.1",
    "firmware": "0.2.0",
    "kernel": "viper",
    "release": "a1b2c3",
    "version": 3,
    "rssi": -61,
    "protocol": 2,
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "aggregator.db")
    home.begin()
    yield home
    home.store.close()


def status(**told: object) -> Message:
    return wire.topic(FEDERATION, "status", "attic"), json.dumps({**STATUS, **told}).encode()


def line(**told: object) -> Message:
    return wire.topic(FEDERATION, "telemetry", "attic"), json.dumps({"time_ms": 1, **told}).encode()


def attic(home: Home) -> Device:
    return home.store.devices()[0]


def test_a_status_is_remembered_with_its_time(home: Home) -> None:
    before = time.time()
    home.aggregator.handle([status()])
    known = attic(home)
    assert {key: getattr(known, key) for key in STATUS if key != "state"} == {
        key: value for key, value in STATUS.items() if key != "state"
    }
    assert known.online and before <= (known.last_seen or 0) <= time.time() and known.battery is None


def test_what_a_new_status_leaves_out_is_forgotten(home: Home) -> None:
    home.aggregator.handle([status()])
    home.aggregator.handle([status(release=None, rssi=None)])  # put back on its cable
    assert (attic(home).release, attic(home).rssi, attic(home).version) == (None, None, 3)


def test_a_last_will_says_offline_and_nothing_else(home: Home) -> None:
    home.aggregator.handle([status()])
    seen = attic(home).last_seen
    home.aggregator.handle([(status()[0], b'{"state":"offline","version":9}')])
    known = attic(home)
    assert (known.online, known.version, known.runtime, known.last_seen) == (
        False,
        3,
        STATUS["runtime"],
        seen,
    )


def test_telemetry_tells_version_battery_and_rssi(home: Home) -> None:
    home.aggregator.handle([status(), line(version=4, battery=3.71, rssi=-70)])
    home.clock.now += 11
    home.aggregator.handle([line(version=5)])
    assert (attic(home).version, attic(home).battery, attic(home).rssi) == (5, 3.71, -70)


def test_telemetry_does_not_cost_a_write_each(home: Home) -> None:
    def writes() -> int:
        return home.store._connection.total_changes

    home.aggregator.handle([status()])
    home.aggregator.rest()
    before = writes()
    for version in range(100):
        home.aggregator.handle([line(version=version, battery=3.7)])
        home.aggregator.tick()
    assert writes() == before and attic(home).battery is None
    home.clock.now += 11
    home.aggregator.tick()
    assert writes() == before + 1 and (attic(home).version, attic(home).battery) == (99, 3.7)


def test_what_was_heard_last_is_written_when_the_aggregator_stops(home: Home) -> None:
    home.aggregator.handle([status()])
    home.aggregator.handle([line(version=8)])
    home.aggregator.rest()
    assert attic(home).version == 8


def test_an_update_shows_that_its_device_is_there(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].evaluation())
    before = home.store.devices()[0].last_seen
    home.clock.now += 11
    home.aggregator.tick()
    assert (attic(home).last_seen or 0) > (before or 0)


def test_a_device_that_only_infers_holds_up_no_round(home: Home) -> None:
    home.board("shed")
    shed = (wire.topic(FEDERATION, "status", "shed"), json.dumps({**STATUS, "role": "infer"}).encode())
    home.aggregator.handle([shed])
    for board in home.boards.values():
        home.aggregator.handle(board.update([0.0] * sum(board.sizes)))
    assert home.told(RoundClosed) and home.store.devices()[2].role == "infer"


@pytest.mark.parametrize(
    "told",
    [
        {"rssi": 5}, {"rssi": -201}, {"rssi": -60.5}, {"rssi": True}, {"version": -1}, {"version": 2**32},
        {"version": "7"}, {"version": 1.5}, {"board": 7}, {"release": ["a"]}, {"state": "asleep"},
        {"role": "king"},
    ],
)  # fmt: skip
def test_a_status_with_a_value_that_cannot_be_is_refused_whole(home: Home, told: dict) -> None:
    home.aggregator.handle([status(), status(firmware="9.9.9", **told)])
    assert attic(home).firmware == "0.2.0" and home.refused() == {("malformed", "attic"): 1}


@pytest.mark.parametrize("told", [{"battery": -1}, {"battery": 1001}, {"battery": "full"}, {"rssi": 1}])
def test_telemetry_with_a_value_that_cannot_be_is_refused_whole(home: Home, told: dict) -> None:
    home.aggregator.handle([line(version=9, **told)])
    home.aggregator.rest()
    assert attic(home).version is None and home.refused() == {("malformed", "attic"): 1}


def test_texts_of_a_status_are_kept_short_and_without_control_characters(home: Home) -> None:
    home.aggregator.handle([status(board="\x1b[2J" + "x" * 500, runtime="a\nb", release="\u202eabc")])
    known = attic(home)
    assert len(known.board or "") == 64 and (known.runtime, known.release) == ("a?b", "?abc")
    assert (known.board or "").isprintable()


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.lists(st.integers())
)
KEYS = st.sampled_from([*STATUS, "battery", "reading", "update"])


@given(st.dictionaries(KEYS, VALUES), st.sampled_from(["status", "telemetry"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_device_tells_the_store_stays_bounded(home: Home, told: dict, branch: str) -> None:
    home.aggregator.handle([(wire.topic(FEDERATION, branch, "attic"), json.dumps(told).encode())])
    home.aggregator.rest()
    known = attic(home)
    for text in (known.board, known.runtime, known.firmware, known.kernel, known.release):
        assert text is None or (len(text) <= 64 and (text.isprintable() or not text))
    assert known.version is None or 0 <= known.version < 2**32
    assert known.rssi is None or -200 <= known.rssi <= 0
    assert known.battery is None or 0 <= known.battery <= 1000
