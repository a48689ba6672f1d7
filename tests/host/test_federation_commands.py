"""What a user can rely on: ``fedmote serve`` and ``fedmote
provision`` do what their help says, and end cleanly."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from federation_boards import Board

from fedmote.federation.session import STORE_NAME, Overrides, Session, plan_of
from fedmote.federation.store import Store
from fedmote.models.application import Application
from mote import settings
from mote.model import Model
from mote.wire import topic

PATIENCE_S = 30
APPLICATION = Application.load("watch")


def fedmote(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedmote", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S)


@contextmanager
def serving(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run ``fedmote serve`` on a free port and yield process and port when the broker answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "fedmote",
        "serve",
        "--port",
        str(port),
        "--federation",
        "home",
        *arguments,
    ]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            end = time.monotonic() + PATIENCE_S
            while process.poll() is None and not answers(port):
                assert time.monotonic() < end, "the broker does not come up"
                time.sleep(0.05)
            yield process, port
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def provisioned(state: Path, name: str = "attic") -> Board:
    plan = plan_of(APPLICATION, Overrides())
    with Store(state / STORE_NAME) as store:
        return Board(name, store.provision(name), store.run, "learn", plan.layout, plan.codec, plan.sizes)


def play(board: Board, port: int) -> None:
    """Take part in one round of training and the evaluation after it."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    manifests: list[dict] = []
    client.on_message = lambda _, __, message: manifests.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic("home", "round", board.name), 1)
    client.publish(*board.status(), 1, True)
    for phase, make in (("train", board.update), ("evaluate", board.evaluation)):
        end = time.monotonic() + PATIENCE_S
        while not manifests or manifests[-1]["phase"] != phase:
            assert time.monotonic() < end, f"no round to {phase}"
            time.sleep(0.02)
        number, version = manifests[-1]["round"], manifests[-1]["version"]
        value = [np.full(sum(board.sizes), 0.25)] if phase == "train" else []
        for message in make(*value, number=number, version=version):
            client.publish(*message, 1)
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()


def test_serve_ends_after_its_rounds_with_a_summary_and_the_model(tmp_path: Path) -> None:
    state = tmp_path / "state"
    board = provisioned(state)
    arguments = ("--state", str(state), "--rounds", "1", "--minimum", "1", "--json")
    with serving(*arguments, cwd=tmp_path) as (process, port):
        play(board, port)
        output, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    summary = json.loads(output)
    assert summary["version"] == 1 and [row["phase"] for row in summary["rounds"]] == ["train", "evaluate"]
    assert summary["rounds"][1]["learners"]["accuracy"] == pytest.approx(0.75)
    assert summary["devices"][0]["updates"] == 1 and summary["devices"][0]["update_bytes"] < 1000
    for line in ("round 1 started", "update of attic accepted", "round 1 closed", "accuracy of version 1"):
        assert line in log
    weights = np.load(summary["files"]["weights"])
    plan = plan_of(APPLICATION, Overrides())
    assert sorted(tensor.size for tensor in weights.values()) == sorted(plan.sizes)
    model = Model(bytearray(Path(summary["files"]["model"]).read_bytes()))
    assert model.layout == plan.layout and model.labels == list(APPLICATION.labels)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_on_a_signal_and_goes_on_later(tmp_path: Path, number: signal.Signals) -> None:
    board = provisioned(tmp_path / "fedmote-state" / "home")
    with serving("--minimum", "2", cwd=tmp_path) as (process, port):
        assert process.stderr is not None
        line = ""
        while "connected" not in line:
            line = process.stderr.readline()
        process.send_signal(number)
        output, log = process.communicate(timeout=PATIENCE_S)
        assert (
            process.returncode == 0 and output == "" and "goes on from here" in log and "Traceback" not in log
        )
        assert not answers(port)
    with serving("--rounds", "1", "--minimum", "1", cwd=tmp_path) as (process, port):
        play(board, port)
        output, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and re.search(r"evaluate +1 ", output), log


def test_a_killed_serve_continues_with_the_same_round(tmp_path: Path) -> None:
    state = tmp_path / "state"
    board = provisioned(state)
    arguments = ("--state", str(state), "--rounds", "1", "--minimum", "1", "--json")
    with serving(*arguments, cwd=tmp_path) as (process, port):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.publish(*board.status(), 1, True)
        assert process.stderr is not None
        line = ""
        while "round 1 started" not in line:
            line = process.stderr.readline()
        os.kill(process.pid, signal.SIGKILL)
        client.disconnect()
        client.loop_stop()
    with serving(*arguments, cwd=tmp_path) as (process, port):
        play(board, port)
        output, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert [row["round"] for row in json.loads(output)["rounds"]] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--app", "nothing"], "'nothing' is unknown, choose one of"),
        (["--broker", "http://x"], "begins with http://"),
        (["--broker", "mqtt://127.0.0.1:1"], "no broker answers at mqtt://127.0.0.1:1"),
        (["--federation", "My Home"], "federation name 'My Home'"),
        (["--minimum", "200000"], "minimum is 200000"),
    ],
)
def test_serve_explains_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fedmote("serve", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_serve_refuses_the_state_of_another_application(tmp_path: Path) -> None:
    with Session(Application.load("digits"), "home", tmp_path, Overrides()):
        pass
    done = fedmote("serve", "--state", str(tmp_path), "--broker", "mqtt://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 1 and "application is digits, not watch" in done.stderr


def test_provision_prints_settings_that_a_board_reads(tmp_path: Path) -> None:
    done = fedmote(
        "provision", "attic", "--broker", "mqtts://me:secret@broker", "--role", "evaluate", cwd=tmp_path
    )
    (tmp_path / "settings.toml").write_text(done.stdout)
    read = settings.read(str(tmp_path / "settings.toml"))
    with Store(tmp_path / "fedmote-state" / "watch" / STORE_NAME, read_only=True) as store:
        assert bytes.fromhex(read.pop("KEY")) == store.key("attic")
    assert read == {
        "FEDERATION": "watch",
        "DEVICE": "attic",
        "BROKER": "mqtts://me:secret@broker:8883",
        "ROLE": "evaluate",
        "BOARD": "unknown",
    }


def test_provision_lists_and_revokes(tmp_path: Path) -> None:
    fedmote("provision", "attic", cwd=tmp_path)
    assert fedmote("provision", "attic", "--revoke", cwd=tmp_path).returncode == 0
    (row,) = json.loads(fedmote("provision", "--list", "--json", cwd=tmp_path).stdout)
    assert (row["device"], row["state"]) == ("attic", "revoked")
    assert "attic" in fedmote("provision", "--list", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Attic"], "device name 'Attic'"),
        ([], "name one device"),
        (["attic", "--revoke", "--state", "nowhere"], "no federation in nowhere"),
        (["attic", "--role", "king"], "role 'king'"),
        (["attic", "--board", 'a"b'], "quotes, backslashes"),
    ],
)
def test_provision_explains_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fedmote("provision", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
