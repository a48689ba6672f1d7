"""What the monitor draws: it fits every terminal, shows what it has been told, and only that."""

import io
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fedmote.monitor import traces
from fedmote.monitor.boards import Boards
from fedmote.monitor.events import Lost, Opened, Output, Received, Reported
from fedmote.monitor.lettering import large
from fedmote.monitor.live import picture
from fedmote.monitor.picture import svg
from fedmote.monitor.sparks import sparkline
from fedmote.monitor.telemetry import parse

INFERENCE = {
    "label": "PEN",
    "probabilities": [0.91, 0.09],
    "labels": ["PEN", "ABD"],
    "inference_ms": 1.93,
    "free_bytes": 131072,
    "version": 3,
    "round": 4,
    "state": "training",
    "reading": [0.25, -9.81, 3],
    "sensor": "lsm6ds",
    "unit": "m/s²",
    "rate_hz": 50,
    "rssi": -61,
    "battery": 3.7,
    "update": "fetching 12/80",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def received(board: str = "", time_ms: int = 1000, at: float = 100.0, **values) -> Received:
    device = board.rpartition("/")[2] or "subject-03"
    telemetry = parse(json.dumps({"device": device, "time_ms": time_ms, **values}).encode())
    assert telemetry is not None, values
    return Received(at, board, telemetry)


def drawn(boards: Boards, width: int = 80, height: int = 24, alone: bool = False) -> list[str]:
    """Return the lines of a picture; there is nothing in them that steers a terminal, colours apart."""
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="256")
    console.print(picture(boards, width, height, alone), end="")
    lines = _COLOURS.sub("", console.file.getvalue()).removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines), lines
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    return lines


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (100, 30), (200, 60), (20, 6)])
@pytest.mark.parametrize("classes", [0, 2, 7, 64])
@pytest.mark.parametrize("channels", [0, 1, 6, 64])
def test_one_board_fits_every_terminal(size, classes, channels):
    width, height = size
    boards = Boards()
    boards.take(Opened(0, "/dev/ttyACM0"))
    for n in range(30):
        values = {"version": n, "label": "c1", "error": f"{n} [red]"}
        if classes:
            values["probabilities"] = [round(1 / classes, 3)] * classes
        if channels:
            values["reading"] = [n * channel for channel in range(channels)]
        boards.take(received(time_ms=n * 500, **values))
        boards.take(Output(n, "", "[bold]not markup"))
    lines = drawn(boards, width, height)
    if width >= 40:
        assert "subject-03" in lines[0]
    if height >= 24:
        assert "error: 29 [red]" in "\n".join(lines)
        assert "[bold]not markup" in "\n".join(lines)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("count", [2, 10, 100])
def test_many_boards_fit_every_terminal_and_the_selected_one_is_among_them(size, count):
    boards = Boards()
    for n in range(count):
        boards.take(received(f"home/board-{n:03}", label=f"sees {n}", reading=[1, 2]))
    boards.select(count - 1)
    text = "\n".join(drawn(boards, *size))
    assert f"board-{count - 1:03}" in text
    text = "\n".join(drawn(boards, *size, alone=True))
    assert f"sees {count - 1}" in text or large(f"sees {count - 1}")[1] in text


def test_a_board_is_shown_in_full_at_80_columns():
    boards = Boards()
    boards.take(Opened(99, "/dev/ttyACM0"))
    for n, inference_ms in enumerate((1.5, 8.0, 1.93)):
        boards.take(received(time_ms=10_000 + n * 1000, **{**INFERENCE, "inference_ms": inference_ms}))
    text = "\n".join(drawn(boards))
    wanted = [
        "subject-03",
        *large("PEN"),
        "91%",
        "91.0%",
        "ABD",
        "1.9 ms, median 1.9, max 8.0",
        "4 · training",
    ]
    wanted += [
        "version 3",
        "131 kB",
        "12 s · 3 inferences",
        "-61 dBm",
        "3.70 V",
        "fetching 12/80",
        "-30 s",
        "now",
    ]
    wanted += ["0.25", "-9.81", "m/s²", "lsm6ds", "/dev/ttyACM0: open", "model 3 is live", "PEN PEN"]
    assert [words for words in wanted if words not in text] == []


def test_a_lost_link_and_an_ended_recording_are_told():
    boards = Boards()
    assert "waiting for telemetry" in drawn(boards)[0]
    boards.take(Opened(1, "/dev/ttyACM0"))
    boards.take(received(**INFERENCE))
    boards.take(Lost(2, "device disconnected"))
    text = "\n".join(drawn(boards))
    assert "/dev/ttyACM0: lost, waiting for it" in text
    assert "lost: device disconnected" in text
    boards.take(Opened(3, "/dev/ttyACM1"))
    text = "\n".join(drawn(boards))
    assert "/dev/ttyACM1: open" in text
    assert "open again: /dev/ttyACM1" in text


