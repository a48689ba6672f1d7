"""``fedmote monitor`` as a person or a script runs it, against a board that is a pty."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tty

import pytest
from rich.console import Console

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.lettering import large
from fedmote.monitor.panel import panel
from fedmote.monitor.telemetry import parse

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
GARBAGE = b"\x1b[31mrst:0x1 \xff\xfe"


@pytest.fixture
def board():
    with Talking(TELEMETRY, GARBAGE) as board:
        yield board


def start(*arguments: str, **streams) -> subprocess.Popen[bytes]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([sys.executable, "-m", "fedmote", "monitor", *arguments], **streams)


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
    assert recorded[1] == INFERENCE


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
        seen = until(process, b"port lost, waiting for it", process.stderr.fileno())
        assert b"Traceback" not in seen
        assert process.wait(SECONDS) == 130


def test_in_a_terminal_it_draws_the_panel_and_leaves_the_screen_as_it_was(board):
    screen, terminal = os.openpty()
    with start(
        "--port", board.device, stdin=terminal, stdout=terminal, env={**os.environ, "TERM": "xterm"}
    ) as process:
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
        (
            ["--port", "loop://", "--record", "/nowhere/f"],
            b"error: cannot record to /nowhere/f: No such file",
        ),
    ):
        with start(*arguments) as process:
            assert process.wait(SECONDS) == 1
            assert process.stderr.read().startswith(reason)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("classes", [0, 2, 7, 64])
def test_the_panel_fits_every_terminal(size, classes):
    width, height = size
    board = WatchedBoard()
    for n in range(30):
        values = {"device": "subject-03", "time_ms": n, "version": n, "label": "c1", "error": f"{n} [red]"}
        if classes:
            values["probabilities"] = [1 / classes] * classes
        board.update(parse(json.dumps(values).encode()))
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(panel(board, "/dev/ttyACM0", "open", ["[bold]not markup"] * 50, width, height))
    drawn = console.export_text().splitlines()
    assert len(drawn) == height
    assert max(map(len, drawn)) <= width
    assert "subject-03" in drawn[0]
    if height >= 24:
        assert "error: 29 [red]" in "\n".join(drawn)
        assert "[bold]not markup" in "\n".join(drawn)
