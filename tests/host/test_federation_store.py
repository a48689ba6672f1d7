"""What a user can rely on: keys stay private and stable, what is
stored survives, and files of others are left alone."""

import hashlib
import os
import sqlite3
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from fedmote.errors import FedmoteError
from fedmote.federation.schema import MIGRATIONS
from fedmote.federation.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "aggregator.db"


def test_a_device_keeps_its_key(path: Path) -> None:
    with Store(path) as store:
        key = store.provision("attic")
        assert len(key) == 32 and store.provision("attic") == key and store.provision("cellar") != key
    with Store(path) as store:
        assert store.key("attic") == key


def test_a_revoked_device_has_no_key_and_gets_a_new_one_when_provisioned_again(path: Path) -> None:
    with Store(path) as store:
        key = store.provision("attic")
        store.revoke("attic")
        assert store.key("attic") is None and store.devices()[0].revoked
        assert store.provision("attic") not in (key, None) and not store.devices()[0].revoked


@pytest.mark.parametrize("name", ["", "Attic", "a" * 33, "a/b", "a b", "ä", "+", "#"])
def test_a_name_that_the_protocol_forbids_is_not_provisioned(path: Path, name: str) -> None:
    with Store(path) as store, pytest.raises(FedmoteError, match="a-z"):
        store.provision(name)


def test_revoking_a_device_that_is_not_known_says_so(path: Path) -> None:
    with Store(path) as store, pytest.raises(FedmoteError, match="'attic' is not known"):
        store.revoke("attic")


def test_only_the_owner_can_read_the_keys(path: Path) -> None:
    with Store(path) as store:
        store.provision("attic")
        files = list(path.parent.iterdir())
        assert len(files) >= 3  # with the journals of SQLite
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_every_store_is_a_run_of_its_own_and_stays_it(path: Path, tmp_path: Path) -> None:
    with Store(path) as store, Store(tmp_path / "other.db") as other:
        assert store.run != other.run and len(store.run) == 8 and int(store.run, 16) >= 0
        run = store.run
    with Store(path) as store:
        assert store.run == run


def test_what_is_written_survives_a_power_loss(path: Path) -> None:
    with Store(path) as store:
        assert store._one("PRAGMA journal_mode")[0] == "wal" and store._one("PRAGMA synchronous")[0] == 2


def test_onlookers_read_while_the_aggregator_writes_and_cannot_write(path: Path) -> None:
    with Store(path) as store, Store(path, read_only=True) as onlooker:
        store.provision("attic")
        with store.transaction():
            store.refuse("crc", "attic")
            assert onlooker.refusals() == {}
        assert onlooker.refusals() == {("crc", "attic"): 1}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            onlooker.provision("cellar")


def test_a_store_holds_one_application_and_one_network_for_ever(path: Path) -> None:
    values = np.arange(5, dtype=np.float32)
    with Store(path) as store:
        store.found("watch", "0123abcd", values)
        store.found("watch", "0123abcd", values + 1)  # goes on with what there is
        np.testing.assert_array_equal(store.model().values, values)
        with pytest.raises(FedmoteError, match="application is watch, not digits"):
            store.found("digits", "0123abcd", values)
        with pytest.raises(FedmoteError, match="layout is 0123abcd, not ffffffff"):
            store.found("watch", "ffffffff", values)


def test_two_aggregators_never_share_a_store(path: Path) -> None:
    with Store(path) as store, Store(path) as other:
        store.claim()
        with pytest.raises(FedmoteError, match="another aggregator"):
            other.claim()
        store.close()
        other.claim()


#: SHA-256 of what was released: a store that has seen a migration never sees it again
RELEASED = (
    "076ad1652dd9ac9cbbac55cc59bae0ddcb18c228c3cdbaa8c289463b8ae7644e",
    "7a520776275e17c0b91e931cca8cb024fc45894910e25cdde0bce7ed77365624",
    "1134a62d3718c0ea272a3a6aecb1cf1efe66480ece2434745b290376af5528c5",
    "22752b0641b854c46465edaed6e2726da34e9753096c1744229328b15414f64f",
    "62c66917b9aa9b58263a9312af4d712e6663c2603e3e3f6af0b2e2fb7f7a4cec",
    "a2598c23410589900a16479bcd6670360da2a43b8506514743bc41ff638cb9aa",
)


def test_migrations_that_were_released_are_as_they_were() -> None:
    digests = [hashlib.sha256(script.encode()).hexdigest() for script in MIGRATIONS]
    assert tuple(digests[: len(RELEASED)]) == RELEASED


