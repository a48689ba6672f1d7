"""Telemetry comes from boards, over lines with noise: what is taken, what is refused, what is made of it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.telemetry import LINE_BYTES, Telemetry, parse, printable


def line(**values) -> bytes:
    return json.dumps({"device": "subject-03", "time_ms": 1000, **values}).encode()


def taken(**values) -> Telemetry:
    telemetry = parse(line(**values))
    assert telemetry is not None
    return telemetry


def test_a_full_line_is_read():
    values = {
        "label": "PEN",
        "probabilities": [0.9, 0.1],
        "truth": "ABD",
        "inference_ms": 1.93,
        "free_bytes": 131072,
        "version": 3,
        "round": 4,
        "state": "training",
        "samples": 120,
        "loss": 0.41,
        "accuracy": 0.87,
        "up_bytes": 9,
        "down_bytes": 10,
        "refused": 2,
        "labels": ["PEN", "ABD"],
        "reading": [-0.5, 9.81],
        "sensor": "lsm6ds",
        "unit": "m/s²",
        "rate_hz": 50.0,
        "missed": 3,
        "rssi": -61,
        "battery": 3.71,
        "update": "fetching 12/80",
        "error": "broker gone",
    }
    telemetry = taken(**values, extra=[1])
    assert telemetry.raw == {"device": "subject-03", "time_ms": 1000, **values, "extra": [1]}
    for key, value in values.items():
        assert getattr(telemetry, key) == (tuple(value) if isinstance(value, list) else value)


def test_all_but_device_and_time_may_be_missing_or_null():
    assert taken(label=None) == Telemetry("subject-03", 1000)
    assert parse(b'{"device":"a"}') is None
    assert parse(b'{"time_ms":1}') is None


@pytest.mark.parametrize(
    "values",
    [
        {"device": "Subject"},
        {"device": "a" * 33},
        {"device": 3},
        {"time_ms": -1},
        {"time_ms": 1.5},
        {"time_ms": 1 << 60},
        {"time_ms": True},
        {"label": 3},
        {"label": "x" * 65},
        {"probabilities": []},
        {"probabilities": [0.5, "0.5"]},
        {"probabilities": [1.5]},
        {"probabilities": [0.01] * 65},
        {"inference_ms": -1},
        {"accuracy": 2},
        {"labels": "PEN"},
        {"free_bytes": None, "version": "3"},
        {"reading": [1, "2"]},
        {"reading": [1e300]},
        {"reading": [0] * 65},
        {"unit": "x" * 17},
        {"rate_hz": -1},
        {"rssi": 1},
        {"rssi": -61.5},
        {"battery": "full"},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_makes_it_no_telemetry(values):
    assert parse(line(**values)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"MicroPython v1.29",
        b"[1]",
        b"3",
        b'{"device":"a","time_ms":1,"loss":NaN}',
        b'{"device":"a","time_ms":1,"loss":Infinity}',
        b'{"device":"a","time_ms":1,"unknown":1e999}',
        b'{"device":"a","time_ms":1,"x":' + b"[" * 400 + b"-1e400" + b"]" * 400 + b"}",
        b'{"device":"a","time_ms":' + b"9" * 900 + b"}",
        b'{"device":"a","time_ms":1,"x":' + b"[" * 900,
        b'{"device":"\xff","time_ms":1}',
        line(error="x" * LINE_BYTES),
    ],
    ids=lambda data: str(data[:30]),
)
def test_what_is_no_telemetry_is_none_of_it(data):
    assert parse(data) is None


@settings(deadline=None)
@given(st.binary(max_size=1100) | st.binary(max_size=200).map(lambda tail: line()[:-1] + b"," + tail))
def test_no_bytes_can_raise(data):
    parse(data)


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8)
)
def test_no_value_of_a_known_key_can_raise(value):
    for key in Telemetry.__dataclass_fields__:
        parse(line(**{key: value}))


def test_no_terminal_code_passes_from_board_to_screen():
    assert printable("a\x1b[2J\r\nb\x9b\u202e") == "a·[2J··b··"
    assert taken(label="\x1b[31mred").label == "·[31mred"


def test_values_stay_until_the_board_gives_new_ones():
    board = WatchedBoard()
    board.update(taken(labels=["PEN", "ABD"], version=3))
    board.update(taken(time_ms=1100, label="PEN", probabilities=[0.9, 0.1], truth="ABD", error="broker gone"))
    board.update(taken(time_ms=1200, label="PEN", probabilities=[0.8, 0.2]))
    assert board.known is not None
    assert (board.known.version, board.known.truth, board.known.error) == (3, None, None)
    assert board.classes() == [("PEN", 0.8), ("ABD", 0.2)]
    assert board.inferences == 2


def test_class_names_are_learned_where_the_board_told_them_before_we_listened():
    board = WatchedBoard()
    board.update(taken(label="ABD", probabilities=[0.1, 0.9]))
    assert board.classes() == [("class 0", 0.1), ("ABD", 0.9)]


def test_what_happens_to_a_board_becomes_events():
    board = WatchedBoard()
    assert board.update(taken(round=1, version=0)) == ["this is subject-03", "round 1", "model 0 is live"]
    assert board.update(taken(time_ms=1100, round=1, version=0)) == []
    assert board.update(taken(time_ms=1200, version=1, loss=0.5, accuracy=0.75)) == [
        "model 1 is live",
        "on held-out windows: accuracy 75%, loss 0.50",
    ]
    assert board.update(taken(time_ms=1300, refused=2)) == ["model 2 refused: worse on held-out windows"]
    assert board.update(taken(time_ms=1400, refused=2, state="idle", error="broker gone")) == [
        "error: broker gone"
    ]
    assert board.update(taken(time_ms=1500, error="broker gone")) == []
    assert board.update(taken(time_ms=3)) == ["restarted"]
    assert board.known == taken(time_ms=3)


def test_another_board_on_the_same_port_starts_afresh():
    board = WatchedBoard()
    board.update(taken(labels=["PEN"], probabilities=[1.0]))
    assert board.update(taken(device="subject-04", time_ms=2000)) == ["this is subject-04"]
    assert board.classes() == []


def test_a_reading_between_two_lines_does_not_end_an_error():
    board = WatchedBoard()
    board.update(taken(state="idle", error="broker gone"))
    assert board.update(taken(time_ms=1100, reading=[1])) == []
    assert board.update(taken(time_ms=1200, state="idle", error="broker gone")) == []
    board.update(taken(time_ms=1300, state="idle"))
    assert board.known is not None
    assert board.known.error is None


def test_progress_of_an_update_is_one_event():
    board = WatchedBoard()
    board.update(taken())
    happened = [board.update(taken(update=text)) for text in ("fetching 1/80", "fetching 2/80", "trial")]
    assert happened == [["update: fetching 1/80"], [], ["update: trial"]]


def test_the_course_of_figures_is_kept_and_ends_with_a_restart():
    board = WatchedBoard()
    for n, inference_ms in enumerate((2.0, 9.0, 3.0)):
        board.update(taken(time_ms=1000 * n, label="PEN", inference_ms=inference_ms, reading=[n, -n]))
    assert (board.median_ms, board.slowest_ms) == (3.0, 9.0)
    assert list(board.traces) == [(0.0, (0.0, 0.0)), (1.0, (1.0, -1.0)), (2.0, (2.0, -2.0))]
    board.update(taken(time_ms=1, inference_ms=1.0))
    assert (board.median_ms, board.slowest_ms, len(board.traces)) == (1.0, 1.0, 0)


def test_a_status_is_an_event_where_it_changes():
    board = WatchedBoard()
    online = {"state": "online", "role": "learn", "board": "rpi_pico_w"}
    assert board.report(online) == ["online (learn, rpi_pico_w)"]
    assert board.report(online) == []
    assert board.report({"state": "offline"}) == ["offline"]
