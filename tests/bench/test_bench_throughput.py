"""``fedmote bench throughput`` loads one aggregator with a crowd of devices."""

import json
from dataclasses import replace

import pytest

from fedmote.benchmarks import averaging, throughput
from fedmote.benchmarks.averaging import Average
from fedmote.benchmarks.throughput import Throughput
from fedmote.cli import bench
from fedmote.errors import FedmoteError


@pytest.fixture(scope="module")
def measured() -> Throughput:
    return throughput.run(1, lambda done, total: None, (30, 60), parameters=5000)


def test_every_update_of_a_crowd_counts_and_the_model_is_their_mean(measured: Throughput) -> None:
    assert measured.missed() == []
    assert [one.served.updates for one in measured.rounds] == [30, 60]
    assert [one.sent.messages for one in measured.rounds] == [30 * 6, 60 * 6]


def test_figures_are_there_for_machines_and_for_people(measured: Throughput) -> None:
    figures = json.loads(json.dumps(measured.summary()))
    for one in figures["rounds"]:
        assert one["updates_per_s"] > 0 and one["served"]["peak_rss_bytes"] > 1 << 20
        assert one["fedmote"]["seconds"] > 0 and one["sent"]["connections"] >= 2
    assert measured.table().row_count == 2


def test_what_is_missed_is_told(measured: Throughput) -> None:
    def changed(**changes: object) -> list[str]:
        first, last = measured.rounds
        worse = replace(last, served=replace(last.served, **changes))
        return replace(measured, rounds=(first, worse)).missed()

    assert "59 updates of 60 devices" in changed(updates=59)[0]
    assert "took 61 s" in changed(round_s=61.0)[0]
    assert "not their mean" in changed(sha256="0" * 64)[0]
    assert "30 devices more take" in changed(peak_rss_bytes=1 << 30)[0]


def test_flower_averages_the_same_updates() -> None:
    pytest.importorskip("flwr", reason="the extra flower is not installed")
    assert throughput._has_flower()
    _, ours = averaging.by_fedmote(20, 1000)
    _, theirs = averaging.by_flower(20, 1000)
    assert abs(ours - theirs).max() < 1e-6 < abs(ours).max()


def test_flower_is_shown_where_it_was_measured(measured: Throughput) -> None:
    flower = Average("1.42.0", 1.5, 2 << 20, 1 << 20, "")
    shown = replace(measured, rounds=(replace(measured.rounds[0], flower=flower),)).table()
    assert "1.50 s, +1 MiB" in list(shown.columns[-1].cells)


@pytest.mark.parametrize("devices", ["", "0", "10,", "1e3", "10000000"])
def test_numbers_of_devices_that_cannot_be_are_named(devices: str) -> None:
    with pytest.raises(FedmoteError, match="--devices"):
        bench.main("throughput", devices=devices)
