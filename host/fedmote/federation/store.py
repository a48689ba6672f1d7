"""What the aggregator must not forget, in one SQLite file: keys, models, rounds, what boards sent. It decides
nothing."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.federation.arrivals import Arrivals
from fedmote.federation.arrivals import Partial as Partial
from fedmote.federation.bodies import Report
from fedmote.federation.given import Given
from fedmote.federation.manifests import Manifest
from fedmote.federation.protocol import sha256_of

#: where a federation's store is, below the working directory: STATE / federation / STORE_NAME
STATE = Path("fedmote-state")
STORE_NAME = "aggregator.db"


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
class Accepted:
    """A body that counts: who sent it, as what, and what it says.
    up_bytes: its messages, topics and headers included."""

    device: str
    kind: int
    counter: int
    role: str
    up_bytes: int
    report: Report


@dataclass(frozen=True)
class Round:
    """A round that is open. goal: updates that end it, 0 where all are waited for. sampled: whether only
    chosen devices train."""

    manifest: Manifest
    goal: int
    sampled: bool


class Store(Arrivals, Given):
    """The store at ``path``: one aggregator writes, others may read or provision meanwhile.

    Opening, locking and transactions: database.py. Devices and their keys: devices.py. What operators want:
    wishes.py. Bodies that are not whole yet: arrivals.py. Who was given which round: given.py.
    """

    # What the federation is about

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

    # What was refused

    def refuse(self, reason: str, device: str, count: int = 1) -> None:
        """Count refused messages. device: empty where it is not one of ours."""
        self._run(
            "INSERT INTO refusals VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            reason,
            device,
            count,
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

    def next_edition(self) -> int:
        """Return a number above all that it returned before: of what is told to boards next."""
        edition = self.edition() + 1
        self.set_meta("edition", str(edition))
        return edition

    def edition(self) -> int:
        """Return the last edition."""
        return int(self.meta("edition") or 0)

    def add_round(self, manifest: Manifest, goal: int = 0, sampled: bool = False) -> None:
        """Open a round."""
        self._run(
            "INSERT INTO rounds (number, phase, version, manifest, started, goal, sampled) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            manifest.round,
            manifest.phase,
            manifest.version,
            manifest.to_json(),
            time.time(),
            goal,
            sampled,
        )

    def set_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest of an open round by another edition."""
        self._run("UPDATE rounds SET manifest = ? WHERE number = ?", manifest.to_json(), manifest.round)

    def close_round(self, number: int, abandoned: bool = False) -> None:
        """End a round and forget the bodies that went into it: only what they said stays.

        abandoned: no model was made of them. Late bodies for an earlier round go with it too.
        """
        self._run(
            "UPDATE rounds SET ended = ?, abandoned = ? WHERE number = ?", time.time(), abandoned, number
        )
        self._run("UPDATE reports SET body = NULL WHERE round = ? OR used = ?", number, number)

    def open_round(self) -> Round | None:
        """Return the round that has not ended."""
        row = self._one(
            "SELECT manifest, goal, sampled FROM rounds WHERE ended IS NULL ORDER BY number DESC LIMIT 1"
        )
        return None if row is None else Round(Manifest.from_json(row[0], self.run), row[1], bool(row[2]))

    def manifest(self, number: int) -> Manifest:
        """Return the manifest of a round that was begun."""
        (text,) = self._one("SELECT manifest FROM rounds WHERE number = ?", number)
        return Manifest.from_json(text, self.run)

    def last_round(self) -> tuple[int, str, int] | None:
        """Return (number, phase, version it started from) of the last round that was not abandoned."""
        row = self._one(
            "SELECT number, phase, version FROM rounds WHERE NOT abandoned ORDER BY number DESC LIMIT 1"
        )
        return None if row is None else (row[0], row[1], row[2])

    def last_number(self) -> int:
        """Return the number of the last round, 0 before the first one."""
        return int(self._one("SELECT coalesce(max(number), 0) FROM rounds")[0])

    def count_rounds(self, phase: str) -> int:
        """Return how many rounds of this phase there were, without those that were abandoned."""
        return int(self._one("SELECT count(*) FROM rounds WHERE phase = ? AND NOT abandoned", phase)[0])

    def rounds(self) -> list[tuple[int, str, int, bool]]:
        """Return (number, phase, version it started from, whether it has ended) of every round, in order."""
        return self._all("SELECT number, phase, version, ended IS NOT NULL FROM rounds ORDER BY number")

    # Bodies that count

    def accept(self, number: int, accepted: Accepted, body: bytes, used: int | None = None) -> None:
        """Store a checked body, without its tag. used: the round that it goes into, where it came late."""
        report = accepted.report
        self._run(
            f"INSERT INTO reports VALUES ({', '.join('?' * 17)})",
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
            report.train_ms,
            used,
        )

    def has_accepted(self, number: int, device: str) -> bool:
        """Tell whether a body of this device counts in a round."""
        return self._one("SELECT 1 FROM reports WHERE round = ? AND device = ?", number, device) is not None

    def accepted(self, number: int) -> list[Accepted]:
        """Return what was accepted for a round, in the order of the devices' names."""
        return [
            Accepted(*row[:_HEAD], Report(*row[_HEAD:-2], _tuple(row[-2]), row[-1]))  # type: ignore[call-arg]
            for row in self._all(_REPORTS, number)
        ]

    def answers(self, number: int) -> list[tuple[str, int, int, int]]:
        """Return (device, round, kind, samples) of what counts in a round: for it, or for an earlier one and
        late."""
        return self._all(
            "SELECT device, round, kind, samples FROM reports "
            "WHERE (round = ? AND used IS NULL) OR used = ? ORDER BY device",
            number,
            number,
        )

    def newest_version(self) -> int:
        """Return the version of the newest model."""
        return int(self._one("SELECT max(version) FROM models")[0])

    def body_of(self, number: int, device: str) -> tuple[bytes, int, int]:
        """Return (body, version that it starts from, samples) of an accepted update that is not yet used."""
        row = self._one(
            "SELECT body, version, samples FROM reports WHERE round = ? AND device = ?", number, device
        )
        return bytes(row[0]), row[1], row[2]


_HEAD = 5  # columns before those of the report
_REPORTS = (
    "SELECT device, kind, counter, role, up_bytes, version, samples, evaluated, "
    "loss, accuracy, training_loss, ranges, train_ms "
    "FROM reports WHERE round = ? ORDER BY device"
)


def _floats(values: NDArray[np.floating[Any]]) -> bytes:
    return values.astype("<f4").tobytes()


def _tuple(data: bytes) -> tuple[float, ...]:
    return tuple(np.frombuffer(data, "<f4").tolist())
