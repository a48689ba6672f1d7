"""Telemetry comes from boards, over lines with noise: what is taken, what is refused, what is made of it."""

import json

import pytest
from hypothesis import given
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
        b'{"device":"a","time_ms":' + b"9" * 900 + b"}",
        b'{"device":"a","time_ms":1,"x":' + b"[" * 900,
        b'{"device":"\xff","time_ms":1}',
        line(error="x" * LINE_BYTES),
    ],
    ids=lambda data: str(data[:30]),
)
def test_what_is_no_telemetry_is_none_of_it(data):
    assert parse(data) is None


@given(st.binary(max_size=1100) | st.binary(max_size=200).map(lambda tail: line()[:-1] + b"," + tail))
def test_no_bytes_can_raise(data):
    parse(data)


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
    assert board.update(taken(time_ms=1400, refused=2, error="broker gone")) == ["error: broker gone"]
    assert board.update(taken(time_ms=1500, error="broker gone")) == []
    assert board.update(taken(time_ms=3)) == ["restarted"]
    assert board.known == taken(time_ms=3)


def test_another_board_on_the_same_port_starts_afresh():
    board = WatchedBoard()
    board.update(taken(labels=["PEN"], probabilities=[1.0]))
    assert board.update(taken(device="subject-04", time_ms=2000)) == ["this is subject-04"]
    assert board.classes() == []