def first_version(path: Path) -> None:
    """Make a store as the first fedmote left it, with something in every table that a device is in."""
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    connection.executescript(
        """
        PRAGMA user_version = 1;
        INSERT INTO meta VALUES ('application', 'watch'), ('layout', '0123abcd');
        INSERT INTO devices VALUES
            ('attic', zeroblob(32), 1700000000.0, NULL, 1, 'evaluate', '0123abcd', 7, 8),
            ('cellar', zeroblob(32), 1700000000.0, 1700000001.0, 0, 'learn', '', 0, 0);
        INSERT INTO models VALUES (0, zeroblob(20), 'hash', NULL, 1700000000.0);
        INSERT INTO rounds VALUES (1, 'train', 0, '{}', 1700000000.0, 1700000002.0);
        INSERT INTO partials VALUES ('attic', 1, 2, 3);
        INSERT INTO chunks VALUES ('attic', 0, x'0102');
        INSERT INTO reports VALUES (1, 'attic', 2, 3, 'learn', 0, 5, 6, 0.5, 0.75, 0.4, x'', 99, 1.0, NULL);
        INSERT INTO refusals VALUES ('crc', 'attic', 4);
        """
    )
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_the_first_version_keeps_all_that_is_in_it(path: Path, read_only: bool) -> None:
    first_version(path)
    with Store(path, read_only) as store:
        attic, cellar = store.devices()
        assert (attic.online, attic.role, attic.layout) == (True, "evaluate", "0123abcd")
        assert (attic.up_bytes, attic.down_bytes) == (7, 8)
        assert (attic.board, attic.version, attic.last_seen, attic.battery) == (None, None, None, None)
        assert cellar.revoked and store.key("attic") == bytes(32) and store.key("cellar") is None
        assert store.meta("application") == "watch" and store.model().values.tolist() == [0.0] * 5
        assert store.rounds() == [(1, "train", 0, True)] and store.accepted(1)[0].report.samples == 5
        assert store.body("attic") == b"\1\2" and store.refusals() == {("crc", "attic"): 4}
    with Store(path) as store:
        store.note_heard("attic", time.time(), {"battery": 3.5})
        assert store.devices()[0].battery == 3.5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_old_store_that_cannot_be_brought_up_to_date_is_named(path: Path) -> None:
    first_version(path)
    path.chmod(0o400)
    with pytest.raises(FedmoteError, match="cannot be opened"):
        Store(path, read_only=True)


def test_devices_with_keys_of_their_own_are_taken_in_once(path: Path) -> None:
    with Store(path) as store:
        assert store.adopt({"attic": bytes(32), "cellar": bytes(range(32))}) == 2
        assert store.adopt({"cellar": bytes(range(32)), "shed": b"k" * 32}) == 1
        assert store.key("cellar") == bytes(range(32)) and store.provision("attic") == bytes(32)


def test_a_device_under_another_key_is_not_taken_in_and_neither_are_those_beside_it(path: Path) -> None:
    with Store(path) as store:
        key = store.provision("cellar")
        with pytest.raises(FedmoteError, match="'cellar' is known here under another key"):
            store.adopt({"attic": bytes(32), "cellar": bytes(32)})
        assert store.key("attic") is None and store.key("cellar") == key


def test_a_revoked_key_does_not_come_back_by_being_taken_in(path: Path) -> None:
    with Store(path) as store:
        key = store.provision("attic")
        store.revoke("attic")
        with pytest.raises(FedmoteError, match="'attic' was revoked here"):
            store.adopt({"attic": key})
        assert store.key("attic") is None


def test_a_store_of_a_newer_fedmote_is_left_alone(path: Path) -> None:
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(FedmoteError, match="newer fedmote"):
            Store(path, read_only)


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(path) as store:
        key = store.provision("attic")
    broken = (*MIGRATIONS, "CREATE TABLE later (number INTEGER);\nINSERT INTO nothing VALUES (1)")
    monkeypatch.setattr("fedmote.federation.schema.MIGRATIONS", broken)
    with pytest.raises(FedmoteError, match="nothing"):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store:
        assert (
            store.key("attic") == key
            and store._one("SELECT 1 FROM sqlite_master WHERE name = 'later'") is None
        )


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(FedmoteError, match=r"letter\.db cannot be opened"):
        Store(path)


def test_an_unknown_version_of_the_model_is_a_key_error(path: Path) -> None:
    with Store(path) as store:
        store.found("watch", "0123abcd", np.zeros(5, np.float32))
        with pytest.raises(KeyError):
            store.model(7)
