"""What a user can rely on: who is asked to train, how long a round waits, and what becomes of who is late."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_boards import FEDERATION, LAYOUT, PLAN, SIZES, Home, manifests, receipts
from hypothesis import given
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.federation.events import RoundClosed, RoundExtended, RoundStarted, UpdateAccepted
from fedmote.federation.plan import Plan
from fedmote.federation.rules import RULES
from fedmote.federation.selection import STALENESS_LIMIT, choose, epochs_for, weight_of
from mote import wire

D = sum(SIZES)
TEN = tuple(f"board-{number}" for number in range(10))
DELTA = np.linspace(-0.1, 0.1, D, dtype=np.float32)

Make = Callable[..., Home]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return what begins a federation of so many boards under a changed plan."""
    homes: list[Home] = []

    def begin(names: tuple[str, ...] = TEN, **changes: Any) -> Home:
        homes.append(Home(tmp_path / f"{len(homes)}.db", replace(PLAN, **{"rounds": 0, **changes}), names))
        homes[-1].begin()
        return homes[-1]

    yield begin
    for home in homes:
        home.store.close()


def told_now(home: Home) -> dict[str, dict]:
    """Return what a new broker would hold for each board."""
    return manifests(home.aggregator.start())


def chosen(told: dict[str, dict]) -> set[str]:
    return {device for device, manifest in told.items() if manifest["phase"] == "train"}


def train(home: Home, names: Any, value: float = 1.0, **options: Any) -> dict[str, dict]:
    """Let boards send updates for what they were given last; return what boards are told then."""
    told = {}
    given = home.store.assignments()
    for name in names:
        number = given[name].round
        version = home.store.manifest(number).version
        update = home.boards[name].update(value * DELTA, number=number, version=version, **options)
        told |= manifests(home.aggregator.handle(update))
    return told


# Manifests


def test_every_manifest_is_sealed_for_its_own_device(make: Make) -> None:
    home = make(("attic", "cellar"))
    outgoing = [message for message in home.aggregator.start() if "/round/" in message.topic]
    assert len(outgoing) == 2
    for message in outgoing:
        for name, board in home.boards.items():
            mine = message.topic.endswith(f"/{name}")
            sealed = wire.is_sealed(board.key, wire.MANIFEST_SEAL, FEDERATION, name, message.payload)
            assert sealed == mine and message.retained


def test_what_boards_are_told_only_rises(make: Make) -> None:
    home = make(("attic", "cellar"))
    told = [told_now(home)["attic"]]
    for _ in range(3):
        told.append(train(home, home.boards)["attic"])
    home.store.wish("pause")
    told.append(manifests(home.aggregator.tick())["attic"])
    home.store.wish("resume")
    told.append(manifests(home.aggregator.tick())["attic"])
    places = [(one["round"], one["edition"]) for one in told]
    assert places == sorted(set(places))
    again = manifests(home.kill_and_start())["attic"]
    assert (again["round"], again["edition"]) == places[-1]


def test_the_manifest_that_all_boards_shared_once_is_taken_from_the_broker(make: Make) -> None:
    shared = [one for one in make().aggregator.start() if one.topic == f"fedmote/{FEDERATION}/round"]
    assert [(one.payload, one.retained) for one in shared] == [(b"", True)]


def test_a_board_that_comes_online_is_told_again_with_the_time_of_now(make: Make) -> None:
    home = make(("attic", "cellar"))
    first = told_now(home)["attic"]
    told = manifests(home.aggregator.handle([home.boards["attic"].status()]))
    assert set(told) == {"attic"}
    passing = {"time", "tag"}
    assert {k: v for k, v in told["attic"].items() if k not in passing} == {
        k: v for k, v in first.items() if k not in passing
    }


@pytest.mark.parametrize("protocol", [1, 3])
def test_a_board_of_another_protocol_is_known_but_stays_out(make: Make, protocol: int) -> None:
    home = make(("attic", "cellar"))
    shed = home.board("shed", protocol=protocol)
    assert home.aggregator.handle([shed.status()]) == []
    assert home.store.devices()[2].protocol == protocol and home.store.devices()[2].online
    train(home, ("attic", "cellar"))  # nobody waits for it
    assert home.told(RoundClosed)


