"""``fedmote bench survival`` kills processes of a federation, and sees what was lost or counted twice."""

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from fedmote.benchmarks import FEDERATION_BENCHMARKS, FederationBenchmark, survival
from fedmote.benchmarks.faulty_proxy import Faults
from fedmote.benchmarks.ordeal import Ordeal
from fedmote.benchmarks.survival import Survival
from fedmote.benchmarks.witness import next_version
from fedmote.cli import bench
from fedmote.errors import FedmoteError
from fedmote.federation.session import Overrides, plan_of
from fedmote.federation.store import Store
from fedmote.models.application import Application
from mote import wire


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Survival:
    folder = tmp_path_factory.mktemp("survival")
    return survival.run(1, lambda done, total: None, boards=4, kills=10, rounds=2, pace_s=0.7, folder=folder)


def ordeal() -> Ordeal:
    application = Application.load(survival.APPLICATION)
    return Ordeal(application, survival.assign(application, 4, 1), 2, 10, Faults(), 1)


def tampered(survived: Survival, folder: Path, sql: str, *values: object) -> Survival:
    """Judge the run again after a change of what its aggregator stored."""
    path = folder / "tampered.db"
    shutil.copyfile(survived.course.store, path)
    for suffix in ("-wal", "-shm"):
        beside = Path(f"{survived.course.store}{suffix}")
        if beside.exists():
            shutil.copyfile(beside, f"{path}{suffix}")
    with sqlite3.connect(path) as connection:
        assert connection.execute(sql, values).rowcount
    connection.close()
    return survival.compare(ordeal(), replace(survived.course, store=path), survived.undisturbed)


def test_federation_survives_kills_and_a_bad_network(survived: Survival) -> None:
    assert survived.missed() == []
    assert survived.course.kills.total() == 10 and survived.course.kills["aggregator"] >= 1
    assert survived.rounds >= 2 and survived.updates == 2 * survived.rounds
    assert survived.course.faults["repeat"] and survived.course.faults["reorder"]
    assert survived.receipts
    assert not survived.undisturbed.kills


def test_update_that_is_told_of_but_not_stored_is_lost(survived: Survival, tmp_path: Path) -> None:
    device, number = sorted(survived.course.witness.told)[0]
    outcome = tampered(
        survived, tmp_path, "DELETE FROM reports WHERE device = ? AND round = ?", device, number
    )
    assert f"{device} was told that its body for round {number} is accepted" in outcome.lost


def test_update_that_is_counted_twice_is_seen_in_the_model(survived: Survival, tmp_path: Path) -> None:
    with Store(survived.course.store, read_only=True) as store:
        first, second = (
            survived.course.witness.update(one.device, 1, one.counter)
            for one in store.accepted(1)
            if one.kind == wire.UPDATE
        )
        base = store.model(0).values
    sizes = plan_of(Application.load(survival.APPLICATION), Overrides()).sizes
    made = next_version(base, [first, first, second], sizes).tobytes()
    outcome = tampered(survived, tmp_path, 'UPDATE models SET "values" = ? WHERE version = 1', made)
    assert "version 1 is not the mean of its updates, each taken once" in outcome.double
    assert "version 1 of the model" in outcome.unequal


def test_round_that_has_not_ended_is_seen(survived: Survival, tmp_path: Path) -> None:
    sql = "UPDATE rounds SET ended = NULL WHERE number = (SELECT max(number) FROM rounds)"
    assert any("has not ended" in text for text in tampered(survived, tmp_path, sql).unequal)


def test_json_has_the_figures_and_what_is_missed_ends_with_1(
    survived: Survival, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(seed: int, progress: object, boards: int) -> Survival:
        assert boards == 4
        return replace(survived, lost=["everything"])

    monkeypatch.setitem(FEDERATION_BENCHMARKS, "survival", FederationBenchmark(run, ("boards",)))
    with pytest.raises(typer.Exit) as ended:
        bench.main("survival", boards=4, as_json=True)
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert figures["kills"]["all"] == 10 and figures["rounds"] == survived.rounds
    assert figures["lost"] == 1 and figures["double"] == 0 and figures["equal"] is True
    assert "missed: lost: everything" in err
    with pytest.raises(typer.Exit):
        bench.main("survival", boards=4)
    assert "bit for bit the undisturbed run" in capsys.readouterr().out


def test_options_of_other_benchmarks_are_refused() -> None:
    with pytest.raises(FedmoteError, match="--kills is not for digits"):
        bench.main("digits", kills=3)
    with pytest.raises(FedmoteError, match="takes 3 to 28"):
        bench.main("survival", boards=29)
