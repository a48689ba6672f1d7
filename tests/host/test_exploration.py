"""What a user can rely on: whatever is lost, repeated, late or switched off, an update counts once, what a
board was told is so, and rounds end. All states up to a number of faults are looked at, of the real code.

One fault here, more of them, more boards and all plans where FEDMOTE_NIGHTLY is set (``make nightly``).
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from exploration import ONE_PIECE, TWO_PIECES, Exploration, Found
from exploring_board import LAYOUT, ViolationError

from fedmote.federation import aggregation, service
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.plan import Plan
from fedmote.federation.rounds import Rounds
from fedmote.federation.store import Store
from fedmote.federation.tally import Tally
from mote import memory, rounds
from mote.memory import Memory
from mote.rounds import Participant

NIGHTLY = bool(os.environ.get("FEDMOTE_NIGHTLY"))
FAULTS = frozenset((
    "lose", "repeat", "timer", "deadline", "cut", "power", "sleep", "disconnect", "disconnect amid", "kill",
    "kill amid", "reconnect", "reconnect amid", "new broker",
))  # fmt: skip

pytestmark = pytest.mark.timeout(3600 if NIGHTLY else 300)

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Millions of tuples: the collector would look at all of them again and again."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def plan(sizes: tuple[int, ...] = ONE_PIECE, **changes: Any) -> Plan:
    settings = {"minimum": 1, "deadline_s": 60, "rounds": 1, **changes}
    return Plan(LAYOUT, sizes, 1, codec="float32", **settings)


def explored(title: str, exploration: Exploration) -> Found:
    found = exploration.run()
    print(
        f"\n{title}: {found.states:,} states, {found.transitions:,} transitions; {found.boards:,} states of "
        f"boards, {found.aggregator:,} of the aggregator; at most {found.turns} turns to the end"
    )
    return found


def test_one_board_gets_its_update_counted_once_whatever_fails(tmp_path: Path) -> None:
    found = explored("one board, updates of two pieces, 1 fault", Exploration(tmp_path, plan(TWO_PIECES)))
    assert found.kinds >= FAULTS and found.ends


def test_one_board_gets_through_two_rounds_that_operators_interrupt(tmp_path: Path) -> None:
    exploration = Exploration(tmp_path, plan(rounds=2), operator=True, prompt=True)
    found = explored("one board, two rounds, pauses, 1 fault", exploration)
    assert found.kinds >= FAULTS | {"pause", "resume"}


def test_two_boards_are_both_counted_once_whatever_fails(tmp_path: Path) -> None:
    exploration = Exploration(tmp_path, plan(), boards=2, prompt=True)
    assert explored("two boards, 1 fault", exploration).kinds >= FAULTS | {"kill amid deadline"}


LONG: dict[str, tuple[Plan, dict[str, Any]]] = {
    "one board, updates of two pieces, 2 faults": (plan(TWO_PIECES), {"faults": 2}),
    "one board, pauses, 2 faults": (plan(), {"faults": 2, "prompt": True, "operator": True}),
    "one board, 3 faults": (plan(), {"faults": 3, "prompt": True}),
    "one board that keeps pieces of the model, 2 faults": (
        plan((300, 1)), {"faults": 2, "prompt": True, "keeps": 1000},
    ),
    "two boards, both needed, pauses, 1 fault": (
        plan(minimum=2), {"boards": 2, "prompt": True, "operator": True},
    ),
    "two boards, buffered, 1 fault": (plan(mode="buffered", buffer=1), {"boards": 2, "prompt": True}),
    "two boards, late updates count, two rounds, 1 fault of one of them": (
        plan(late="staleness", rounds=2), {"boards": 2, "troubled": 1, "prompt": True},
    ),
    "two boards, both needed, nothing prompt, 1 fault": (plan(minimum=2), {"boards": 2}),
}  # fmt: skip


@pytest.mark.skipif(not NIGHTLY, reason="takes minutes: make nightly")
@pytest.mark.parametrize("title", LONG)
def test_rounds_end_and_count_once_through_more_faults(title: str, tmp_path: Path) -> None:
    settings, options = LONG[title]
    assert explored(title, Exploration(tmp_path, settings, **options)).kinds >= FAULTS


def test_a_board_that_may_not_write_any_more_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_WRITES", 0)
    explored("one board that keeps nothing but its counter, 1 fault", Exploration(tmp_path, plan()))


# An exploration that finds nothing is worth something only if it would: each of these is a bug that it finds.


def forget_what_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rounds, "has_answer", lambda *_: False)


def weigh_one_twice(patch: pytest.MonkeyPatch) -> None:
    aggregate = aggregation.aggregate

    def twice(store: Any, rule: Any, form: Any, base: Any, updates: list[Any]) -> Any:
        return aggregate(store, rule, form, base, [*updates, updates[0]])

    patch.setattr(aggregation, "aggregate", twice)


def count_nothing_after_a_start(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tally, "read", lambda tally, _: tally.clear())


def say_nothing_at_the_start(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rounds, "announce", lambda _: None)


def answer_before_it_is_on_disk(patch: pytest.MonkeyPatch) -> None:
    async def serve(aggregator: Aggregator, _: Any, stop: Any) -> None:
        link, connection = vars(service)["Link"](), aggregator.store._connection
        while not stop.is_set():
            batch = await link.receive(1, 1)
            connection.execute("BEGIN")
            outgoing = aggregator.start() if link.renewed() else []
            outgoing += aggregator.handle([(message.topic, message.payload) for message in batch])
            outgoing += aggregator.tick()
            link.publish(outgoing)
            connection.execute("COMMIT")
            link.acknowledge(batch)
            if aggregator.finished:
                break

    patch.setattr(Store, "transaction", lambda _: nullcontext())
    patch.setattr(service, "serve", serve)


def reuse_counters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "save", lambda _: None)
    patch.setattr(memory, "_WRITES", 0)  # a board that has its body goes on with that


def trust_the_broker(patch: pytest.MonkeyPatch) -> None:
    delivered = Participant.delivered

    def believe(board: Any, topic: str, now: int) -> None:
        delivered(board, topic, now)
        if board.state == rounds.WAITING:
            board._end_round(now)

    patch.setattr(Participant, "delivered", believe)


def take_old_manifests(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "take", lambda *_: None)


def send_only_once(patch: pytest.MonkeyPatch) -> None:
    step = Participant.step
    patch.setattr(Participant, "step", lambda board, now: board.state != rounds.WAITING and step(board, now))


def lose_what_was_on_its_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Participant, "disconnected", lambda _: None)


BUGS: dict[Patch, str] = {
    forget_what_counts: "told that its body of round 1 does not count, which is wrong",
    weigh_one_twice: "version 1 begins with",
    count_nothing_after_a_start: r"counted are \[\], on disk are",
    say_nothing_at_the_start: "rounds never end",
    answer_before_it_is_on_disk: "told that its body of round 1 counts, which is wrong",
    reuse_counters: "counter 1800 stands for two bodies",
    trust_the_broker: "told that its body of round 1 counts, which is wrong",
    take_old_manifests: "rounds never end",
    send_only_once: "rounds never end",
    lose_what_was_on_its_way: "rounds never end",
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_exploration_finds_a_bug(bug: Patch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    both = bug in (weigh_one_twice, count_nothing_after_a_start)  # where one board makes no difference
    exploration = Exploration(
        tmp_path, plan(minimum=1 + both), boards=1 + both, troubled=1 - both, prompt=True
    )
    with pytest.raises(ViolationError, match=BUGS[bug]):
        exploration.run()