def test_chunks_of_another_protocol_are_refused_by_that_name(make: Make) -> None:
    home = make(("attic", "cellar"))
    topic, payload = home.boards["attic"].update(DELTA)[0]
    old = bytearray(payload)
    old[2] = 1
    home.aggregator.handle([(topic, bytes(old))])
    assert home.refused() == {("protocol", "attic"): 1}


def test_a_manifest_tells_the_counter_above_which_bodies_count(make: Make) -> None:
    home = make(("attic", "cellar"), minimum=1)
    told = train(home, ("attic", "cellar"), counter=77)
    assert told["attic"]["counter"] == 77
    old = home.boards["attic"].update(DELTA, number=2, version=1, counter=77)
    assert receipts(home.aggregator.handle(old))[0][1]["reason"] == "counter"
    home.kill_and_start()
    home.aggregator.handle(old)
    assert home.untouched() and home.refused()[("counter", "attic")] == 2 * len(old)


def test_a_device_that_gets_a_new_key_counts_from_the_beginning(make: Make) -> None:
    home = make(("attic", "cellar"))
    train(home, ("attic", "cellar"), counter=1000)
    home.store.revoke("attic")
    home.boards["attic"].key = home.store.provision("attic")
    home.aggregator.handle([home.boards["attic"].status()])
    update = home.boards["attic"].update(DELTA, number=2, version=1)
    assert receipts(home.aggregator.handle(update))[0][1]["result"] == "accepted"


def test_a_round_that_an_aggregator_of_protocol_1_left_open_goes_on(make: Make) -> None:
    home = make(("attic", "cellar"))
    fields = json.loads(home.store.open_round().manifest.to_json())  # type: ignore[union-attr]
    del fields["edition"]
    text = json.dumps({"protocol": 1, **fields})
    home.store._run("UPDATE rounds SET manifest = ?", text)
    home.store._run("DELETE FROM meta WHERE key = 'edition'")
    home.store._run("DELETE FROM assignments")
    told = manifests(home.kill_and_start())
    assert {(one["round"], one["protocol"], one["phase"]) for one in told.values()} == {(1, 2, "train")}
    train(home, home.boards)
    assert home.told(RoundClosed)[0].updates == 2


# Who is chosen


@given(st.sets(st.sampled_from(TEN), min_size=1), st.floats(0.05, 1), st.floats(0, 1), st.integers(0, 12))
def test_a_choice_is_enough_and_the_same_for_the_same_seed(
    learners: set[str], fraction: float, spare: float, maximum: int
) -> None:
    plan = replace(PLAN, minimum=1, fraction=fraction, spare=spare, maximum=maximum)
    choice = choose(plan, 7, sorted(learners))
    assert choice == choose(plan, 7, sorted(learners, reverse=True))
    if choice.devices is not None:
        assert set(choice.devices) <= learners and 1 <= choice.goal <= len(choice.devices)
        assert not maximum or choice.goal <= maximum


def test_other_rounds_and_seeds_choose_others() -> None:
    plan = replace(PLAN, minimum=1, fraction=0.3)
    by_round = {choose(plan, number, TEN).devices for number in range(20)}
    by_seed = {choose(replace(plan, seed=seed), 1, TEN).devices for seed in range(20)}
    assert len(by_round) > 5 and len(by_seed) > 5
    assert {name for devices in by_round for name in devices or ()} == set(TEN)


def test_only_a_sample_trains_and_the_others_may_sleep(make: Make) -> None:
    home = make(fraction=0.3, minimum=2)
    trains = set(home.told(RoundStarted)[0].expected)
    assert len(trains) == 3 and chosen(told_now(home)) == trains
    home.clock.now += 4
    late = next(name for name in TEN if name not in trains)
    resting = manifests(home.aggregator.handle([home.boards[late].status()]))[late]
    assert resting["phase"] == "idle" and resting["pause_ms"] == 6000
    told = train(home, trains)
    assert home.told(RoundClosed)[0].updates == 3 and len(home.told(RoundStarted)[1].expected) == 3
    assert chosen(told) == set(home.told(RoundStarted)[1].expected)
    idle = {name for name, one in told.items() if one["phase"] == "idle"}
    assert idle == trains - chosen(told)  # who rested already is not told again


