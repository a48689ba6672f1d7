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
    """
    -- What statuses and telemetry tell of a device, NULL where they never did.
    -- last_seen: seconds since the epoch. rssi: dBm. battery: volts.
    ALTER TABLE devices ADD COLUMN board TEXT;
    ALTER TABLE devices ADD COLUMN runtime TEXT;
    ALTER TABLE devices ADD COLUMN firmware TEXT;
    ALTER TABLE devices ADD COLUMN kernel TEXT;
    ALTER TABLE devices ADD COLUMN release TEXT;
    ALTER TABLE devices ADD COLUMN version INTEGER;
    ALTER TABLE devices ADD COLUMN rssi INTEGER;
    ALTER TABLE devices ADD COLUMN battery REAL;
    ALTER TABLE devices ADD COLUMN last_seen REAL;
    """,
    """
    -- Releases whose chunks a broker retains, and the last offer of one to each device. counter: of that
    -- offer, larger than all before. release: NULL once it is withdrawn. Times: seconds since the epoch.
    CREATE TABLE releases (
        release TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL,
        name TEXT NOT NULL,
        published REAL NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE offers (
        device TEXT PRIMARY KEY REFERENCES devices,
        counter INTEGER NOT NULL,
        release TEXT REFERENCES releases,
        offered REAL NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    -- protocol: as the status tells it, NULL where it does not. counter: of the last body that counted.
    -- epoch_ms: how long the device took for a pass over its samples.
    ALTER TABLE devices ADD COLUMN protocol INTEGER;
    ALTER TABLE devices ADD COLUMN counter INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN epoch_ms REAL;

    -- goal: updates that end the round, 0 where all are waited for. sampled: whether only chosen devices
    -- train. abandoned: ended without a model, by the operator.
    ALTER TABLE rounds ADD COLUMN goal INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rounds ADD COLUMN sampled INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rounds ADD COLUMN abandoned INTEGER NOT NULL DEFAULT 0;

    -- used: the round whose aggregate a late update goes into, NULL for its own.
    ALTER TABLE reports ADD COLUMN train_ms REAL NOT NULL DEFAULT 0;
    ALTER TABLE reports ADD COLUMN used INTEGER;
    CREATE INDEX late_reports ON reports (used) WHERE used IS NOT NULL;

    -- The round that a device was given last. edition: of that manifest. answered: it needs no better answer.
    CREATE TABLE assignments (
        device TEXT PRIMARY KEY REFERENCES devices,
        round INTEGER NOT NULL REFERENCES rounds,
        edition INTEGER NOT NULL,
        epochs INTEGER NOT NULL,
        answered INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    -- What operators want of the aggregator. done: when it was, NULL before; answer: what came of it.
    CREATE TABLE wishes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        command TEXT NOT NULL,
        argument TEXT NOT NULL,
        asked REAL NOT NULL,
        done REAL,
        answer TEXT
    );
    """,
    """
    -- Pieces of the bodies in partials, in the order in which they came, and old ones: a device's are those
    -- from the id in first on.
    ALTER TABLE partials ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE pieces (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        position INTEGER NOT NULL,
        piece BLOB NOT NULL
    );
    INSERT INTO pieces (device, position, piece) SELECT device, position, piece FROM chunks;
    DROP TABLE chunks;

    -- quarantine: why nothing is taken from a device before an operator releases it, NULL where it is.
    -- quarantined: when that was, seconds since the epoch.
    ALTER TABLE devices ADD COLUMN quarantine TEXT;
    ALTER TABLE devices ADD COLUMN quarantined REAL;
    """,
    """
    -- back: when a device that left to sleep is back at the latest, by what it told, seconds since the epoch;
    -- NULL where it told nothing or is online.
    ALTER TABLE devices ADD COLUMN back REAL;
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
            if connection.in_transaction:  # SQLite has rolled back by itself where the disk is full
                connection.execute("ROLLBACK")
            raise


def is_old(connection: sqlite3.Connection, name: str) -> bool:
    """Tell whether an older fedmote wrote the database. Raises FedmoteError where a newer one did."""
    return check(connection, name) < len(MIGRATIONS)


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