def test_the_table_tells_who_is_silent_and_who_is_offline():
    boards = Boards()
    boards.take(received("home/a-silent", at=100, label="ABD"))
    boards.take(Reported(100, "home/b-offline", {"state": "offline"}))
    boards.take(Reported(100, "home/c-new", {"state": "online", "version": 7}))
    boards.take(received("home/d-there", at=170, **INFERENCE))
    lines = drawn(boards, 120, 30)
    rows = {word: line for line in lines[2:6] for word in line.split()}
    assert "4 boards, 3 silent" in lines[0]
    assert "1:10" in rows["a-silent"]
    assert "offline" in rows["b-offline"]
    assert " 7 " in rows["c-new"]
    assert "now" in rows["d-there"]
    assert "PEN" in rows["d-there"]
    assert "91%" in rows["d-there"]


def test_names_have_their_federation_where_there_are_several():
    boards = Boards("subject-02")
    boards.take(received("home/subject-01"))
    boards.take(received("home/subject-02"))
    assert boards.name("home/subject-01") == "subject-01"
    assert boards.selected == "home/subject-02"
    boards.take(received("elsewhere/subject-01"))
    assert boards.name("home/subject-01") == "home/subject-01"
    assert boards.selected == "home/subject-02"
    boards.select(-1)
    assert boards.selected == "elsewhere/subject-01"


def test_traces_show_the_last_30_seconds_and_break_where_nothing_came():
    steady = [(float(t), (1.0,)) for t in range(100)]
    lines = traces.plots(steady, 60, 8).plain.split("\n")
    row = next(line for line in lines if re.search("[⠁-⣿]", line))
    assert row.rstrip().count(" ") < 20  # one line from end to end
    broken = [point for point in steady if not 80 <= point[0] <= 90]
    row = next(line for line in traces.plots(broken, 60, 8).plain.split("\n") if re.search("[⠁-⣿]", line))
    assert re.search("[⠁-⣿] {10,}[⠁-⣿]", row)


def test_three_axes_share_a_plot_and_the_next_three_have_their_own():
    trace = [(t / 2, (0, 1, 2, 1000, 1001, 1002)) for t in range(20)]
    text = traces.plots(trace, 60, 12).plain
    assert re.findall(r"(\S+) ┤", text) == ["2", "1", "0", "1002", "1001", "1000"]
    assert len(text.split("\n")) == 12


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), min_size=1, max_size=20),
    st.integers(-1, 90),
    st.integers(-1, 30),
)
def test_traces_of_any_values_have_the_size_that_was_asked_for(values, width, height):
    trace = [(n * 0.7, pair) for n, pair in enumerate(values)]
    lines = traces.plots(trace, width, height).plain.split("\n")
    assert len(lines) == max(1, height)
    assert max(map(len, lines)) <= max(0, width)


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_the_bounds_of_an_axis_hold_all_values(one, other):
    low, high = traces.bounds(min(one, other), max(one, other))
    slack = 1e-6 * (abs(one) + abs(other))
    assert low - slack <= min(one, other) <= max(one, other) <= high + slack
    assert low < high


TEXTS = st.text(max_size=64)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "label": TEXTS,
        "truth": TEXTS,
        "state": TEXTS,
        "sensor": TEXTS,
        "update": TEXTS,
        "error": TEXTS,
        "unit": st.text(max_size=16),
        "labels": st.lists(TEXTS, min_size=1, max_size=8),
        "probabilities": st.lists(st.floats(0, 1), min_size=1, max_size=8),
        "reading": st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=8),
        "inference_ms": st.floats(0, 1e9),
        "rate_hz": st.floats(0, 1e9),
        "battery": st.floats(0, 1e3),
        "free_bytes": st.integers(0, 2**53 - 1),
        "version": st.integers(0, 2**53 - 1),
        "missed": st.integers(0, 2**53 - 1),
        "rssi": st.integers(-200, 0),
    },
)


@settings(deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from([(80, 24), (33, 11), (130, 50)]))
def test_whatever_boards_say_only_text_is_drawn(lines, size):
    boards = Boards()
    for n, values in enumerate(lines):
        text = json.dumps({"device": "a", "time_ms": n, **values}).encode()
        if telemetry := parse(text):
            boards.take(Received(n, "", telemetry))
            boards.take(Received(n, f"home/{n}", telemetry))
    characters = "".join(text for values in lines for text in values.values() if isinstance(text, str))
    if all(ord(character) < 0x300 for character in characters):  # those of two columns are rich's to measure
        drawn(boards, *size)


def test_sparks_follow_the_values():
    assert sparkline([0, 1], 8, 0, 1) == "▁█"
    assert sparkline([1, 2, 3, 4], 2) == "▅█"
    assert sparkline([100, 90], 8) == "█▇"  # noise is not drawn as large
    assert sparkline([0, 0], 8) == "▁▁"
    assert sparkline([], 8) == sparkline([1], 0) == ""


def test_the_picture_for_documents_needs_nothing_from_elsewhere(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"device": "subject-03", "time_ms": 5, **INFERENCE}) + "\n")
    text = svg(path)
    assert "subject-03" in text
    assert "url(https" not in text.replace(" ", "").replace('"', "")
    assert "@font-face" not in text
