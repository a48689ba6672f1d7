"""``fedmote bench`` compares ways of learning; its exit status tells if an application keeps its promise."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import typer

from fedmote.benchmarks import learning
from fedmote.cli import bench
from fedmote.errors import FedmoteError
from fedmote.models.application import Application
from fedmote.simulation import simulate, uplink_bytes


def test_every_client_is_unseen_once() -> None:
    assert learning.groups_of(["a", "b", "c", "d", "e"], 2) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("name", ["watch", "digits"])
def test_int8_update_takes_at_most_three_tenths_of_a_float32_one(name: str) -> None:
    application = Application.load(name)
    sizes = [uplink_bytes(application, codec, "some-board-01", 20) for codec in ("int8", "float32")]
    assert sizes[0] <= 0.3 * sizes[1]


def test_federation_on_the_watch_is_far_above_learning_alone_after_few_rounds() -> None:
    result = simulate(Application.load("watch"), ["subject-09", "subject-10"], rounds=4)
    assert result.federated > result.local + 0.05


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the command see one short round of digits, with this bar."""

    def set_bar(federated: float) -> None:
        application = Application.load("digits")
        short = replace(
            application,
            training=replace(application.training, rounds=1, epochs=1),
            bar=replace(application.bar, federated=federated, gap=1.0),
            data=replace(application.data, unseen=7),
        )
        monkeypatch.setattr(bench.Application, "load", lambda name: short)

    return set_bar


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_json_has_every_figure(quick: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    quick(0.2)
    bench.main("digits", as_json=True)
    figures = printed(capsys)
    assert figures["application"] == "digits" and figures["missed"] == []
    assert set(figures["accuracy"]) == set(learning.MEASURES)
    for spread in figures["accuracy"].values():
        assert 0 <= spread["lowest"] <= spread["mean"] <= spread["highest"] <= 1
    assert [len(group["unseen"]) for group in figures["groups"]] == [7, 7]
    assert figures["uplink_bytes_per_update"]["ratio"] <= 0.3


def test_missed_bar_is_told_and_ends_with_1(
    quick: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    quick(0.999)
    with pytest.raises(typer.Exit) as ended:
        bench.main("digits")
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert "each board alone" in out and "is below 0.999" in err


def test_unknown_benchmark_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FedmoteError, match="'speed' is unknown, choose one of: learning"):
        bench.main("digits", benchmark="speed")
