"""The tables of the aggregator's store, a list of migrations: released ones are never edited."""

import sqlite3

from fedmote.errors import FedmoteError

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('run', lower(hex(randomblob(4))));

    CREATE TABLE devices (
        device TEXT PRIMARY KEY,
        key BLOB NOT NULL,
        created REAL NOT NULL,
        revoked REAL,
        online INTEGER NOT NULL DEFAULT 0,
        role TEXT NOT NULL DEFAULT 'learn',
        layout TEXT NOT NULL DEFAULT '',
        up_bytes INTEGER NOT NULL DEFAULT 0,
        down_bytes INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    -- "values" holds all trainable values, little-endian float32;
    -- ranges likewise, one of each layer, as boards measured them.
    CREATE TABLE models (
        version INTEGER PRIMARY KEY,
        "values" BLOB NOT NULL,
        sha256 TEXT NOT NULL,
        ranges BLOB,
        created REAL NOT NULL
    );

    CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        phase TEXT NOT NULL,
        version INTEGER NOT NULL REFERENCES models,
        manifest TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL
    );

    -- The one body that a device is sending. Nothing in it is trusted before it is
    -- complete and its tag is checked.
    CREATE TABLE partials (
        device TEXT PRIMARY KEY REFERENCES devices,
        round INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        counter INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE chunks (
        device TEXT NOT NULL REFERENCES partials ON DELETE CASCADE,
        position INTEGER NOT NULL,
        piece BLOB NOT NULL,
        PRIMARY KEY (device, position)
    ) WITHOUT ROWID;

    -- An accepted body: an update (kind 2) or an evaluation (kind 3). Its bytes go when the round has ended.
    CREATE TABLE reports (
        round INTEGER NOT NULL REFERENCES rounds,
        device TEXT NOT NULL REFERENCES devices,
        kind INTEGER NOT NULL,
        counter INTEGER NOT NULL,
        role TEXT NOT NULL,
        version INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        evaluated INTEGER NOT NULL,
        loss REAL NOT NULL,
        accuracy REAL NOT NULL,
        training_loss REAL NOT NULL,
        ranges BLOB NOT NULL,
        up_bytes INTEGER NOT NULL,
        received REAL NOT NULL,
        body BLOB,
        PRIMARY KEY (round, device)
    ) WITHOUT ROWID;

    CREATE TABLE refusals (
        reason TEXT NOT NULL,
        device TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (reason, device)
    ) WITHOUT ROWID;
    """,
)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the open database up to this fedmote's schema; each script is one transaction.

    name: what to call the file in errors. Raises FedmoteError where a newer fedmote wrote it.
    """
    while (version := check(connection, name)) < len(MIGRATIONS):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            if check(connection, name) == version:  # nobody else was faster
                for statement in MIGRATIONS[version].split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def check(connection: sqlite3.Connection, name: str) -> int:
    """Return how many migrations the database has seen.

    Raises FedmoteError where they are more than are known.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise FedmoteError(
            f"{name} has schema {version}, this fedmote knows {len(MIGRATIONS)}: a newer fedmote wrote it, "
            "upgrade (pip install --upgrade fedmote) or use another --state"
        )
    return version