def test_an_aggregator_that_starts_again_keeps_its_choice(make: Make) -> None:
    home = make(fraction=0.3, minimum=2)
    train(home, home.told(RoundStarted)[0].expected)
    expected = set(home.told(RoundStarted)[1].expected)
    home.aggregator.handle([home.boards[name].status("offline") for name in TEN if name not in expected])
    assert chosen(manifests(home.kill_and_start())) == expected
    train(home, expected)
    assert home.told(RoundClosed)[-1].updates == 3


def test_who_was_not_chosen_does_not_count(make: Make) -> None:
    home = make(fraction=0.3, minimum=2)
    other = next(name for name in TEN if name not in home.told(RoundStarted)[0].expected)
    (receipt,) = receipts(home.aggregator.handle(home.boards[other].update(DELTA)))
    assert receipt[1]["reason"] == "round" and home.untouched()


def test_evaluators_take_part_in_every_round_of_a_sample(make: Make) -> None:
    home = make(fraction=0.3, minimum=2)
    judge = home.board("judge", role="evaluate")
    assert manifests(home.aggregator.handle([judge.status()]))["judge"]["phase"] == "train"
    home.clock.now += 2
    train(home, home.told(RoundStarted)[0].expected)
    assert not home.told(RoundClosed)  # it is waited for
    home.aggregator.handle(judge.evaluation())
    assert home.told(RoundClosed)[0].evaluators.boards == 1


def test_a_silent_evaluator_holds_up_a_sample_no_longer_than_its_updates_took(make: Make) -> None:
    home = make(fraction=0.3, minimum=2)
    judge = home.board("judge", role="evaluate")
    home.aggregator.handle([judge.status()])
    home.clock.now += 2
    train(home, home.told(RoundStarted)[0].expected)
    home.clock.now += 1.9
    home.aggregator.handle([judge.status()])
    home.aggregator.tick()
    assert not home.told(RoundClosed)
    home.clock.now += 0.2
    home.aggregator.tick()
    assert home.told(RoundClosed)[0].updates == 3 and not home.told(RoundExtended)


def test_an_evaluator_that_missed_a_round_takes_part_in_the_next_one(make: Make) -> None:
    home = make(("attic", "cellar"), late="staleness", minimum=2)
    judge = home.board("judge", role="evaluate")
    home.aggregator.handle([judge.status()])
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    assert manifests(home.aggregator.tick())["judge"]["round"] == 2
    late = receipts(home.aggregator.handle(judge.evaluation(number=1, version=0)))
    assert late[0][1]["reason"] == "round"
    home.aggregator.handle(judge.evaluation(number=2, version=1))
    train(home, ("attic", "cellar"))
    assert home.told(RoundClosed)[1].evaluators.boards == 1


def test_the_slowest_of_those_who_were_chosen_to_spare_come_too_late(make: Make) -> None:
    home = make(fraction=0.5, spare=0.4)
    expected = home.told(RoundStarted)[0].expected
    assert len(expected) == 7  # 5 are needed
    train(home, expected[:5])
    assert home.told(RoundClosed)[-1].updates == 5
    late = home.boards[expected[6]].update(DELTA)
    assert receipts(home.aggregator.handle(late))[0][1]["reason"] == "round" and home.untouched()


def test_no_more_than_the_maximum_are_waited_for(make: Make) -> None:
    home = make(maximum=3)
    train(home, home.told(RoundStarted)[0].expected)
    assert [one.updates for one in home.told(RoundClosed)] == [3]


def test_others_take_the_place_of_chosen_boards_that_are_gone(make: Make) -> None:
    home = make(fraction=0.2, minimum=2)
    gone = set(home.told(RoundStarted)[0].expected)
    home.aggregator.handle([home.boards[name].status("offline") for name in gone])
    home.clock.now += 11
    others = chosen(manifests(home.aggregator.tick()))
    assert len(others) == 2 and not others & gone and home.told(RoundExtended)
    train(home, others)
    assert home.told(RoundClosed)[0].updates == 2


