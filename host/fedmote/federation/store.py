"""What the aggregator must not forget, in one SQLite file: keys,
models, rounds, what boards sent. It decides nothing."""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.federation import schema
from fedmote.federation.bodies import Report
from fedmote.federation.protocol import Manifest, sha256_of
from mote import wire

#: where a federation's store is, below the working directory: STATE / federation / STORE_NAME
STATE = Path("fedmote-state")
STORE_NAME = "aggregator.db"

_BUSY_S = 10


@dataclass(frozen=True)
class Device:
    """A provisioned device. The bytes are those of updates and of
    models and receipts, topics and headers included."""

    device: str
    revoked: bool
    online: bool
    role: str
    layout: str
    up_bytes: int
    down_bytes: int


@dataclass(frozen=True)
class Model:
    """One version of the global model. values: float32 [D]. ranges:
    largest activation of each layer, None if unmeasured."""

    version: int
    values: NDArray[np.float32]
    sha256: str
    ranges: tuple[float, ...] | None

    @property
    def body(self) -> bytes:
        """The bytes that travel to the boards."""
        return self.values.astype("<f4").tobytes()


@dataclass(frozen=True)
class Partial:
    """Which body a device is sending."""

    round: int
    kind: int
    counter: int


@dataclass(frozen=True)
class Accepted:
    """A body that counts: who sent it, as what, and what it says.
    up_bytes: its messages, topics and headers included."""

    device: str
    kind: int
    counter: int
    role: str
    up_bytes: int
    report: Report


