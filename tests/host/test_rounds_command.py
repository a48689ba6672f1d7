"""What a user can rely on: ``fedmote rounds`` tells where a federation stands and steers it, running or
not."""

import json
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from federation_boards import PLAN, Home, manifests

from fedmote import cli
from fedmote.errors import FedmoteError
from fedmote.federation.events import Paused
from fedmote.federation.session import STORE_NAME, Overrides, Session, plan_of
from fedmote.federation.store import Store
from fedmote.models.application import Application
from mote.model import Model

DELTA = np.full(sum(PLAN.sizes), 0.5, np.float32)

Command = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / STORE_NAME)
    home.begin()
    yield home
    home.store.close()


@pytest.fixture
def rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> str:
        cli.load("rounds").main([*arguments, "--state", str(tmp_path)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_status_tells_the_open_round_and_whom_it_waits_for(home: Home, rounds: Command) -> None:
    home.aggregator.handle(home.boards["attic"].update(DELTA))
    told = json.loads(rounds("status", "--json"))
    assert (told["application"], told["version"], told["paused"], told["rounds"]) == ("tests", 0, False, 0)
    opened = told["round"]
    assert (opened["round"], opened["phase"], opened["updates"]) == (1, "train", 1)
    assert opened["missing"] == ["cellar"] and "waits for cellar" in rounds("status")
    home.store.wish("pause")
    home.aggregator.tick()
    home.store.wish("rollback", "0")
    text = rounds("status")
    assert "paused" in text and "asked for: rollback 0" in text


def test_status_tells_who_sleeps_and_until_when(home: Home, rounds: Command) -> None:
    home.aggregator.handle([home.boards["cellar"].rests(3600)])
    opened = json.loads(rounds("status", "--json"))["round"]
    assert opened["missing"] == ["attic"] and list(opened["resting"]) == ["cellar"]
    back = datetime.fromisoformat(opened["resting"]["cellar"]).timestamp()
    assert back == pytest.approx(time.time() + 3970, abs=60)
    assert "waits for attic" in rounds("status") and "cellar rests, back by" in rounds("status")


def test_status_of_a_federation_that_rests(tmp_path: Path, rounds: Command) -> None:
    home = Home(tmp_path / STORE_NAME)
    home.store.close()
    assert json.loads(rounds("status", "--json"))["round"] is None
    assert "no round is open" in rounds("status")


def test_what_is_asked_for_without_an_aggregator_waits_for_one(home: Home, rounds: Command) -> None:
    for command in (("pause",), ("resume",), ("rollback", "0")):
        assert "when it starts" in rounds(*command)
    home.kill_and_start()
    assert [home.store.wished(number).answer for number in (1, 2, 3)] == [
        "paused: boards rest until it is resumed",
        "resumed",
        "version 1 has the values of version 0",
    ]


def test_what_is_asked_for_after_an_aggregator_has_ended_waits_for_one(home: Home, rounds: Command) -> None:
    home.store.claim()
    home.store.close()
    assert "when it starts" in rounds("pause")


def test_a_federation_that_is_paused_is_not_paused_again(home: Home, rounds: Command) -> None:
    asked = [home.store.wish("pause"), home.store.wish("pause")]
    home.aggregator.tick()
    assert [home.store.wished(number).answer for number in asked] == [
        "paused: boards rest until it is resumed",
        "it is paused already",
    ]
    assert len(home.told(Paused)) == 1


def test_a_running_aggregator_answers_at_once(home: Home, rounds: Command) -> None:
    home.store.claim()
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            home.aggregator.tick()
            time.sleep(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert rounds("rollback", "0") == "version 1 has the values of version 0\n"
    finally:
        ended.set()
        thread.join()


def test_an_aggregator_that_is_busy_is_not_waited_for(
    home: Home, rounds: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedmote.cli.rounds._ANSWER_S", 0.1)
    home.store.claim()
    assert "busy" in rounds("pause")


def test_a_backup_is_whole_while_an_aggregator_is_in_the_middle_of_a_transaction(
    home: Home, rounds: Command, tmp_path: Path
) -> None:
    home.aggregator.handle(home.boards["attic"].update(DELTA))
    copy = tmp_path / "copy.db"
    with home.store.transaction():
        home.store.refuse("crc", "attic")
        rounds("backup", str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with Store(copy) as store:
        assert [one.device for one in store.accepted(1)] == ["attic"] and store.refusals() == {}
        assert store.key("attic") == home.boards["attic"].key
    home.path = copy
    cellar = home.boards["cellar"]
    told = manifests(home.kill_and_start())["cellar"]
    assert told["run"] == home.store.run != cellar.run  # so that boards take what is older than they know
    home.aggregator.handle(cellar.update(DELTA))
    assert home.refused() == {("tag", "cellar"): 1}
    cellar.run = told["run"]
    home.aggregator.handle(cellar.update(DELTA))
    assert home.store.model().version == 1
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_replaces_no_file(home: Home, rounds: Command, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Sir")
    with pytest.raises(FedmoteError, match=r"no backup in .*letter\.txt"):
        rounds("backup", str(letter))
    with pytest.raises(FedmoteError, match="no backup in"):
        rounds("backup", str(tmp_path / "nowhere" / "copy.db"))
    assert letter.read_text() == "Dear Sir" and len(list(tmp_path.glob(".*"))) == 0


def test_any_version_is_exported_as_a_board_takes_it(tmp_path: Path, rounds: Command) -> None:
    application = Application.load("watch")
    with Session(application, "home", tmp_path, Overrides()) as session:
        first = session.store.model().values
        session.store.add_model(1, first + 1)
        paths = rounds("export", "0", "-o", str(tmp_path / "out")).split()  # while a session is at work
    assert [Path(path).name for path in paths] == ["model-v0.mote", "model-v0.npz"]
    layout = Model(bytearray(Path(paths[0]).read_bytes()), "plain").layout
    assert layout == plan_of(application, Overrides()).layout
    tensors = np.load(paths[1])
    assert np.concatenate([tensor.ravel() for tensor in tensors.values()]).tolist() == first.tolist()
    assert "model-v1.mote" in rounds("export")
    with pytest.raises(FedmoteError, match="no version 7, the newest is 1"):
        rounds("export", "7")
    (tmp_path / "letter").write_text("Dear Sir")
    with pytest.raises(FedmoteError, match=r"cannot export to .*letter"):
        rounds("export", "-o", str(tmp_path / "letter"))
    assert (tmp_path / "letter").read_text() == "Dear Sir"


def test_a_version_that_is_not_there_is_not_asked_for(home: Home, rounds: Command) -> None:
    with pytest.raises(FedmoteError, match="no version 9: 0 to 0 are stored"):
        rounds("rollback", "9")
    assert not home.store.open_wishes()


def test_a_federation_that_is_not_there_is_named(rounds: Command) -> None:
    for command in (("status",), ("pause",), ("backup", "x.db")):
        with pytest.raises(FedmoteError, match="no federation in"):
            rounds(*command)
