"""For the exploration: the aggregator's store, whose rows can be looked at, put back, and held against what
boards have sent."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from exploring_board import Body, ViolationError

from fedmote.federation.store import Store
from mote import wire

#: the tables that rounds are made of, what others refer to first
TABLES = ("meta", "devices", "models", "rounds", "assignments", "reports", "partials", "pieces", "wishes")

_OTHERWISE = ("devices", "partials", "pieces", "wishes")
#: columns that nothing depends on
_FIGURES = ("up_bytes", "down_bytes", "last_seen")

Rows = dict[str, tuple[tuple[Any, ...], ...]]
Bodies = Sequence[tuple[str, tuple[Body, ...]]]


class SharedStore(Store):
    """A store in memory, which several aggregators open one after the other."""

    def __init__(self, path: Path, shared: sqlite3.Connection) -> None:
        self._shared = shared
        super().__init__(path)

    def _connect(self, mode: str) -> sqlite3.Connection:
        return self._shared


class Tables:
    """The rows behind a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in TABLES
        }
        self._loaded: Rows = {}
        self._loaded_at = -1

    def look(self) -> Rows:
        """Return the rows as they are on disk, without those of a transaction under way."""
        if not self._connection.in_transaction and self._loaded_at != self._connection.total_changes:
            self._loaded_at = self._connection.total_changes
            now = {
                table: tuple(self._connection.execute(f"SELECT * FROM {table}").fetchall())
                for table in TABLES
            }
            # What has not changed stays one object, which is compared at once.
            self._loaded = {
                table: self._loaded[table] if self._loaded.get(table) == rows else rows
                for table, rows in now.items()
            }
        return self._loaded

    def load(self, rows: Rows) -> None:
        """Make the tables hold these rows."""
        other = [table for table in TABLES if self._loaded[table] != rows[table]]
        if not other:
            return
        self._connection.execute("BEGIN")
        self._connection.execute("PRAGMA defer_foreign_keys = ON")
        for table in other:
            self._connection.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" * len(self._columns[table]))
            self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])
        self._connection.execute("COMMIT")
        self._loaded, self._loaded_at = rows, self._connection.total_changes

    def records(self, rows: Rows, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table by column."""
        return [dict(zip(self._columns[table], row, strict=True)) for row in rows[table]]

    def identity(self, rows: Rows) -> Any:
        """Return what tells rows apart, without figures and without where pieces are."""
        first = {row["device"]: row["first"] for row in self.records(rows, "partials")}
        pieces = [
            (row["device"], row["position"], row["piece"])
            for row in self.records(rows, "pieces")
            if row["device"] in first and row["id"] >= first[row["device"]]
        ]
        partials = [row[:4] for row in rows["partials"]]  # without first
        shown = [i for i, name in enumerate(self._columns["devices"]) if name not in _FIGURES]
        devices = [tuple([row[i] for i in shown]) for row in rows["devices"]]
        others = [rows[table] for table in TABLES if table not in _OTHERWISE]
        return *others, *devices, *partials, *sorted(pieces)

    def check(self, rows: Rows, sent: Bodies) -> None:
        """Compare what counts with what boards have sent in their lives. Raises ViolationError."""
        bodies = {device: {body.counter: body for body in life} for device, life in sent}
        reports = self.records(rows, "reports")
        _check_reports(reports, bodies)
        models = {one["version"]: np.frombuffer(one["values"], "<f4") for one in self.records(rows, "models")}
        _check_models(models, self.records(rows, "rounds"), reports, bodies)


def _check_reports(reports: list[dict[str, Any]], bodies: dict[str, dict[int, Body]]) -> None:
    """Every report must be a body that its board has sent, and no body may stand in two."""
    seen = set()
    for report in reports:
        device, counter = report["device"], report["counter"]
        sent = bodies[device].get(counter)
        if sent is None:
            raise ViolationError(f"{device}: counter {counter} counts, but was never sent")
        said = sent.round, sent.kind, sent.version, sent.samples
        if said != (report["round"], report["kind"], report["version"], report["samples"]):
            raise ViolationError(f"{device}: counter {counter} counts as {report}, it was {sent}")
        if (device, counter) in seen:
            raise ViolationError(f"{device}: counter {counter} counts twice")
        seen.add((device, counter))


def _check_models(
    models: dict[int, Any],
    rounds: list[dict[str, Any]],
    reports: list[dict[str, Any]],
    bodies: dict[str, dict[int, Body]],
) -> None:
    """Every version must be the one before it and the weighted mean of what counts in one round."""
    made = 0
    for one in rounds:
        used = [r for r in reports if r["kind"] == wire.UPDATE and (r["used"] or r["round"]) == one["number"]]
        if one["ended"] is None or not used:
            continue
        made += 1
        weights = [r["samples"] * (1 + one["version"] - r["version"]) ** -0.5 for r in used]
        changes = [bodies[r["device"]][r["counter"]].change for r in used]
        expected = models[one["version"]] + np.average(changes, weights=weights)
        if made not in models or not np.allclose(models[made], expected, rtol=0, atol=1e-6):
            found = models[made][0] if made in models else None
            raise ViolationError(f"version {made} begins with {found}, it should with {expected[0]}")
    if made != max(models):
        raise ViolationError(f"{made} rounds made a version, there are {max(models)}")