class Store:
    """The store at ``path``, made where it is missing. One
    aggregator writes, others may read or provision meanwhile.

    What a transaction wrote survives a power loss (WAL with synchronous=FULL: an acknowledged update is never
    lost). read_only: for onlookers; the file must exist. Raises FedmoteError where it cannot be opened.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(
                    os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                )  # it holds keys; its journals inherit the mode
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}",
                timeout=_BUSY_S,
                isolation_level=None,
                uri=True,
                check_same_thread=False,  # one thread at a time, not always the one that opened it
            )
            if read_only:
                schema.check(self._connection, str(path))
            else:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it is on disk afterwards, or, after an exception, none of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # What the federation is about

    def meta(self, key: str) -> str | None:
        """Return what is noted under ``key``."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def found(self, application: str, layout: str, values: NDArray[np.float32]) -> None:
        """Note what is learned here, with its initial model as version 0, once for ever.

        Raises FedmoteError where this store learns something else.
        """
        with self.transaction():
            for key, value in (("application", application), ("layout", layout)):
                known = self.meta(key)
                if known is None:
                    self._run("INSERT INTO meta VALUES (?, ?)", key, value)
                elif known != value:
                    raise FedmoteError(
                        f"{self.path} holds a federation whose {key} is {known}, not {value}: "
                        "name another folder with --state or another federation with --federation"
                    )
            if self._one("SELECT 1 FROM models") is None:
                self.add_model(0, values)

    # Devices

    def provision(self, device: str) -> bytes:
        """Return the 32-byte key of a device, drawn at its first call; a revoked device gets a new one.

        Raises FedmoteError for a name that the protocol does not allow.
        """
        if not wire.valid_name(device):
            raise FedmoteError(f"device name {device!r}: use 1 to 32 characters of a-z, 0-9, - and _")
        with self.transaction():
            self._run(
                "INSERT INTO devices (device, key, created) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET key = excluded.key, created = excluded.created, revoked = NULL "
                "WHERE revoked IS NOT NULL",
                device,
                secrets.token_bytes(wire.KEY_BYTES),
                time.time(),
            )
            return bytes(self._one("SELECT key FROM devices WHERE device = ?", device)[0])

    def revoke(self, device: str) -> None:
        """Refuse whatever the device sends from now on, and what it sent for the open round.

        Raises FedmoteError where it was never provisioned.
        """
        with self.transaction():
            if not self._run(
                "UPDATE devices SET revoked = coalesce(revoked, ?), online = 0 WHERE device = ?",
                time.time(),
                device,
            ):
                raise FedmoteError(f"device {device!r} is not known here: see fedmote provision --list")
            self.drop_partial(device)
            self._run(f"DELETE FROM reports WHERE device = ? AND round IN ({_OPEN})", device)

    def key(self, device: str) -> bytes | None:
        """Return a device's key, None where it is unknown or revoked."""
        row = self._one("SELECT key FROM devices WHERE device = ? AND revoked IS NULL", device)
        return None if row is None else bytes(row[0])

    def devices(self) -> list[Device]:
        """Return all devices by name, revoked ones included."""
        return [
            Device(name, bool(revoked), bool(online), *rest)
            for name, revoked, online, *rest in self._all(_DEVICES)
        ]

    def set_presence(self, device: str, online: bool, role: str | None, layout: str | None) -> None:
        """Note what a status says; None leaves role or layout as last told."""
        self._run(
            "UPDATE devices SET online = ?, role = coalesce(?, role), layout = coalesce(?, layout) "
            "WHERE device = ?",
            online,
            role,
            layout,
            device,
        )

    def role(self, device: str) -> str:
        """Return the role that a known device last told."""
        return str(self._one("SELECT role FROM devices WHERE device = ?", device)[0])

    def present(self, layout: str) -> dict[str, str]:
        """Return the role of every device that is online with this layout."""
        return dict(
            self._all(
                "SELECT device, role FROM devices WHERE online AND revoked IS NULL AND layout = ?", layout
            )
        )

    def add_traffic(self, device: str, up_bytes: int = 0, down_bytes: int = 0) -> None:
        """Count bytes of a device."""
        self._run(
            "UPDATE devices SET up_bytes = up_bytes + ?, down_bytes = down_bytes + ? WHERE device = ?",
            up_bytes,
            down_bytes,
            device,
        )

    def refuse(self, reason: str, device: str) -> None:
        """Count a refused message. device: empty where it is not one of ours."""
        self._run(
            "INSERT INTO refusals VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            reason,
            device,
        )

    def refusals(self) -> dict[tuple[str, str], int]:
        """Return how many messages were refused by (reason, device); device is empty for unknown ones."""
        return {(reason, device): count for reason, device, count in self._all("SELECT * FROM refusals")}

    # Models and rounds

    def add_model(self, version: int, values: NDArray[np.float32]) -> None:
        """Store a new version of the global model, float32 [D]."""
        body = values.astype("<f4").tobytes()
        self._run("INSERT INTO models VALUES (?, ?, ?, NULL, ?)", version, body, sha256_of(body), time.time())

    def set_ranges(self, version: int, ranges: NDArray[np.float64]) -> None:
        """Store the largest activation of each layer of a version, as boards measured it."""
        self._run("UPDATE models SET ranges = ? WHERE version = ?", _floats(ranges), version)

    def newest_ranges(self) -> tuple[float, ...] | None:
        """Return the ranges of the newest version that boards have measured."""
        row = self._one("SELECT ranges FROM models WHERE ranges IS NOT NULL ORDER BY version DESC LIMIT 1")
        return None if row is None else _tuple(row[0])

    def model(self, version: int | None = None) -> Model:
        """Return a version of the global model, the newest one by
        default. Raises KeyError for an unknown version."""
        row = self._one(
            'SELECT version, "values", sha256, ranges FROM models WHERE version = coalesce(?, version) '
            "ORDER BY version DESC LIMIT 1",
            version,
        )
        if row is None:
            raise KeyError(version)
        number, values, digest, ranges = row
        return Model(number, np.frombuffer(values, "<f4"), digest, None if ranges is None else _tuple(ranges))

    def add_round(self, manifest: Manifest) -> None:
        """Open a round."""
        self._run(
            "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, NULL)",
            manifest.round,
            manifest.phase,
            manifest.version,
            manifest.to_json().decode(),
            time.time(),
        )

    def close_round(self, number: int) -> None:
        """End a round and forget the bodies that were sent for it: only what they said stays."""
        self._run("UPDATE rounds SET ended = ? WHERE number = ?", time.time(), number)
        self._run("UPDATE reports SET body = NULL WHERE round = ?", number)
        self._run("DELETE FROM partials")

    def open_round(self) -> Manifest | None:
        """Return the manifest of the round that has not ended."""
        row = self._one("SELECT manifest FROM rounds WHERE ended IS NULL ORDER BY number DESC LIMIT 1")
        return None if row is None else Manifest.from_json(row[0])

    def rounds(self) -> list[tuple[int, str, int, bool]]:
        """Return (number, phase, version it started from, whether it has ended) of every round, in order."""
        return self._all("SELECT number, phase, version, ended IS NOT NULL FROM rounds ORDER BY number")

    # Bodies on their way

    def partial(self, device: str) -> Partial | None:
        """Return which body a device is sending."""
        row = self._one("SELECT round, kind, counter FROM partials WHERE device = ?", device)
        return None if row is None else Partial(*row)

    def begin_partial(self, device: str, partial: Partial) -> None:
        """Begin another body of a device; what there was of the one before is gone."""
        self.drop_partial(device)
        self._run(
            "INSERT INTO partials VALUES (?, ?, ?, ?)", device, partial.round, partial.kind, partial.counter
        )

    def put_chunk(self, device: str, index: int, piece: bytes) -> int:
        """Add a piece to a device's body, once, and return how many there are."""
        self._run("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", device, index, piece)
        return int(self._one("SELECT count(*) FROM chunks WHERE device = ?", device)[0])

    def body(self, device: str) -> bytes:
        """Return the pieces of a device's body that there are, in order."""
        return b"".join(
            row[0] for row in self._all("SELECT piece FROM chunks WHERE device = ? ORDER BY position", device)
        )

    def drop_partial(self, device: str) -> None:
        """Forget the body that a device is sending."""
        self._run("DELETE FROM partials WHERE device = ?", device)

    # Bodies that count

    def accept(self, number: int, accepted: Accepted, body: bytes) -> None:
        """Store a checked body, without its tag, in place of the partial one."""
        report = accepted.report
        self._run(
            f"INSERT INTO reports VALUES ({', '.join('?' * 15)})",
            number,
            accepted.device,
            accepted.kind,
            accepted.counter,
            accepted.role,
            report.version,
            report.samples,
            report.evaluated,
            report.loss,
            report.accuracy,
            report.training_loss,
            _floats(np.array(report.ranges)),
            accepted.up_bytes,
            time.time(),
            body,
        )
        self.drop_partial(accepted.device)

    def has_accepted(self, number: int, device: str) -> bool:
        """Tell whether a body of this device counts in a round."""
        return self._one("SELECT 1 FROM reports WHERE round = ? AND device = ?", number, device) is not None

    def accepted(self, number: int) -> list[Accepted]:
        """Return what counts in a round, in the order of the devices' names."""
        return [
            Accepted(*row[:_HEAD], Report(*row[_HEAD:-1], _tuple(row[-1])))  # type: ignore[call-arg]
            for row in self._all(_REPORTS, number)
        ]

    def bodies(self, number: int, kind: int) -> Iterator[tuple[str, bytes]]:
        """Yield (device, body) of an open round, one at a time, in the order of the devices' names."""
        yield from self._connection.execute(
            "SELECT device, body FROM reports WHERE round = ? AND kind = ? ORDER BY device", (number, kind)
        )

    def _run(self, sql: str, *values: Any) -> int:
        """Execute a statement and return how many rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def _one(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()


_OPEN = "SELECT number FROM rounds WHERE ended IS NULL"
_DEVICES = (
    "SELECT device, revoked IS NOT NULL, online, role, layout, up_bytes, down_bytes "
    "FROM devices ORDER BY device"
)
_HEAD = 5  # columns before those of the report
_REPORTS = (
    "SELECT device, kind, counter, role, up_bytes, version, samples, evaluated, "
    "loss, accuracy, training_loss, ranges "
    "FROM reports WHERE round = ? ORDER BY device"
)


def _floats(values: NDArray[np.floating[Any]]) -> bytes:
    return values.astype("<f4").tobytes()


def _tuple(data: bytes) -> tuple[float, ...]:
    return tuple(np.frombuffer(data, "<f4").tolist())