@pytest.mark.parametrize(
    "change",
    [{"fraction": 0}, {"fraction": 1.5}, {"spare": -1}, {"late": "often"}, {"mode": "free"}, {"buffer": 0},
     {"maximum": 1, "minimum": 2}],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(FedmoteError, match=next(iter(change))):
        replace(PLAN, **change)


# Boards that rest


def rest(home: Home, names: Any, seconds: int) -> None:
    home.aggregator.handle([home.boards[name].rests(seconds) for name in names])


def wake(home: Home, name: str) -> dict[str, Any]:
    return manifests(home.aggregator.handle([home.boards[name].status()]))[name]


def test_a_round_opens_for_boards_that_are_never_online_together(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", replace(PLAN, rounds=0))
    home.aggregator.start()
    for name in 3 * ("attic", "cellar"):
        told = wake(home, name)
        if told["phase"] == "train":
            train(home, (name,))
        rest(home, (name,), 300)
        home.clock.now += 170
        home.aggregator.tick()
    closed = home.told(RoundClosed)
    assert [one.updates for one in closed] == [2, 2] and closed[1].samples == 20
    home.store.close()


def test_a_board_that_does_not_come_back_when_it_said_is_counted_no_more(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.aggregator.start()
    wake(home, "attic")
    rest(home, ("attic",), 300)
    home.clock.now += 345  # a clock may go a tenth slower, and the start takes a while
    assert wake(home, "cellar")["phase"] == "idle" and home.aggregator.manifest is None
    home.store.close()


def test_what_a_broker_retains_of_a_rest_does_not_prolong_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.aggregator.start()
    wake(home, "attic")
    rest(home, ("attic",), 300)
    home.clock.now += 200
    rest(home, ("attic",), 300)  # again, after a new connection
    home.clock.now += 145
    assert wake(home, "cellar")["phase"] == "idle"
    home.store.close()


def test_a_last_will_after_the_leave_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.aggregator.start()
    wake(home, "attic")
    rest(home, ("attic",), 300)
    home.aggregator.handle([home.boards["attic"].status("offline")])
    assert wake(home, "cellar")["phase"] == "train"
    home.store.close()


def test_an_aggregator_that_starts_again_knows_who_rests(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.aggregator.start()
    wake(home, "attic")
    rest(home, ("attic",), 300)
    home.kill_and_start()
    assert home.store.devices()[0].back == pytest.approx(time.time() + 340, abs=30)
    assert wake(home, "cellar")["phase"] == "train"
    home.store.close()


def test_a_round_waits_for_who_is_back_before_the_deadline_and_for_nobody_else(make: Make) -> None:
    home = make(("attic", "cellar", "garden", "shed"), deadline_s=600)
    rest(home, ("garden",), 300)
    rest(home, ("shed",), 3000)
    train(home, ("attic", "cellar"))
    assert not home.told(RoundClosed)
    wake(home, "garden")
    train(home, ("garden",))
    assert home.told(RoundClosed)[0].updates == 3
    assert home.told(RoundStarted)[1].expected == ("attic", "cellar", "garden")


def test_a_board_that_comes_back_finds_its_round(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), minimum=3)
    rest(home, ("garden",), 3000)
    train(home, ("attic", "cellar"))
    for _ in range(5):
        home.clock.now += 11
        home.aggregator.tick()
    assert len(home.told(RoundExtended)) == 1  # nothing new was to be told
    told = wake(home, "garden")
    assert (told["phase"], told["round"]) == ("train", 1)
    train(home, ("garden",))
    assert home.told(RoundClosed)[0].updates == 3


def test_a_chosen_board_that_rests_as_it_said_keeps_its_place(make: Make) -> None:
    home = make(fraction=0.2, minimum=2, deadline_s=60)
    steady, sleeper = home.told(RoundStarted)[0].expected
    train(home, (steady,))
    rest(home, (sleeper,), 80)
    home.clock.now += 61
    assert not chosen(manifests(home.aggregator.tick()))
    wake(home, sleeper)
    train(home, (sleeper,))
    assert home.told(RoundClosed)[0].updates == 2


def test_others_take_the_place_of_a_chosen_board_that_overslept(make: Make) -> None:
    home = make(fraction=0.2, minimum=2, deadline_s=60)
    steady, sleeper = home.told(RoundStarted)[0].expected
    train(home, (steady,))
    rest(home, (sleeper,), 30)
    home.clock.now += 61
    others = chosen(manifests(home.aggregator.tick()))
    assert len(others) == 1 and not others & {steady, sleeper}


def test_those_who_can_answer_in_time_are_chosen_first(make: Make) -> None:
    home = make(fraction=0.5, minimum=2)
    asleep = TEN[:5]
    rest(home, asleep, 3600)
    train(home, home.told(RoundStarted)[0].expected)
    home.clock.now += 11
    home.aggregator.tick()
    train(home, set(home.told(RoundStarted)[0].expected) & set(TEN[5:]))
    second = home.told(RoundStarted)[1].expected
    assert len(second) == 3 and not set(second) & set(asleep)


def test_where_too_few_are_online_those_who_rest_are_chosen_too(make: Make) -> None:
    home = make(fraction=0.5, minimum=4)
    rest(home, TEN[:9], 3600)
    train(home, home.told(RoundStarted)[0].expected)
    assert len([one for one in home.store.assignments().values() if one.round == 2]) == 5


# Slow boards


def test_a_slow_board_trains_for_fewer_epochs_so_that_it_is_done_in_time(make: Make) -> None:
    home = make(("attic", "cellar"), epochs=5, deadline_s=60)
    home.boards["attic"].train_ms, home.boards["cellar"].train_ms = 1000.0, 1.0
    told = train(home, home.boards, samples=10)  # 10 s an epoch; half the minute is for training
    assert (told["attic"]["epochs"], told["cellar"]["epochs"]) == (3, 5)
    told = manifests(home.kill_and_start())
    assert (told["attic"]["epochs"], told["cellar"]["epochs"]) == (3, 5)


@given(st.floats(0, 1e9), st.integers(1, 1000))
def test_epochs_are_never_fewer_than_one_nor_more_than_the_plans(epoch_ms: float, epochs: int) -> None:
    assert 1 <= epochs_for(replace(PLAN, epochs=epochs), epoch_ms) <= epochs
    assert epochs_for(replace(PLAN, epochs=epochs), None) == epochs


# Boards that train only a part


@pytest.mark.parametrize("codec", ["float32", "int8"])
def test_a_tensor_is_averaged_over_the_boards_that_train_it(make: Make, codec: str) -> None:
    home = make(("attic", "cellar"), codec=codec)
    home.boards["cellar"].sizes = SIZES[1:]
    home.aggregator.handle(home.boards["attic"].update(np.full(D, 1.0), samples=30))
    home.aggregator.handle(home.boards["cellar"].update(np.full(SIZES[1], 5.0), samples=10))
    moved = home.store.model(1).values - home.store.model(0).values
    np.testing.assert_allclose(moved[: SIZES[0]], 1.0, atol=1e-5)
    np.testing.assert_allclose(moved[SIZES[0] :], 2.0, atol=1e-5)


def test_a_tensor_that_nobody_trains_stays_as_it_is() -> None:
    rule = RULES["fedavg"](5)
    rule.add(np.array([1.0, 2.0], np.float32), 3)
    rule.add(np.array([3.0, 4.0], np.float32), 1)
    assert rule.result().tolist() == [0.0, 0.0, 0.0, 1.5, 2.5]


def test_a_part_that_is_no_end_of_the_tensors_is_refused(make: Make) -> None:
    home = make(("attic", "cellar"))
    home.boards["attic"].sizes = SIZES[:1]
    home.aggregator.handle(home.boards["attic"].update(np.ones(SIZES[0])))
    assert home.untouched() and home.refused()


# Late updates


def test_a_late_update_counts_in_the_next_round_and_weighs_less(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), late="staleness")
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    told = manifests(home.aggregator.tick())
    assert set(told) == {"attic", "cellar"}  # garden is left to finish
    late = manifests(home.aggregator.handle(home.boards["garden"].update(4 * DELTA, number=1, version=0)))
    assert home.told(UpdateAccepted)[-1].late and late["garden"]["round"] == 2  # and goes on with the others
    train(home, ("attic", "cellar", "garden"))
    closed = home.told(RoundClosed)[1]
    assert (closed.round, closed.updates, closed.samples) == (2, 4, 40)
    weights = [10, 10, 10, weight_of(10, 1)]
    expected = home.store.model(1).values + np.average([1, 1, 1, 4], weights=weights) * DELTA
    np.testing.assert_allclose(home.store.model(2).values, expected, atol=1e-6)
    assert weights[3] == pytest.approx(10 / 2**0.5)


def test_a_late_update_survives_a_kill_and_counts_once(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), late="staleness")
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    home.aggregator.tick()
    update = home.boards["garden"].update(4 * DELTA, number=1, version=0)
    home.aggregator.handle(update[:2])
    home.kill_and_start()
    home.aggregator.handle(update[2:])
    home.kill_and_start()
    home.clock.now += 2
    assert receipts(home.aggregator.handle(update))[0][1]["result"] == "accepted"
    train(home, ("attic", "cellar", "garden"))
    assert [one.updates for one in home.told(RoundClosed)] == [2, 4]


def test_a_late_update_is_refused_where_late_ones_are_discarded(make: Make) -> None:
    home = make(("attic", "cellar", "garden"))
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    assert set(manifests(home.aggregator.tick())) == {"attic", "cellar", "garden"}
    late = home.boards["garden"].update(DELTA, number=1, version=0)
    assert receipts(home.aggregator.handle(late))[0][1]["reason"] == "round" and home.untouched()


def test_an_update_that_is_too_many_versions_old_does_not_count(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), late="staleness")
    for _ in range(STALENESS_LIMIT + 1):
        told = train(home, ("attic", "cellar"))
        home.clock.now += 11
        told |= manifests(home.aggregator.tick())
    assert told["garden"]["version"] == STALENESS_LIMIT + 1  # asked anew
    late = home.boards["garden"].update(DELTA, number=1, version=0)
    home.aggregator.handle(late)
    assert ("round", "garden") in home.refused() and home.untouched()


