"""``fedmote bench intruder`` attacks an aggregator, and tells what the intruder achieved."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fedmote.benchmarks import barrage, intruder, siege
from fedmote.benchmarks.barrage import HONEST
from fedmote.benchmarks.hostile import KINDS
from fedmote.benchmarks.intruder import Intrusion
from fedmote.benchmarks.siege import Siege
from fedmote.errors import FedmoteError
from fedmote.federation import aggregator, bodies
from fedmote.federation.protocol import Reason

LIVE = Siege(100, 1.0, 3, siege.ROUNDS, 3 * siege.ROUNDS, 0, {}, 1 << 25, 1 << 25)


@pytest.fixture(scope="module")
def attacked() -> Intrusion:
    """An attack that is over soon; the processes are stood in for."""
    return Intrusion(1, intruder._barrage(8000, 1, lambda done, total: None), LIVE)


def test_nothing_of_an_intruder_counts_and_honest_boards_finish(attacked: Intrusion) -> None:
    assert attacked.missed() == []
    found = attacked.barrage
    assert found.messages >= 8000 and found.accepted == 0 and found.honest == len(HONEST) and found.exact
    assert all(found.sent[kind] > 50 for kind in KINDS)


def test_messages_get_as_far_as_they_are_meant_to(attacked: Intrusion) -> None:
    # Those told to boards are in the topics that boards do not publish on; the role of the rest is plain.
    reached = {*attacked.barrage.refused}
    assert reached >= {
        Reason.TOPIC, Reason.UNKNOWN_DEVICE, Reason.OVERSIZE, Reason.MALFORMED, Reason.CRC, Reason.ROUND,
        Reason.COUNTER, Reason.LENGTH, Reason.TAG, Reason.SHAPE, Reason.NOT_FINITE, Reason.BOUNDS,
        Reason.QUARANTINE, Reason.REPEATED,
    }  # fmt: skip
    assert attacked.barrage.quarantines


def test_figures_are_there_for_machines_and_for_people(attacked: Intrusion) -> None:
    figures = json.loads(json.dumps(attacked.summary()))
    assert figures["accepted"] == 0 and figures["messages"] >= 8000 and figures["missed"] == []
    assert attacked.table().row_count > len(KINDS)


def test_what_is_missed_is_told(attacked: Intrusion) -> None:
    def changed(**changes: object) -> list[str]:
        return replace(attacked, barrage=replace(attacked.barrage, **changes)).missed()

    assert "2 bodies of the intruder count" in changed(accepted=2)[0]
    assert "9 of 10 honest boards" in changed(honest=9)[0]
    assert "not made of the honest" in changed(exact=False)[0]
    assert "memory grew" in changed(end_rss_bytes=attacked.barrage.tenth_rss_bytes + (9 << 20))[0]
    assert "1 rounds, 2 updates" in replace(attacked, siege=replace(LIVE, rounds=1, updates=2)).missed()[0]


@pytest.mark.parametrize(
    "weaken",
    [
        lambda patch: patch.setattr(aggregator, "is_authentic", lambda *_: True),
        lambda patch: patch.setattr(bodies, "SAMPLES_LIMIT", 1 << 32),
    ],
    ids=["without tags", "without bounds"],
)
def test_an_aggregator_that_checks_less_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weaken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    weaken(monkeypatch)
    found = barrage.attack(tmp_path, 2000, 1, lambda handled: None)
    assert found.accepted


def test_boards_under_siege_finish_their_round() -> None:
    found = siege.besiege(3, 1, rounds=1)
    assert found.accepted == 0 and found.rounds == 1 and found.updates == found.learners == 2
    assert found.messages > 50 and sum(found.refused.values()) > 20 and found.end_rss_bytes


def test_too_few_boards_are_named() -> None:
    with pytest.raises(FedmoteError, match="at least 3"):
        intruder.run(1, lambda done, total: None, boards=2)
