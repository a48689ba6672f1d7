"""Deploying over the network, to a board with CircuitPython's web workflow: files over HTTP, telemetry from
its console."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from web_workflow import WebWorkflow

from fedmote.boards import catalogue
from fedmote.boards.deploying import Deployment, Order, copying, first_line, places, prepare
from fedmote.boards.deploying.target import Target
from fedmote.errors import FedmoteError
from fedmote.models.application import Application

TELEMETRY = json.dumps({"device": "a", "time_ms": 5, "state": "alone", "labels": ["x" * 50] * 4}).encode()


def target_at(board: WebWorkflow, password: str = "secret") -> Target:
    return places.open_target(board.url, 115200, lambda address: password)


def deploy(
    board: WebWorkflow, password: str = "secret", name: str = "adafruit_feather_esp32s3"
) -> Deployment:
    order = Order(board=catalogue.find(name), application=Application.load("watch"))
    with contextlib.closing(target_at(board, password)) as target:
        deployment = prepare(order, target)
        copying.carry_out(target, deployment.plan, lambda count: None)
    return deployment


def test_files_go_over_http_and_the_second_deploy_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("print('Hello')\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("x = 1\n")
    with WebWorkflow(tmp_path) as board:
        first = deploy(board)
        assert first.runtime == "circuitpython"
        assert first.contents.device == "adafruit-feather-esp32s3-9e50b2"  # of the chip's serial number
        there = {
            path.relative_to(tmp_path).as_posix(): path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file()
        }
        assert first.contents.files.items() <= there.items()
        assert set(there) - set(first.contents.files) == {"fedmote.json", "code.py.before", "lib/mine.py"}
        board.requests.clear()
        assert not list(deploy(board).plan.changes)
        assert {request.split()[0] for request in board.requests} == {"GET"}


def test_an_interrupted_deploy_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebWorkflow(tmp_path) as board:
        monkeypatch.setattr("web_workflow._Handler.do_MOVE", lambda handler: handler._answer(500))
        with pytest.raises(FedmoteError, match="status 500"):
            deploy(board)
        assert not (tmp_path / "code.py").exists()
        monkeypatch.undo()
        wanted = deploy(board).contents.files
        assert all((tmp_path / path).read_bytes() == content for path, content in wanted.items())
        assert not list(tmp_path.rglob("*.new"))


def test_the_board_is_reset_and_its_first_telemetry_is_read_from_the_console(tmp_path: Path) -> None:
    with WebWorkflow(tmp_path, printing=b"code.py output:\r\n" + TELEMETRY + b"\r\n") as board:
        target = target_at(board)
        assert target.restart()
        first = first_line.wait(target.listen(), 20)
        assert (first.device, first.state) == ("a", "alone")
        assert board.typed.startswith(b"\x03") and b"microcontroller.reset()" in board.typed


@pytest.mark.parametrize(
    ("options", "password", "problem"),
    [
        ({}, "wrong", "the password is wrong: it is CIRCUITPY_WEB_API_PASSWORD"),
        ({"password": ""}, "secret", "no CIRCUITPY_WEB_API_PASSWORD in its settings.toml"),
        ({"usb": True}, "secret", "its drive is in use over USB: eject CIRCUITPY"),
        ({"blocks": 300}, "secret", "too full"),
    ],
)
def test_what_the_board_refuses_is_told_with_what_to_do(
    tmp_path: Path, options: dict[str, Any], password: str, problem: str
) -> None:
    with WebWorkflow(tmp_path, **options) as board, pytest.raises(FedmoteError, match=problem):
        deploy(board, password)
    assert not list(tmp_path.iterdir())


def test_another_board_at_the_address_is_refused(tmp_path: Path) -> None:
    with (
        WebWorkflow(tmp_path) as board,
        pytest.raises(FedmoteError, match="--board adafruit_feather_esp32s3"),
    ):
        deploy(board, name="esp32_s3")


def test_an_address_at_which_nobody_answers_is_named() -> None:
    with pytest.raises(FedmoteError, match=r"http://127.0.0.1:9 does not answer"):
        places.open_target("http://127.0.0.1:9", 115200, lambda address: "")
