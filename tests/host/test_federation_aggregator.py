"""What a user can rely on: every update counts once, the right way
or not at all, whatever links, boards and power do."""

import itertools
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from federation_boards import FEDERATION, LAYOUT, PLAN, SIZES, Home, Message, manifests, pieces, receipts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.events import BoardSeen, Refused, RoundClosed, RoundExtended, RoundStarted, Telemetry
from fedmote.federation.plan import Plan
from fedmote.federation.protocol import Outgoing
from mote import codec, wire

D = sum(SIZES)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "aggregator.db")
    home.begin()
    yield home
    home.store.close()


def delta_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=D).astype(np.float32)


def manifest(outgoing: list[Outgoing]) -> dict:
    """Return the last manifest, for whomever it is."""
    return list(manifests(outgoing).values())[-1]


# The way that rounds go


def test_nothing_begins_before_the_minimum_of_learners_is_online(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    assert manifests(home.aggregator.start()) == {}  # nobody has been seen
    home.boards["garden"].role = "evaluate"
    home.boards["cellar"].layout = "ffffffff"
    waiting = manifests(home.aggregator.handle([board.status() for board in home.boards.values()]))
    assert {one["phase"] for one in waiting.values()} == {"idle"}
    home.boards["cellar"].layout = LAYOUT
    begun = manifest(home.aggregator.handle([home.boards["cellar"].status()]))
    assert (begun["round"], begun["phase"], begun["version"], begun["layout"]) == (1, "train", 0, LAYOUT)


def test_a_manifest_follows_the_chunks_of_its_model_and_fits_them(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    outgoing = home.begin()
    assert [o.topic for o in outgoing[-2:]] == [f"fedmote/home/round/{name}" for name in home.boards]
    assert all(o.retained for o in outgoing)
    chunks = [wire.Chunk(o.payload) for o in outgoing if "/model/0/" in o.topic][-3:]
    body = b"".join(bytes(chunk.piece) for chunk in chunks)
    announced = manifest(outgoing)
    assert announced["size"] == len(body) and announced["sha256"] == home.store.model(0).sha256
    np.testing.assert_array_equal(np.frombuffer(body, "<f4"), home.store.model(0).values)


@pytest.mark.parametrize("codec_name", ["float32", "int8"])
def test_the_new_model_is_the_old_one_plus_the_mean_weighted_by_samples(
    tmp_path: Path, codec_name: str
) -> None:
    home = Home(tmp_path / "aggregator.db", Plan(LAYOUT, SIZES, 2, codec=codec_name, minimum=2))
    home.begin()
    deltas, samples = [delta_of(1), delta_of(2)], [30, 10]
    for board, delta, count in zip(home.boards.values(), deltas, samples, strict=True):
        home.aggregator.handle(board.update(delta, count))
    expected = home.store.model(0).values + np.average(deltas, axis=0, weights=samples)
    step = 0 if codec_name == "float32" else max(np.abs(delta).max() for delta in deltas) / 127 / 2
    np.testing.assert_allclose(home.store.model(1).values, expected, atol=step + 1e-6)


def test_rounds_go_from_training_to_a_last_evaluation_to_rest(home: Home) -> None:
    for number in (1, 2):
        for board in home.boards.values():
            outgoing = home.aggregator.handle(
                board.update(delta_of(number), number=number, version=number - 1)
            )
    assert (manifest(outgoing)["phase"], manifest(outgoing)["version"]) == ("evaluate", 2)
    assert not home.aggregator.finished
    for board in home.boards.values():
        outgoing = home.aggregator.handle(board.evaluation(number=3, version=2))
    assert manifest(outgoing)["phase"] == "idle" and home.aggregator.finished
    assert [(e.phase, e.new_version) for e in home.told(RoundClosed)] == [
        ("train", 1),
        ("train", 2),
        ("evaluate", 2),
    ]


def test_a_finished_federation_learns_on_when_it_is_given_more_rounds(home: Home) -> None:
    test_rounds_go_from_training_to_a_last_evaluation_to_rest(home)
    home.plan = Plan(LAYOUT, SIZES, 2, codec="float32", minimum=2, rounds=3)
    begun = manifest(home.kill_and_start())
    assert (begun["round"], begun["phase"], begun["version"]) == (4, "train", 2)


def test_models_before_the_last_but_one_are_cleared_from_the_broker(home: Home) -> None:
    outgoing: list[Outgoing] = []
    for number in (1, 2):
        for board in home.boards.values():
            outgoing += home.aggregator.handle(
                board.update(delta_of(number), number=number, version=number - 1)
            )
    cleared = {o.topic for o in outgoing if o.retained and not o.payload}
    assert cleared == {f"fedmote/home/model/0/{index}" for index in range(3)}


def test_evaluators_are_scored_apart_from_learners(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden", "yard"))
    home.boards["garden"].role = home.boards["yard"].role = "evaluate"
    home.begin()
    home.aggregator.handle(home.boards["garden"].evaluation(0.5, evaluated=30))
    home.aggregator.handle(home.boards["yard"].evaluation(1.0, evaluated=10))
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    (closed,) = home.told(RoundClosed)
    assert closed.evaluators.accuracy == pytest.approx(0.625) and closed.evaluators.boards == 2
    assert closed.learners.accuracy == pytest.approx(0.75) and closed.updates == 2


def test_the_ranges_of_a_version_are_the_mean_over_boards_weighted_by_samples(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    home.boards["garden"].role = "evaluate"
    home.begin()
    home.aggregator.handle(home.boards["garden"].evaluation(evaluated=40, ranges=(4.0, 8.0)))
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1), ranges=(2.0, 1.0)))  # 20 evaluated each
    assert home.store.model(0).ranges == pytest.approx((3.0, 4.5))


def test_a_learner_without_samples_may_only_evaluate(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    outgoing = home.aggregator.handle(home.boards["cellar"].evaluation())
    assert receipts(outgoing)[0][1]["result"] == "accepted"
    home.clock.now += 11
    assert home.aggregator.tick() == [] and home.told(RoundExtended)[0].updates == 1


# Boards that are late or gone


def test_a_board_that_is_gone_does_not_block_a_round(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    home.begin()
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    assert not home.told(RoundClosed)
    home.aggregator.handle([home.boards["garden"].status("offline")])
    assert home.told(RoundClosed)


def test_a_silent_board_holds_a_round_to_its_deadline_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    home.begin()
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    home.clock.now += 9
    assert home.aggregator.tick() == []
    home.clock.now += 2
    assert manifest(home.aggregator.tick())["round"] == 2
    assert home.told(RoundClosed)[0].updates == 2


def test_too_few_updates_at_the_deadline_wait_for_another_one(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    home.clock.now += 11
    assert home.aggregator.tick() == [] and home.aggregator.manifest.round == 1
    assert home.told(RoundExtended)[0].missing == ("cellar",)
    home.aggregator.handle(home.boards["cellar"].update(delta_of(2)))
    assert home.told(RoundClosed)[0].updates == 2


def test_a_late_update_is_refused_with_the_reason_round_and_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    test_late = home.board("late")
    home.begin()
    for name in ("attic", "cellar", "garden"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    outgoing = home.aggregator.handle(test_late.update(delta_of(3)))
    refusal = {"receipt": 1, "counter": 1, "result": "refused", "reason": "round"}
    assert receipts(outgoing) == [("late", refusal)] and home.untouched()


# Links that repeat, reorder and lose


def test_repeated_and_reordered_messages_count_once(tmp_path: Path) -> None:
    models = set()
    for seed in range(8):
        home = Home(tmp_path / f"{seed}.db")
        home.begin()
        messages = [
            m for n, board in enumerate(home.boards.values()) for m in board.update(delta_of(n), 10 + n)
        ]
        shuffled = messages * 3
        random.Random(seed).shuffle(shuffled)
        for start in range(0, len(shuffled), 2):
            home.aggregator.handle(shuffled[start : start + 2])
        assert home.told(RoundClosed)[0].updates == 2 and home.aggregator.manifest.round == 2
        models.add(home.store.model(1).sha256)
    assert len(models) == 1


def test_the_order_of_arrival_does_not_change_a_single_bit_of_the_model(tmp_path: Path) -> None:
    names = ("attic", "cellar", "garden")
    models = set()
    for number, order in enumerate(itertools.permutations(names)):
        home = Home(tmp_path / f"{number}.db", names=names)
        home.begin()
        for name in order:
            home.aggregator.handle(
                home.boards[name].update(delta_of(names.index(name)), 7 + names.index(name))
            )
        models.add(home.store.model(1).sha256)
    assert len(models) == 1


def test_a_repeated_body_gets_the_same_receipt_again_and_counts_once(home: Home) -> None:
    messages = home.boards["attic"].update(delta_of(1))
    first = receipts(home.aggregator.handle(messages))
    home.clock.now += 2
    assert receipts(home.aggregator.handle(messages)) == first
    home.clock.now += 2
    assert receipts(home.aggregator.handle(messages[1:2])) == first  # any piece of it will do
    assert len(home.store.accepted(1)) == 1 and home.refused() == {("repeated", "attic"): 4}


def test_a_body_repeated_after_its_round_is_still_acknowledged(home: Home) -> None:
    for board in home.boards.values():
        home.aggregator.handle(board.update(delta_of(1)))
    home.clock.now += 2
    (receipt,) = receipts(home.aggregator.handle(home.boards["attic"].update(delta_of(1))[:1]))
    assert receipt[1]["result"] == "accepted" and home.untouched()


def test_many_pieces_of_a_repeated_body_get_one_receipt(home: Home) -> None:
    messages = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(messages)
    assert receipts(home.aggregator.handle(messages)) == []
    home.clock.now += 2
    assert len(receipts(home.aggregator.handle(messages))) == 1


def test_a_board_that_starts_again_in_the_middle_mixes_nothing(home: Home) -> None:
    attic = home.boards["attic"]
    home.aggregator.handle(attic.update(delta_of(1), counter=1)[:2])
    home.aggregator.handle(attic.update(delta_of(2), counter=900)[2:])
    assert not home.store.accepted(1)
    home.aggregator.handle(attic.update(delta_of(2), counter=900)[:2])
    assert home.store.accepted(1)[0].counter == 900
    home.aggregator.handle(home.boards["cellar"].update(delta_of(2)))
    expected = home.store.model(0).values + delta_of(2)
    np.testing.assert_allclose(home.store.model(1).values, expected, atol=1e-6)


# Power that fails


def test_a_killed_aggregator_continues_the_same_round_and_counts_nothing_twice(home: Home) -> None:
    before = home.aggregator.manifest
    update = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(update)
    outgoing = home.kill_and_start()
    assert home.aggregator.manifest == before and manifest(outgoing)["round"] == 1
    (receipt,) = receipts(home.aggregator.handle(update))  # the broker repeats what was not acknowledged
    assert receipt[1]["result"] == "accepted" and len(home.store.accepted(1)) == 1
    home.aggregator.handle(home.boards["cellar"].update(delta_of(2)))
    expected = home.store.model(0).values + (delta_of(1) + delta_of(2)) / 2
    np.testing.assert_allclose(home.store.model(1).values, expected, atol=1e-6)


def test_a_body_half_sent_when_the_power_failed_is_completed(home: Home, tmp_path: Path) -> None:
    update = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(update[:2])
    for suffix in ("", "-wal"):  # what a disk holds at that moment
        shutil.copy(f"{home.path}{suffix}", f"{tmp_path / 'copy.db'}{suffix}")
    home.path = tmp_path / "copy.db"
    home.kill_and_start()
    assert home.told(RoundStarted)[-1].round == 1
    assert receipts(home.aggregator.handle(update[2:]))[0][1]["result"] == "accepted"


def test_a_restarted_aggregator_still_waits_for_the_boards_that_were_online(home: Home) -> None:
    home.plan = Plan(LAYOUT, SIZES, 2, codec="float32", minimum=1)
    home.kill_and_start()
    home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    assert not home.told(RoundClosed)


def test_a_round_keeps_its_codec_when_the_plan_changes_in_between(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    home.plan = Plan(LAYOUT, SIZES, 2, codec="int8", minimum=2)
    assert manifest(home.kill_and_start())["codec"] == "float32"
    outgoing = home.aggregator.handle(home.boards["cellar"].update(delta_of(1)))
    assert manifest(outgoing)["codec"] == "int8" and home.told(RoundClosed)[0].updates == 2


def test_a_batch_is_on_disk_as_a_whole_or_not_at_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(home.store, "accept", fail)
    with pytest.raises(OSError, match="full"):
        home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    monkeypatch.undo()
    assert home.untouched() and not home.refused()


# Messages that are refused


def tampered(messages: list[Message], offset: int) -> list[Message]:
    """Change a byte of the first piece and make its CRC-32 right again."""
    topic, payload = messages[0]
    chunk = wire.Chunk(payload)
    message = bytearray(payload)
    message[offset] ^= 1
    wire.write_header(
        message, len(chunk.piece), chunk.kind, chunk.number, chunk.counter, chunk.index, chunk.total
    )
    return [(topic, bytes(message)), *messages[1:]]


def test_an_update_under_a_wrong_key_is_refused_and_touches_nothing(home: Home) -> None:
    assert home.aggregator.handle(home.boards["attic"].update(delta_of(1), key=bytes(32))) == []
    assert home.untouched() and home.refused() == {("tag", "attic"): 1}


@pytest.mark.parametrize("offset", [wire.HEADER_BYTES, wire.HEADER_BYTES + 8, wire.MESSAGE_BYTES - 1])
def test_a_changed_byte_is_refused_and_the_true_body_still_counts(home: Home, offset: int) -> None:
    messages = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(tampered(messages, offset))
    assert home.untouched() and home.refused() == {("tag", "attic"): 1}
    home.aggregator.handle(messages)
    assert len(home.store.accepted(1)) == 1


def test_an_update_of_one_device_on_another_ones_topic_is_refused(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1), sender="cellar"))
    assert home.untouched() and home.refused() == {("tag", "cellar"): 1}


@pytest.mark.parametrize("part", ["round", "counter", "kind", "run", "federation"])
def test_a_tag_holds_for_its_own_round_counter_kind_run_and_federation_only(home: Home, part: str) -> None:
    attic = home.boards["attic"]
    body = b"".join(payload[wire.HEADER_BYTES :] for _, payload in attic.evaluation())[: -wire.TAG_BYTES]
    bound = {"federation": FEDERATION, "run": attic.run, "kind": wire.EVALUATION, "round": 1, "counter": 1}
    bound[part] = {"federation": "work", "run": "00000000", "kind": wire.UPDATE}.get(part, 2)
    tag = wire.Tag(
        attic.key, bound["federation"], bound["run"], "attic", bound["kind"], bound["round"], bound["counter"]
    )
    tag.update(body)
    home.aggregator.handle(pieces(body + tag.digest(), wire.EVALUATION, 1, 1, "attic"))
    assert home.untouched() and home.refused() == {("tag", "attic"): 1}


def test_an_update_recorded_in_one_round_is_worth_nothing_in_the_next(home: Home) -> None:
    recorded = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(recorded)
    home.aggregator.handle(home.boards["cellar"].update(delta_of(1)))
    home.aggregator.handle(recorded)
    body = b"".join(payload[wire.HEADER_BYTES :] for _, payload in recorded)
    for counter, reason in ((1, "counter"), (2, "tag")):
        home.aggregator.handle(pieces(body, wire.UPDATE, 2, counter, "attic"))
        assert home.untouched() and (reason, "attic") in home.refused()


def test_an_unknown_device_is_refused_and_leaves_no_trace_but_a_count(home: Home) -> None:
    stranger = home.board("stranger")
    home.store.revoke("stranger")
    unknown = [
        (topic.replace("stranger", f"s{n}"), p) for n, (topic, p) in enumerate(stranger.update(delta_of(1)))
    ]
    outgoing = home.aggregator.handle([*stranger.update(delta_of(1)), *unknown, stranger.status()])
    assert outgoing == [] and home.untouched()
    assert home.refused() == {("unknown device", ""): 7} and {e.device for e in home.told(Refused)} == {""}


def test_a_device_revoked_in_the_middle_of_its_body_does_not_count(home: Home) -> None:
    messages = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(messages[:2])
    home.store.revoke("attic")
    home.aggregator.handle(messages[2:])
    assert home.untouched()


def test_an_update_of_a_device_revoked_before_the_round_ends_does_not_count(home: Home) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1)))
    home.store.revoke("attic")
    assert not home.store.accepted(1)


def test_a_device_provisioned_while_the_aggregator_runs_takes_part(home: Home) -> None:
    garden = home.board("garden")
    home.aggregator.handle([garden.status(), *garden.update(delta_of(1))])
    assert [one.device for one in home.store.accepted(1)] == ["garden"]


@pytest.mark.parametrize("sizes", [(700, 31), (699, 30), (700, 29, 1), (7000, 300), (1,)])
def test_an_update_of_another_network_is_refused(home: Home, sizes: tuple[int, ...]) -> None:
    attic = home.boards["attic"]
    attic.sizes = sizes
    home.aggregator.handle(attic.update(np.ones(sum(sizes))))
    assert home.untouched() and {reason for reason, _ in home.refused()} <= {"length", "shape"}
    assert home.refused()


def test_an_update_with_another_codec_is_refused(home: Home) -> None:
    home.boards["attic"].codec = "int8"
    assert home.aggregator.handle(home.boards["attic"].update(delta_of(1))) == []
    assert home.untouched() and ("length", "attic") in home.refused()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_a_delta_that_is_not_finite_is_refused_and_touches_nothing(home: Home, value: float) -> None:
    delta = delta_of(1)
    delta[D - 1] = value
    (receipt,) = receipts(home.aggregator.handle(home.boards["attic"].update(delta)))
    assert receipt[1]["reason"] == ("out of bounds" if value == 1e9 else "not finite")
    assert home.untouched()


def test_a_board_whose_authentic_body_was_refused_is_not_waited_for(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    home.begin()
    home.aggregator.handle(home.boards["garden"].update(delta_of(1) * float("nan")))
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    assert home.told(RoundClosed)[0].updates == 2


def test_forged_bodies_do_not_end_a_round_early(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db", names=("attic", "cellar", "garden"))
    home.begin()
    home.aggregator.handle(home.boards["garden"].update(delta_of(1), key=bytes(32)))
    for name in ("attic", "cellar"):
        home.aggregator.handle(home.boards[name].update(delta_of(1)))
    assert not home.told(RoundClosed)


@pytest.mark.parametrize("samples", [0, 1_000_001, 2**32 - 1])
def test_an_impossible_number_of_samples_is_refused(home: Home, samples: int) -> None:
    home.aggregator.handle(home.boards["attic"].update(delta_of(1), samples))
    assert home.untouched() and home.refused() == {("out of bounds", "attic"): 1}


def test_nobody_changes_the_model_while_boards_only_evaluate(home: Home) -> None:
    for number in (1, 2):
        for board in home.boards.values():
            home.aggregator.handle(board.update(delta_of(number), number=number, version=number - 1))
    home.aggregator.handle(home.boards["attic"].update(delta_of(1), number=3, version=2))
    assert home.untouched() and ("phase", "attic") in home.refused()


def test_an_update_of_an_older_version_is_refused(home: Home) -> None:
    for board in home.boards.values():
        home.aggregator.handle(board.update(delta_of(1)))
    (receipt,) = receipts(
        home.aggregator.handle(home.boards["attic"].update(delta_of(1), number=2, version=0))
    )
    assert receipt[1]["reason"] == "version" and home.untouched()


def test_malformed_damaged_and_oversize_messages_are_refused_by_reason(home: Home) -> None:
    topic, payload = home.boards["attic"].update(delta_of(1))[0]
    model = bytearray(payload)
    wire.write_header(model, len(payload) - wire.HEADER_BYTES, wire.MODEL, 1, 1, 0, wire.Chunk(payload).total)
    damaged = payload[:-1] + bytes([payload[-1] ^ 1])
    messages = [
        (topic, payload + b"x"),  # oversize
        (topic, bytes(1_000_000)),  # oversize
        (topic, b""),  # malformed
        (topic, payload[:100]),  # malformed
        (topic, b"xx" + payload[2:]),  # malformed
        (topic, bytes(model)),  # malformed: boards send no models
        (topic, damaged),  # crc
        (topic[:-1] + "1", payload),  # topic: says another piece than the header
        (topic + "/0", payload),  # topic
    ]
    assert home.aggregator.handle(messages) == []
    assert home.untouched()
    assert home.refused() == {
        ("oversize", "attic"): 2,
        ("malformed", "attic"): 4,
        ("crc", "attic"): 1,
        ("topic", "attic"): 1,
        ("topic", ""): 1,
    }


def test_a_body_that_claims_to_be_huge_takes_no_space(home: Home) -> None:
    message = bytearray(wire.MESSAGE_BYTES)
    wire.write_header(message, wire.PIECE_BYTES, wire.UPDATE, 1, 1, 0, 65_000_000)
    home.aggregator.handle([(wire.topic(FEDERATION, "update", "attic", 1, 0), bytes(message))])
    assert home.untouched() and home.refused() == {("length", "attic"): 1}


def test_a_device_never_occupies_more_than_one_body(home: Home) -> None:
    for counter in range(50):
        home.aggregator.handle(home.boards["attic"].update(delta_of(1), counter=counter)[:2])
    assert len(home.store.body("attic")) == 2 * wire.PIECE_BYTES


TOPICS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["update/attic/1/0", "update/attic/1/1", "status/attic", "telemetry/attic", "command/attic"]
    ).map(lambda name: f"fedmote/{FEDERATION}/{name}"),
)
HEADS = st.tuples(
    st.integers(0, 255),
    st.integers(0, 3),
    st.integers(0, 9),
    st.sampled_from([0, 1, 2]),
    st.integers(0, 5000),
)


@given(st.lists(st.tuples(TOPICS, st.binary(max_size=200), st.none() | HEADS), max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_messages_whatever_stop_the_aggregator_or_count(home: Home, messages: list) -> None:
    def sealed(piece: bytes, head: tuple[int, ...] | None) -> bytes:
        if head is None:
            return piece
        message = bytearray(wire.HEADER_BYTES) + piece
        kind, number, counter, index, total = head
        wire.write_header(message, len(piece), kind, number, counter, index, total)
        return bytes(message)

    home.aggregator.handle([(topic, sealed(piece, head)) for topic, piece, head in messages])
    home.aggregator.tick()
    assert not home.store.accepted(1) and home.store.model().version == 0


def test_a_report_that_claims_more_ranges_than_it_holds_is_refused(home: Home) -> None:
    body = bytearray(struct.pack(codec.REPORT, codec.NONE, 255, 0, 0, 0, 1, 0.5, 0.5, 0.0, 0.0) + bytes(8))
    home.aggregator.handle(home.boards["attic"].send(wire.EVALUATION, bytes(body), 1))
    assert home.untouched() and home.refused() == {("shape", "attic"): 1}


# What onlookers see


def test_statuses_and_telemetry_are_told_and_bad_ones_counted(home: Home) -> None:
    home.aggregator.handle(
        [
            (wire.topic(FEDERATION, "telemetry", "attic"), b'{"device":"attic","time_ms":5,"label":"row"}'),
            (wire.topic(FEDERATION, "telemetry", "attic"), b"{"),
            (wire.topic(FEDERATION, "status", "attic"), b'{"state":"online","role":"king"}'),
        ]
    )
    assert home.told(Telemetry) == [Telemetry("attic", {"time_ms": 5, "label": "row"})]
    assert {e.device for e in home.told(BoardSeen)} == {"attic", "cellar"}
    assert home.refused() == {("malformed", "attic"): 2}


def test_bytes_are_counted_per_device_with_headers_and_topics(home: Home) -> None:
    messages = home.boards["attic"].update(delta_of(1))
    home.aggregator.handle(messages)
    size = sum(len(topic) + len(payload) for topic, payload in messages)
    assert home.store.accepted(1)[0].up_bytes == size
    home.aggregator.handle(messages[:1])
    home.aggregator.rest()
    attic = home.store.devices()[0]
    assert attic.up_bytes == size + len(messages[0][0]) + len(messages[0][1]) and attic.down_bytes > 4 * D


def test_an_int8_update_takes_at_most_three_tenths_of_a_float32_one(tmp_path: Path) -> None:
    sizes = (24 * 24, 24, 24 * 7, 7)
    size = {}
    for name in ("int8", "float32"):
        home = Home(tmp_path / f"{name}.db", Plan(LAYOUT, sizes, 2, codec=name))
        home.boards["attic"].sizes = sizes
        home.begin()
        home.aggregator.handle(home.boards["attic"].update(np.ones(sum(sizes))))
        size[name] = home.store.accepted(1)[0].up_bytes
    assert size["int8"] <= 0.3 * size["float32"]


def test_an_update_while_no_round_is_open_is_refused_and_the_board_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    home.aggregator.start()
    told = receipts(home.aggregator.handle(home.boards["attic"].update(np.zeros(D))))
    assert told == [("attic", {"receipt": 1, "counter": 1, "result": "refused", "reason": "round"})]
    assert home.aggregator.manifest is None and home.store.partial("attic") is None
    home.store.close()


def test_the_store_of_another_network_is_not_touched(home: Home) -> None:
    with pytest.raises(FedmoteError, match="layout"):
        Aggregator(home.store, FEDERATION, Plan("ffffffff", SIZES, 2))


@pytest.mark.parametrize("change", [{"codec": "zip"}, {"minimum": 0}, {"deadline_s": 0}, {"rule": "magic"}])
def test_a_plan_that_cannot_be_is_refused_by_name(change: dict) -> None:
    with pytest.raises(FedmoteError, match=next(iter(change))):
        Plan(**{**vars(PLAN), **change})
