"""The SQLite file under the aggregator's store: opening, locking, transactions. It knows one table,
``meta``."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from fedmote.errors import FedmoteError
from fedmote.federation import private, schema

_BUSY_S = 10
_CACHE_KIB = 16 * 1024
_WAL_PAGES = 4000  # of 4 KiB: how long the journal grows before it is worked in


class Database:
    """The file at ``path``, made where it is missing and brought up to this fedmote's schema.

    What a transaction wrote survives a power loss (WAL with synchronous=FULL: an acknowledged update is never
    lost). read_only: for onlookers; the file must exist. Raises FedmoteError where it cannot be opened.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._own_changes = 0  # to what others may hold in memory, by this connection
        self._lock: int | None = None
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                # It holds keys; its journals inherit the mode.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = self._connect("ro" if read_only else "rw")
            private.warn_of_readers(path)
            if read_only and schema.is_old(self._connection, str(path)):
                self._connection.close()
                Database(path).close()
                self._connection = self._connect("ro")
            elif not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
                self._connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
                self._connection.execute("PRAGMA foreign_keys = ON")
                schema.migrate(self._connection, str(path))
            self.run = self._one("SELECT value FROM meta WHERE key = 'run'")[0]
        except (OSError, sqlite3.Error) as error:
            raise FedmoteError(
                f"the store {path} cannot be opened ({error}): name another folder with --state"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def claim(self) -> None:
        """Become the only aggregator on this store until it is
        closed. Raises FedmoteError where another one is."""
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise FedmoteError(
                f"another aggregator is at work on {self.path}: stop it, or name another folder with --state"
            ) from None
        self._lock = lock

    def is_claimed(self) -> bool:
        """Tell whether an aggregator is at work on this store, another one than this."""
        try:
            with open(f"{self.path}.lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it is on disk afterwards, or, after an exception, none of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._write_rest()
            self._connection.execute("COMMIT")
        except BaseException:
            self._forget()
            if self._connection.in_transaction:  # SQLite has rolled back by itself where the disk is full
                self._connection.execute("ROLLBACK")
            raise

    def generation(self) -> tuple[int, int]:
        """Return what changes when somebody else has written, or devices were added or revoked here."""
        return int(self._one("PRAGMA data_version")[0]), self._own_changes

    def backup(self, target: Path) -> None:
        """Copy all of it to a new file as it is at one moment, whoever writes meanwhile.

        The copy is another run: boards refuse what is older than they have taken, but of their run only.
        Raises FedmoteError where the file is there already or cannot be written.
        """
        draft = target.with_name(f".{target.name}.part")
        try:
            draft.unlink(missing_ok=True)
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # it holds keys
            copy = sqlite3.connect(draft)
            try:
                self._connection.backup(copy)
                copy.execute("UPDATE meta SET value = lower(hex(randomblob(4))) WHERE key = 'run'")
                copy.commit()
            finally:
                copy.close()
            os.link(draft, target)  # unlike a rename, it replaces nothing
        except (OSError, sqlite3.Error) as error:
            raise FedmoteError(f"no backup in {target}: {error}") from None
        finally:
            draft.unlink(missing_ok=True)

    def meta(self, key: str) -> str | None:
        """Return what is noted under ``key``."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Note ``value`` under ``key``."""
        self._run(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value
        )

    def _write_rest(self) -> None:
        """Write what was put off to the end of a transaction."""

    def _forget(self) -> None:
        """Give up what is known in memory, for a transaction has failed."""

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode={mode}",
            timeout=_BUSY_S,
            isolation_level=None,
            uri=True,
            check_same_thread=False,  # one thread at a time, not always the one that opened it
        )

    def _run(self, sql: str, *values: Any) -> int:
        """Execute a statement and return how many rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def _many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)

    def _one(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()
