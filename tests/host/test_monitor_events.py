"""What a serial port brings becomes events; nothing of it can steer a terminal, whatever the bytes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.monitor import lines
from fedmote.monitor.events import Event, Output, Received, from_port, without_escapes
from fedmote.monitor.lines import Line, Splitter

TELEMETRY = b'{"device":"a","time_ms":1,"label":"PEN","probabilities":[0.9,0.1],"reading":[1.5,-2]}'

# Bytes with telemetry, escape sequences and their beginnings in them, cut and joined anywhere.
NOISE = st.lists(
    st.binary(max_size=30)
    | st.sampled_from(
        [TELEMETRY, TELEMETRY[:40], TELEMETRY[40:], b"\n", b"\r\n", b"\x1b[2J", b"\x1b]0;x\x07"]
    )
    | st.sampled_from(
        [b"\x1b", b"\x1b[", b"\x9b31m", b"\x1b]", b"\x1b\\", b"[" * 500, b'{"x":', "\u202e".encode()]
    ),
    max_size=30,
).map(b"".join)


def events_of(data: bytes) -> list[Event]:
    happenings: list[lines.Event] = [Line(line) for line in Splitter().feed(data + b"\n")]
    return list(
        from_port([lines.Opened("/dev/x"), *happenings, lines.Lost("gone\x1b[2J"), lines.Quiet()], "/dev/x")
    )


@settings(deadline=None)
@given(NOISE)
def test_no_bytes_raise_or_reach_a_terminal_unseen(data):
    for event in events_of(data):
        shown = json.dumps(event.telemetry.raw) if isinstance(event, Received) else str(vars(event))
        assert shown.isprintable()


@settings(deadline=None)
@given(NOISE)
def test_whole_lines_of_telemetry_come_through_any_noise(data):
    events = events_of(data + b"\n" + TELEMETRY)
    received = [event for event in events if isinstance(event, Received)]
    assert received[-1].telemetry.raw == json.loads(TELEMETRY)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(TELEMETRY)), st.integers(0, 20))
def test_a_line_that_was_garbled_is_telemetry_or_shown(garbage, at, dropped):
    garbled = (TELEMETRY[:at] + garbage + TELEMETRY[at + dropped :]).replace(b"\n", b"")
    shown = [event for event in events_of(garbled) if isinstance(event, Received | Output)]
    assert len(shown) == bool(without_escapes(garbled).strip())


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"\x1b]0;\xf0\x9f\x90\x8dcode.py | 9.2.1\x1b\\", b""),
        (b"\x1b]0;title\x07" + TELEMETRY, TELEMETRY),
        (b"\x1b[31;1mrst:0x1\x1b[0m", b"rst:0x1"),
        (b"\x1b\x1b[0m[31m", b"\x1b[31m"),  # put together anew: the escape itself is taken out later
    ],
)
def test_terminal_codes_are_taken_out_of_a_line(printed, shown):
    assert without_escapes(printed) == shown


def test_what_is_left_of_an_escape_is_printed_as_a_dot():
    assert [e.text for e in events_of(b"\x1b\x1b[0m[31mred") if isinstance(e, Output)] == ["·[31mred"]