def test_the_versions_that_late_boards_may_fetch_stay_at_the_broker(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), late="staleness")
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    home.aggregator.tick()
    again = home.kill_and_start()  # to a broker that knows nothing
    versions = {message.topic.split("/")[3] for message in again if "/model/" in message.topic}
    assert versions == {"0", "1"} and manifests(again)["garden"]["version"] == 0


# Buffered


def test_a_model_is_made_as_soon_as_the_buffer_is_full(make: Make) -> None:
    home = make(("attic", "cellar", "garden", "shed"), mode="buffered", buffer=2)
    train(home, ("attic", "cellar"))
    assert home.told(RoundClosed)[0].new_version == 1
    told = train(home, ("garden",), 3.0)  # from version 0
    assert told["garden"]["version"] == 1  # goes on at once
    train(home, ("attic",))
    assert home.told(RoundClosed)[1].updates == 2
    weights = [weight_of(10, 1), 10]
    expected = home.store.model(1).values + np.average([3, 1], weights=weights) * DELTA
    np.testing.assert_allclose(home.store.model(2).values, expected, atol=1e-6)
    assert home.store.assignments()["shed"].round == 1  # still at work on its first


def test_a_part_of_the_boards_fills_the_buffers_where_a_fraction_is_asked_for(make: Make) -> None:
    home = make(mode="buffered", buffer=3, fraction=0.5)
    first = chosen(told_now(home))
    assert len(first) == 5
    train(home, sorted(first)[:3])
    assert home.told(RoundClosed)[0].updates == 3
    other = next(board for board in home.boards.values() if board.name not in first)
    told = receipts(home.aggregator.handle(other.update(DELTA, number=1, counter=9)))
    assert told[0][1]["result"] == "refused"


