"""Real boards, watched: MicroPython runs the firmware's own loop on a pty and at a real broker."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from fedmote.boards.virtual import Fleet, VirtualBoard
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.session import compile_model
from fedmote.fleet import assign, lay_out
from fedmote.models.application import Application

SECONDS = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[tuple[Fleet, VirtualBoard, BrokerAddress]]:
    """A board of the watch application at a broker, without an aggregator."""
    application = Application.load("watch")
    with EmbeddedBroker() as broker, Fleet(tmp_path_factory.mktemp("monitored") / "fleet") as fleet:
        (board,) = lay_out(
            fleet,
            application,
            assign(application, 3, 1)[:1],
            federation="home",
            broker=broker.address.url,
            key_of=lambda device: bytes(32),
            mote=compile_model(application),
            seed=1,
            replay_speed=1.0,
        )
        fleet.start(board)
        yield fleet, board, broker.address


class Monitor:
    """A ``fedmote monitor`` whose lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "fedmote", "monitor", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._seen = {"stdout": b"", "stderr": b""}

    def until(self, wanted: str, stream: str = "stdout") -> str:
        """Return the line in which ``wanted`` stands, once it is there."""
        descriptor, end = getattr(self._process, stream).fileno(), time.monotonic() + SECONDS
        while True:
            before, found, after = self._seen[stream].partition(wanted.encode())
            if found and b"\n" in after:
                rest, _, self._seen[stream] = after.partition(b"\n")
                return (before.rpartition(b"\n")[2] + found + rest).decode()
            assert select.select([descriptor], [], [], max(0, end - time.monotonic()))[0], self._seen
            data = os.read(descriptor, 65536)
            assert data, self._seen
            self._seen[stream] += data

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        output, errors = self._process.communicate(timeout=SECONDS)
        assert self._process.returncode == 130
        assert b"Traceback" not in output + errors


def test_a_board_is_watched_over_serial_through_a_loss_of_power(running):
    fleet, board, _ = running
    with Monitor("--port", str(board.serial)) as monitor:
        monitor.until(f"this is {board.device}")
        fleet.stop(board, kill=True)
        monitor.until("lost, waiting for it", "stderr")
        fleet.start(board)
        monitor.until(f"open again: {board.serial}", "stderr")


def test_the_telemetry_of_a_board_passes_our_checks_as_it_is(running):
    _, board, _ = running
    with Monitor("--port", str(board.serial), "--json") as monitor:
        line = json.loads(monitor.until('"state"'))
    assert line["device"] == board.device
    assert {"time_ms", "free_bytes", "state", "samples"} <= set(line)


def test_boards_are_watched_over_mqtt_and_seen_to_leave_and_to_come_back(running):
    fleet, board, address = running
    with Monitor("--broker", address.url, "--federation", "home", "--device", board.device) as monitor:
        monitor.until(f"{board.device}  online (")
        monitor.until(f"this is {board.device}")
        fleet.stop(board, kill=True)
        monitor.until(f"{board.device}  offline")
        fleet.start(board)
        monitor.until(f"{board.device}  online (")
