"""The main job with all its real parts: broker, aggregator
process, virtual boards, and an accident in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fedmote.boards.virtual import Fleet
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.session import STORE_NAME, compile_model
from fedmote.federation.store import Store
from fedmote.fleet import assign, lay_out
from fedmote.models.application import Application
from mote import wire
from mote.model import Model

_APP = "digits"
_ROUNDS = 2


@pytest.mark.timeout(180)
def test_rounds_finish_and_count_once_when_the_aggregator_is_killed_between_them(tmp_path: Path) -> None:
    application = Application.load(_APP)
    with EmbeddedBroker() as broker, Fleet(tmp_path / "fleet") as fleet:
        aggregator = _serve(broker, tmp_path)
        try:
            _start_boards(fleet, application, broker, tmp_path)
            _wait(lambda: _updates(tmp_path) > 0, "a first update")
        finally:
            aggregator.send_signal(signal.SIGKILL)
            aggregator.wait()
        assert _updates(tmp_path) < 2 * _ROUNDS
        again = _serve(broker, tmp_path)
        output, log = again.communicate(timeout=120)
        assert again.returncode == 0, log
    summary = json.loads(output)
    rounds = summary["rounds"]
    assert [(one["phase"], one["version"]) for one in rounds] == [("train", 0), ("train", 1), ("evaluate", 2)]
    learners = [one for one in summary["devices"] if one["role"] == "learn"]
    assert [one["updates"] for one in learners] == [_ROUNDS, _ROUNDS]
    assert [one["updates"] for one in rounds] == [2, 2, 0]
    before, after = rounds[0]["evaluators"]["accuracy"], rounds[-1]["evaluators"]["accuracy"]
    assert after > before + 0.2
    exported = Model(bytearray(Path(summary["files"]["model"]).read_bytes()))
    assert exported.labels == list(application.labels)


def test_boards_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from fedmote.boards.virtual import Fleet\n"
        "fleet = Fleet(Path(sys.argv[1]))\n"
        "board = fleet.add({'DEVICE': 'lonely'}, {})\n"
        "(fleet.folder / 'image' / 'main.py').write_text('import time\\nwhile True: time.sleep(1)')\n"
        "fleet.start(board)\n"
        "print(board.process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _alive(child)
    parent.kill()
    parent.communicate()
    _wait(lambda: not _alive(child), "the board to end")


def _serve(broker: EmbeddedBroker, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fedmote", "serve", "--app", _APP, "--broker", broker.address.url]
    return subprocess.Popen(
        [*command, "--state", str(folder), "--rounds", str(_ROUNDS), "--minimum", "2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _start_boards(fleet: Fleet, application: Application, broker: EmbeddedBroker, folder: Path) -> None:
    with Store(folder / STORE_NAME) as store:
        lay_out(
            fleet,
            application,
            assign(application, 3, seed=4),
            federation=application.name,
            broker=broker.address.url,
            key_of=store.provision,
            mote=compile_model(application),
            seed=4,
            replay_speed=4.0,
        )
    for board in fleet.boards:
        fleet.start(board)


def _updates(folder: Path) -> int:
    """Return how many updates are on disk."""
    with Store(folder / STORE_NAME) as store:
        accepted = [one for number, *_ in store.rounds() for one in store.accepted(number)]
    return sum(one.kind == wire.UPDATE for one in accepted)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited a minute for {what}"
        time.sleep(0.02)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