def test_a_buffer_that_cannot_fill_does_not_hold_up_those_who_are_there(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), mode="buffered", buffer=5)
    train(home, ("attic", "cellar"))
    assert not home.told(RoundClosed)
    train(home, ("garden",))
    assert home.told(RoundClosed)[0].updates == 3


def test_after_the_last_buffer_all_boards_measure_the_model(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), mode="buffered", buffer=2, rounds=1)
    told = train(home, ("attic", "cellar"))
    assert {name: one["phase"] for name, one in told.items()} == dict.fromkeys(home.boards, "evaluate")
    late = home.boards["garden"].update(DELTA, number=1, version=0)
    assert receipts(home.aggregator.handle(late))[0][1]["reason"] == "round"
    for board in home.boards.values():
        home.aggregator.handle(board.evaluation(number=2, version=1))
    assert home.aggregator.finished


# Operators


def ask(home: Home, command: str, argument: str = "") -> tuple[str | None, dict[str, dict]]:
    number = home.store.wish(command, argument)
    told = manifests(home.aggregator.tick())
    return home.store.wished(number).answer, told


def test_a_pause_lets_all_boards_rest_and_keeps_what_was_accepted(make: Make) -> None:
    home = make(("attic", "cellar"))
    train(home, ("attic",))
    answer, told = ask(home, "pause")
    assert answer and "paused" in answer and {one["phase"] for one in told.values()} == {"idle"}
    assert all(one["pause_ms"] > 0 for one in told.values())
    home.clock.now += 100
    assert home.aggregator.tick() == [] and not home.told(RoundExtended)
    home.kill_and_start()
    assert manifests(home.aggregator.handle([home.boards["attic"].status()]))["attic"]["phase"] == "idle"
    _, told = ask(home, "resume")
    assert {name: one["phase"] for name, one in told.items()} == {"cellar": "train"}  # attic has answered
    train(home, ("cellar",))
    assert home.told(RoundClosed)[0].updates == 2


