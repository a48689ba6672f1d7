"""``fedmote label``: a board is told over its serial port what it sees."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedmote.boards.virtual import Fleet, VirtualBoard
from fedmote.cli import label as command
from fedmote.errors import FedmoteError
from fedmote.federation.session import compile_model
from fedmote.fleet import LEARN, Assignment, recording_of
from fedmote.models.application import Application


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    application = Application.load("watch")
    assignment = Assignment(application.recordings()[0], LEARN)
    files = {"model.mote": compile_model(application), "recording.rec": recording_of(assignment, 1)}
    with Fleet(tmp_path) as fleet:
        board = fleet.add({"DEVICE": "wrist", "RECORDING": "recording.rec", "RING": 16}, files)
        fleet.start(board)
        yield board


def test_board_answers_that_it_knows_what_it_sees(
    board: VirtualBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main("ROW", port=str(board.serial))
    command.main(None, port=str(board.serial))
    assert capsys.readouterr().out == "wrist: ROW from now on\nwrist: no class is known\n"


def test_class_that_the_model_does_not_have_is_refused(board: VirtualBoard) -> None:
    with pytest.raises(FedmoteError, match="wrist knows no class 'ROWING'"):
        command.main("ROWING", port=str(board.serial))


def test_port_that_is_not_there_is_named() -> None:
    with pytest.raises(FedmoteError, match="/dev/ttyNOTHERE cannot be used"):
        command.main("ROW", port="/dev/ttyNOTHERE")
