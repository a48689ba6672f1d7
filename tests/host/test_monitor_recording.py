"""A recording plays again what was seen: the same events, in the same rhythm, whatever boards said."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.monitor.events import Lost, Opened, Output, Quiet, Received, Reported
from fedmote.monitor.recording import LONGEST_PAUSE, read, record, replay
from fedmote.monitor.telemetry import decode, parse

LINE = {"device": "subject-03", "time_ms": 1000, "label": "PEN", "extra": [1, {"x": "é\u202e"}]}


def received(at: float, board: str = "", **values) -> Received:
    telemetry = parse(json.dumps({**LINE, **values}).encode())
    assert telemetry is not None
    return Received(at, board, telemetry)


def recorded(path: Path, events: list) -> Path:
    assert list(record(events, path)) == events
    return path


EVENTS = [
    Opened(10.0, "mqtt://host"),
    Reported(10.5, "home/subject-03", {"state": "online", "board": "rpi_pico_w"}),
    received(11.0, "home/subject-03"),
    received(11.25, time_ms=1200),
    Output(11.5, "", "rst:0x1"),
    Output(11.5, "home/subject-04", "no telemetry"),
    Lost(12.0, "unplugged"),
]


def test_what_is_recorded_is_read_back(tmp_path):
    path = recorded(tmp_path / "r.jsonl", [*EVENTS, Quiet(13.0)])
    events = list(read(path))
    assert events == EVENTS
    assert events[2].telemetry.raw == LINE  # without what the recording adds


def test_a_line_of_a_recording_is_the_telemetry_with_the_time_before_it(tmp_path):
    path = recorded(tmp_path / "r.jsonl", [received(11.0, "home/subject-03")])
    assert json.loads(path.read_text()) == {"host_time": 11.0, "federation": "home", **LINE}


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 100.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_a_replay_keeps_the_rhythm(tmp_path, speed):
    path, clock = recorded(tmp_path / "r.jsonl", EVENTS), Clock()
    played = [(clock.now - 100, event) for event in replay(path, speed, clock.pause, clock)]
    assert [event for _, event in played if not isinstance(event, Quiet)] == EVENTS
    for seconds, event in played:
        assert seconds == pytest.approx((event.at - 10.0) / speed)


def test_a_night_between_two_sessions_is_not_waited_for(tmp_path):
    path = recorded(tmp_path / "r.jsonl", [received(10.0), received(50_000.0), received(20.0)])
    clock = Clock()
    assert [event.at for event in replay(path, 1.0, clock.pause, clock)][-1] == 20.0
    assert clock.now == pytest.approx(100 + LONGEST_PAUSE)


def test_recordings_without_times_play_by_the_uptime_of_the_board(tmp_path):
    path, clock = tmp_path / "old.jsonl", Clock()
    path.write_text("".join(json.dumps({**LINE, "time_ms": ms}) + "\n" for ms in (5000, 5500, 6500)))
    assert [event.at for event in replay(path, 1.0, clock.pause, clock) if isinstance(event, Received)] == [
        5,
        5.5,
        6.5,
    ]
    assert clock.now == pytest.approx(101.5)


def test_a_damaged_line_is_shown_and_the_rest_is_played(tmp_path):
    path = recorded(tmp_path / "r.jsonl", EVENTS[:3])
    with path.open("ab") as file:
        file.write(b'{"host_time":11.1,"dev\xff\x1b[2J\n')
    recorded(path, EVENTS[3:])
    events = list(read(path))
    assert events[:3] + events[4:] == EVENTS
    assert events[3].text == 'no line of a recording: {"host_time":11.1,"dev\ufffd·[2J'


@pytest.mark.parametrize("content", [b"", b"\n", b"\x89PNG\r\n\x1a\n", b'{"a":1}\n', b"[" * 100_000])
def test_another_file_is_refused_before_anything_is_shown(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(FedmoteError, match="is no recording of fedmote monitor"):
        list(read(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_for_the_user():
    with pytest.raises(FedmoteError, match="cannot record to /dev/full: No space left"):
        list(record(EVENTS, Path("/dev/full")))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)
KEYS = st.sampled_from(
    ["host_time", "event", "federation", "device", "time_ms", "status", "text", "reason", "source", "label"]
)
WORDS = st.sampled_from(
    ["opened", "lost", "status", "output", "home", "\x1b[2J", "a/b", {"state": "online"}, 1e11, 7]
)


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(KEYS, VALUES | WORDS, max_size=8).map(json.dumps) | st.text(max_size=60), max_size=6
    )
)
def test_no_recording_raises_or_reaches_a_terminal_unseen(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_text("\n".join([json.dumps(LINE), *texts]), encoding="utf-8", errors="replace")
    for event in read(path):
        values = {**vars(event), "telemetry": None, "status": None}
        assert all(text.isprintable() for text in values.values() if isinstance(text, str)), values


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_every_telemetry_survives_a_recording(tmp_path_factory, extra):
    telemetry = parse(json.dumps({**extra, "device": "a", "time_ms": 1}).encode())
    if telemetry is not None and not {"host_time", "federation"} & set(extra):
        path = tmp_path_factory.getbasetemp() / "round.jsonl"
        path.unlink(missing_ok=True)
        (again,) = read(recorded(path, [Received(1.0, "", telemetry)]))
        assert again.telemetry == telemetry
        assert again.telemetry.raw == decode(json.dumps(telemetry.raw))