def test_a_board_that_comes_during_a_pause_takes_part_after_it(make: Make) -> None:
    home = make(("attic", "cellar"))
    ask(home, "pause")
    shed = home.board("shed")
    assert manifests(home.aggregator.handle([shed.status()]))["shed"]["phase"] == "idle"
    assert ask(home, "resume")[1]["shed"]["phase"] == "train"


def test_no_round_begins_during_a_pause(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.store.wish("pause")
    told = manifests(home.begin())
    assert {one["phase"] for one in told.values()} == {"idle"} and home.aggregator.manifest is None
    _, told = ask(home, "resume")
    assert {one["phase"] for one in told.values()} == {"train"}


def test_a_rollback_makes_a_new_version_with_the_old_values(make: Make) -> None:
    home = make(("attic", "cellar"))
    train(home, home.boards)
    train(home, home.boards, 100.0)
    train(home, ("attic",), 1000.0)
    answer, told = ask(home, "rollback", "1")
    assert answer == "version 3 has the values of version 1"
    assert home.store.model().version == 3 and home.store.model().body == home.store.model(1).body
    assert {(one["phase"], one["version"], one["round"]) for one in told.values()} == {("train", 3, 4)}
    train(home, home.boards)
    expected = home.store.model(1).values + DELTA  # what attic sent before is gone
    np.testing.assert_allclose(home.store.model(4).values, expected, atol=1e-6)


def test_an_update_from_before_a_rollback_does_not_come_in_late(make: Make) -> None:
    home = make(("attic", "cellar", "garden"), late="staleness")
    train(home, ("attic", "cellar"))
    home.clock.now += 11
    home.aggregator.tick()
    ask(home, "rollback", "0")
    late = home.boards["garden"].update(DELTA, number=1, version=0)
    home.aggregator.handle(late)
    assert home.untouched() and ("round", "garden") in home.refused()


def test_a_rollback_of_a_finished_federation_is_measured_by_all_boards(make: Make) -> None:
    home = make(("attic", "cellar"), rounds=1)
    train(home, home.boards)
    for board in home.boards.values():
        home.aggregator.handle(board.evaluation(number=2, version=1))
    assert home.aggregator.finished
    _, told = ask(home, "rollback", "0")
    assert {(one["phase"], one["version"]) for one in told.values()} == {("evaluate", 2)}


@pytest.mark.parametrize(
    ("command", "argument", "answer"),
    [("rollback", "7", "there is no version 7"), ("rollback", "x", "there is no version x"),
     ("resume", "", "it is not paused"), ("dance", "", "dance is no command")],
)  # fmt: skip
def test_what_cannot_be_is_answered_and_changes_nothing(
    make: Make, command: str, argument: str, answer: str
) -> None:
    home = make(("attic", "cellar"))
    before = home.store.model().version, home.aggregator.manifest
    assert ask(home, command, argument) == (answer, {})
    assert (home.store.model().version, home.aggregator.manifest) == before


def test_what_is_asked_for_while_nobody_serves_is_done_once_at_the_start(make: Make) -> None:
    home = make(("attic", "cellar"))
    train(home, home.boards)
    home.store.wish("rollback", "0")
    for _ in range(2):
        home.kill_and_start()
    assert home.store.model().version == 2 and not home.store.open_wishes()


# Many boards


def test_many_boards_are_told_in_one_transaction(tmp_path: Path) -> None:
    names = tuple(f"board-{number:03}" for number in range(200))
    home = Home(tmp_path / "aggregator.db", Plan(LAYOUT, SIZES, 2, codec="float32"), names)
    home.aggregator.start()
    commits = []
    home.store._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    told = manifests(home.aggregator.handle([board.status() for board in home.boards.values()]))
    assert len(commits) == 1 and chosen(told) == set(names)
