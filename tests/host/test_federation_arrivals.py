"""What a user can rely on: a body that is half sent when the aggregator stops is half there when it starts
again, and what is no longer needed leaves the disk."""

from pathlib import Path
from random import Random

import pytest

from fedmote.federation import arrivals
from fedmote.federation.arrivals import Arrivals, Partial

DEVICES = [f"device-{number}" for number in range(8)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "aggregator.db"
    with Arrivals(path) as store:
        for device in DEVICES:
            store.provision(device)
    return path


def test_pieces_come_in_any_order_and_each_counts_once(path: Path) -> None:
    with Arrivals(path) as store, store.transaction():
        store.begin_partial("device-0", Partial(1, 2, 3))
        for index, piece in ((1, b"B"), (0, b"A"), (1, b"X")):
            store.put_chunk("device-0", index, piece)
        assert not store.has_all("device-0", 3)
        store.put_chunk("device-0", 2, b"C")
        assert store.has_all("device-0", 3) and store.body("device-0") == b"ABC"


def test_a_body_that_was_begun_again_has_no_piece_of_the_one_before_after_a_restart(path: Path) -> None:
    with Arrivals(path) as store:
        with store.transaction():
            store.begin_partial("device-0", Partial(1, 2, 3))
            store.put_chunk("device-0", 0, b"old")
        with store.transaction():
            store.begin_partial("device-0", Partial(1, 2, 4))
            store.put_chunk("device-0", 1, b"new")
    with Arrivals(path) as store:
        assert store.pieces("device-0") == {1} and store.body("device-0") == b"new"


def test_what_a_revoked_device_had_sent_is_not_taken_for_what_it_sends_later(path: Path) -> None:
    with Arrivals(path) as store, Arrivals(path) as operator:
        with store.transaction():
            store.begin_partial("device-0", Partial(1, 2, 3))
            store.put_chunk("device-0", 0, b"old")
        operator.revoke("device-0")
        operator.provision("device-0")
        with store.transaction():
            store.begin_partial("device-0", Partial(1, 2, 4))
        assert store.pieces("device-0") == set()
    with Arrivals(path) as store:
        assert store.pieces("device-0") == set()


def test_pieces_of_which_none_is_needed_leave_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_DEAD_LIMIT", 5)
    with Arrivals(path) as store:
        for counter in range(3):
            with store.transaction():
                store.begin_partial("device-0", Partial(1, 2, counter))
                for index in range(3):
                    store.put_chunk("device-0", index, b"abc")
                store.drop_partial("device-0")
            assert store._one("SELECT count(*) FROM pieces")[0] == (3, 0, 3)[counter]
        with store.transaction():
            store.begin_partial("device-0", Partial(2, 2, 9))
            store.put_chunk("device-0", 0, b"new")
    with Arrivals(path) as store:
        assert store.body("device-0") == b"new"


@pytest.mark.parametrize("seed", range(3))
def test_pieces_survive_whatever_happens_beside_them(
    path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(arrivals, "_DEAD_LIMIT", 20)
    monkeypatch.setattr(arrivals, "_DEAD_RATIO", 2)
    random = Random(seed)
    expected: dict[str, tuple[int, dict[int, bytes]]] = {}
    store = Arrivals(path)
    for step in range(300):
        with store.transaction():
            for number in range(5):
                device, what = random.choice(DEVICES), random.random()
                if what < 0.1 or device not in expected:
                    expected[device] = 10 * step + number, {}
                    store.begin_partial(device, Partial(1, 2, 10 * step + number))
                elif what < 0.2:
                    del expected[device]
                    store.drop_partial(device)
                else:
                    index, piece = random.randrange(12), random.randbytes(5)
                    expected[device][1].setdefault(index, piece)
                    store.put_chunk(device, index, piece)
        if random.random() < 0.05:
            with pytest.raises(KeyError), store.transaction():  # as where the disk is full
                store.begin_partial(random.choice(DEVICES), Partial(9, 9, 9))
                store.put_chunk(random.choice(DEVICES), 3, b"lost")
                raise KeyError
        if random.random() < 0.05:
            store.close()
            store = Arrivals(path)
        for device in DEVICES:
            partial = store.partial(device)
            counter, pieces = expected.get(device, (None, {}))
            assert (partial and partial.counter) == counter
            assert store.pieces(device) == set(pieces)
            assert store.body(device) == b"".join(pieces[index] for index in sorted(pieces))
    needed = sum(len(pieces) for _, pieces in expected.values())
    assert store._one("SELECT count(*) FROM pieces")[0] <= needed + max(20, 2 * needed) + 12
    store.close()
