"""``fedmote monitor`` as a person or a script runs it, against a board that is a pty."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty

import pytest

from fedmote.monitor.lettering import large

SECONDS = 20  # at most, for what takes well under one


class Talking:
    """A board on a pty that prints the same lines over and over."""

    def __init__(self, *printed: bytes) -> None:
        self.board, self.port = os.openpty()
        tty.setraw(self.port)
        self.device = os.ttyname(self.port)
        self._printed = printed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def _print(self) -> None:
        while not self._ended.wait(0.02):
            if select.select([], [self.board], [], 0)[1]:
                for line in self._printed:
                    os.write(self.board, line + b"\r\n")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.unplug()

    def unplug(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            os.close(self.board)
            os.close(self.port)


INFERENCE = {
    "device": "subject-03",
    "time_ms": 12000,
    "label": "PEN",
    "probabilities": [0.91, 0.09],
    "inference_ms": 1.93,
    "free_bytes": 131072,
    "version": 3,
    "round": 4,
    "state": "training",
    "labels": ["PEN", "ABD"],
}
TELEMETRY = json.dumps(INFERENCE).encode()
XTERM = {**os.environ, "TERM": "xterm"}
GARBAGE = b"\x1b[31mrst:0x1 \xff\xfe"


@pytest.fixture
def board():
    with Talking(TELEMETRY, GARBAGE) as board:
        yield board


class Monitor(subprocess.Popen):
    """A ``fedmote monitor`` that does not outlive a failed test."""

    def __exit__(self, kind, *rest) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


def start(*arguments: str, **streams) -> Monitor:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return Monitor([sys.executable, "-m", "fedmote", "monitor", *arguments], **streams)


def until(process: subprocess.Popen[bytes], wanted: bytes, stream: int) -> bytes:
    """Return what a process wrote once it holds ``wanted``, then press Ctrl-C."""
    seen, deadline = b"", time.monotonic() + SECONDS
    while wanted not in seen:
        assert select.select([stream], [], [], max(0, deadline - time.monotonic()))[0], seen
        data = os.read(stream, 65536)
        assert data, seen
        seen += data
    process.send_signal(signal.SIGINT)
    return seen


def test_in_a_pipe_it_prints_a_readable_line_per_inference(board):
    with start("--port", board.device) as process:
        shown = until(process, b"| ", process.stdout.fileno()).decode()
        assert "    12.0 s  subject-03  PEN 91%  1.9 ms  model 3  round 4  training  131 kB free\n" in shown
        assert "model 3 is live\n" in shown
        assert "\x1b" not in shown
        assert process.wait(SECONDS) == 130
        assert process.stderr.read() == b""


def test_json_passes_objects_on_and_other_output_to_stderr(board):
    with start("--port", board.device, "--json") as process:
        shown = until(process, b"}\n", process.stdout.fileno())
        assert json.loads(shown.splitlines()[0]) == INFERENCE
        assert process.wait(SECONDS) == 130
        assert set(process.stdout.read().splitlines()) <= {shown.splitlines()[0]}
        assert all(line.startswith(b"| ") for line in process.stderr.read().splitlines())


def test_a_recording_holds_every_object_and_grows(board, tmp_path):
    record = tmp_path / "today.jsonl"
    record.write_text('{"from":"yesterday"}\n')
    with start("--port", board.device, "--record", str(record)) as process:
        until(process, b"PEN", process.stdout.fileno())
        assert process.wait(SECONDS) == 130
    recorded = [json.loads(line) for line in record.read_text().splitlines()]
    assert recorded[0] == {"from": "yesterday"}
    assert recorded[1]["source"] == board.device
    first = next(line for line in recorded if "label" in line)
    assert abs(first.pop("host_time") - time.time()) < 1000
    assert first == INFERENCE


def test_a_reader_that_leaves_ends_it_quietly(board):
    with start("--port", board.device) as process:
        until_first = os.read(process.stdout.fileno(), 10)
        assert until_first
        process.stdout.close()
        assert process.wait(SECONDS) == 1
        assert b"Traceback" not in process.stderr.read()


def test_an_unplugged_board_is_waited_for(board):
    with start("--port", board.device) as process:
        assert b"subject-03" in os.read(process.stdout.fileno(), 65536)
        board.unplug()
        seen = until(process, b"lost, waiting for it", process.stderr.fileno())
        assert b"Traceback" not in seen
        assert process.wait(SECONDS) == 130


def test_in_a_terminal_it_draws_the_panel_and_leaves_the_screen_as_it_was(board):
    screen, terminal = os.openpty()
    with start("--port", board.device, stdin=terminal, stdout=terminal, env=XTERM) as process:
        os.close(terminal)
        shown = until(process, b"rst:0x1", screen).decode(errors="replace")
        assert large("PEN")[0] in shown
        assert process.wait(SECONDS) == 130
        assert b"\x1b[?1049l" in os.read(screen, 1 << 20)  # back from the alternate screen
        assert process.stderr.read() == b""
    os.close(screen)


def test_wrong_use_is_explained():
    for arguments, reason in (
        (["--port", "/dev/ttyNOPE"], b"error: cannot open /dev/ttyNOPE: there is no such port"),
        (["--plain", "--json"], b"error: --plain and --json exclude each other"),
        (["--port", "x", "--broker", "y"], b"error: --port and --broker exclude each other"),
        (["--federation", "home"], b"error: --federation names boards of a broker"),
        (["--broker", "127.0.0.1:1"], b"error: no broker answers at mqtt://127.0.0.1:1"),
        (["--replay", __file__], b"error: %s is no recording" % __file__.encode()),
        (
            ["--port", "loop://", "--record", "/nowhere/f"],
            b"error: cannot record to /nowhere/f: No such file",
        ),
    ):
        with start(*arguments) as process:
            assert process.wait(SECONDS) == 1
            assert process.stderr.read().startswith(reason)


@pytest.mark.parametrize("view", ["--plain", "--json"])
def test_a_replay_prints_what_was_printed_live(board, tmp_path, view):
    record = tmp_path / "today.jsonl"
    with start("--port", board.device, view, "--record", str(record)) as process:
        live = until(process, b"PEN", process.stdout.fileno()) + process.stdout.read()
        live_notes = process.stderr.read()
    again = subprocess.run(
        [sys.executable, "-m", "fedmote", "monitor", view, "--replay", str(record), "--speed", "1000"],
        capture_output=True,
        timeout=SECONDS,
    )
    assert again.returncode == 0
    assert again.stdout.startswith(live)  # the last line may have been recorded, and not printed any more
    assert again.stderr.startswith(live_notes)


def test_a_killed_monitor_leaves_the_terminal_as_it_was(board):
    screen, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    with start("--port", board.device, stdin=terminal, stdout=terminal, env=XTERM) as process:
        seen_on(screen, "rst:0x1")
        assert termios.tcgetattr(terminal) != before  # keys come one by one
        process.terminate()
        assert seen_on(screen, "\x1b[?1049l")
        assert process.wait(SECONDS) == 128 + signal.SIGTERM
        assert process.stderr.read() == b""
    assert termios.tcgetattr(terminal) == before
    os.close(screen)
    os.close(terminal)


def test_a_terminal_that_is_resized_is_filled_again(board):
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with start("--port", board.device, stdin=terminal, stdout=terminal, env=XTERM) as process:
        seen_on(screen, "╯")
        termios.tcsetwinsize(terminal, (40, 132))
        seen_on(screen, "\x1b[2J")  # what the old picture left beyond the new one is gone
        lines = seen_on(screen, "╯").split("\n")
        assert len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", lines[-1]).strip()) == 132
        os.write(screen, b"q")
        assert process.wait(SECONDS) == 0
    os.close(screen)
    os.close(terminal)


def test_keys_choose_a_board_and_leave(tmp_path):
    record = tmp_path / "two.jsonl"
    lines = [
        {"host_time": 1.0, "federation": "home", "device": device, "time_ms": 5, "label": label}
        for device, label in (("first", "AB"), ("second", "XY"))
    ]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    screen, terminal = os.openpty()
    with start("--replay", str(record), stdin=terminal, stdout=terminal, env=XTERM) as process:
        seen_on(screen, large("AB")[0])
        os.write(screen, b"\x1b[B")
        seen_on(screen, large("XY")[0])
        os.write(screen, b"1")
        seen_on(screen, large("AB")[0])
        os.write(screen, b"q")
        assert process.wait(SECONDS) == 0
    os.close(screen)
    os.close(terminal)


def seen_on(screen: int, wanted: str) -> str:
    """Return what a terminal shows next, up to where it holds ``wanted``."""
    seen, deadline = b"", time.monotonic() + SECONDS
    while wanted.encode() not in seen:
        assert select.select([screen], [], [], max(0, deadline - time.monotonic()))[0], seen
        seen += os.read(screen, 65536)
    return seen.decode(errors="replace")
