"""The devices in the aggregator's store: their keys, and what they last told. It opens no file."""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fedmote.errors import FedmoteError
from fedmote.federation.database import Database
from mote import wire

#: what the statuses tell and the store keeps: columns of its table, keys of a status
TOLD = ("board", "runtime", "firmware", "kernel", "release", "version", "rssi")


@dataclass(frozen=True)
class Device:
    """A provisioned device, with what it last told; None where it never did.

    The bytes are those of updates and of models and receipts, topics and headers included. last_seen: seconds
    since the epoch, exact to some seconds. rssi: dBm. battery: volts. protocol: the version that it speaks.
    quarantine: why nothing is taken from it, None where it is. back: when it is back from the sleep that it
    told of, at the latest, seconds since the epoch. The other texts come from the device: bounded and
    printable, not to be believed.
    """

    device: str
    created: float
    revoked: bool
    online: bool
    role: str
    layout: str
    up_bytes: int
    down_bytes: int
    board: str | None
    runtime: str | None
    firmware: str | None
    kernel: str | None
    release: str | None
    version: int | None
    rssi: int | None
    battery: float | None
    last_seen: float | None
    protocol: int | None
    quarantine: str | None
    back: float | None


@dataclass(slots=True)
class Member:
    """What a running aggregator must know of a device. counter: of its last body that counted. epoch_ms: how
    long a pass over its samples took it last. quarantined: nothing of it is taken. back: as of a Device."""

    key: bytes
    online: bool
    role: str
    layout: str
    protocol: int
    counter: int
    epoch_ms: float | None
    quarantined: bool
    back: float | None


class Devices(Database):
    """The store's devices: provisioning, and what the aggregator notes of them."""

    def provision(self, device: str) -> bytes:
        """Return the 32-byte key of a device, drawn at its first call; a revoked device gets a new one.

        Raises FedmoteError for a name that the protocol does not allow.
        """
        _check_name(device)
        self._own_changes += 1
        with self.transaction():
            self._run(
                "INSERT INTO devices (device, key, created) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET key = excluded.key, created = excluded.created, revoked = NULL, counter = 0, "
                "quarantine = NULL, quarantined = NULL "
                "WHERE revoked IS NOT NULL",
                device,
                secrets.token_bytes(wire.KEY_BYTES),
                time.time(),
            )
            return bytes(self._one("SELECT key FROM devices WHERE device = ?", device)[0])

    def adopt(self, keys: Mapping[str, bytes]) -> int:
        """Take in devices with the keys that they already have, all or none; return how many are new here.

        Raises FedmoteError where one is known here under another key, or was revoked.
        """
        self._own_changes += 1
        with self.transaction():
            known = {device: (bytes(key), revoked) for device, key, revoked in self._all(_KEYS)}
            for device, key in keys.items():
                _check_name(device)
                own, revoked = known.get(device, (key, None))
                if revoked is not None:
                    raise FedmoteError(
                        f"device {device!r} was revoked here and its key stays refused: "
                        f"give it a new one with fedmote provision {device}"
                    )
                if own != key:
                    raise FedmoteError(
                        f"device {device!r} is known here under another key: "
                        "revoke it first, or leave it out of what is imported"
                    )
            new = keys.keys() - known
            for device in sorted(new):
                self._run(
                    "INSERT INTO devices (device, key, created) VALUES (?, ?, ?)",
                    device,
                    keys[device],
                    time.time(),
                )
        return len(new)

    def revoke(self, device: str) -> None:
        """Refuse whatever the device sends from now on, and what it sent for the open round.

        Raises FedmoteError where it was never provisioned.
        """
        self._own_changes += 1
        with self.transaction():
            if not self._run(
                "UPDATE devices SET revoked = coalesce(revoked, ?), online = 0 WHERE device = ?",
                time.time(),
                device,
            ):
                raise FedmoteError(f"device {device!r} is not known here: see fedmote provision --list")
            self._run("DELETE FROM partials WHERE device = ?", device)
            self._run("DELETE FROM assignments WHERE device = ?", device)
            self._run(f"DELETE FROM reports WHERE device = ? AND coalesce(used, round) IN ({_OPEN})", device)

    def quarantine(self, device: str, reason: str) -> None:
        """Note, within a transaction, that nothing is to be taken from a device, and why."""
        self._run(
            "UPDATE devices SET quarantine = ?, quarantined = ? WHERE device = ?", reason, time.time(), device
        )

    def release(self, device: str) -> None:
        """End the quarantine of a device. Raises FedmoteError where it is in none."""
        self._own_changes += 1
        with self.transaction():
            if not self._run(
                "UPDATE devices SET quarantine = NULL, quarantined = NULL "
                "WHERE device = ? AND quarantine IS NOT NULL",
                device,
            ):
                raise FedmoteError(f"device {device!r} is not in quarantine: see fedmote provision --list")

    def key(self, device: str) -> bytes | None:
        """Return a device's key, None where it is unknown or revoked."""
        row = self._one("SELECT key FROM devices WHERE device = ? AND revoked IS NULL", device)
        return None if row is None else bytes(row[0])

    def devices(self) -> list[Device]:
        """Return all devices by name, revoked ones included."""
        return [
            Device(name, created, bool(revoked), bool(online), *rest)
            for name, created, revoked, online, *rest in self._all(_DEVICES)
        ]

    def note_status(
        self, device: str, online: bool, told: Mapping[str, Any], back: float | None = None
    ) -> None:
        """Note a checked status. Online, it tells all of TOLD, what it leaves out is unknown; role and layout
        stay as last told. Offline, it says no more than that, and when the device is ``back``."""
        if not online:
            self._run("UPDATE devices SET online = 0, back = ? WHERE device = ?", back, device)
            return
        self._run(
            f"UPDATE devices SET online = 1, last_seen = ?, back = NULL, "
            f"{', '.join(f'{key} = ?' for key in TOLD)}, "
            "protocol = ?, "
            "role = coalesce(?, role), layout = coalesce(?, layout) WHERE device = ?",
            time.time(),
            *(told.get(key) for key in (*TOLD, "protocol", "role", "layout")),
            device,
        )

    def note_heard(self, device: str, last_seen: float, told: Mapping[str, Any]) -> None:
        """Note when a device was last heard, and of its telemetry version, rssi and battery where there."""
        self.note_all_heard([(device, last_seen, told)])

    def note_all_heard(self, heard: Iterable[tuple[str, float, Mapping[str, Any]]]) -> None:
        """Note the same of many devices."""
        self._many(
            "UPDATE devices SET last_seen = ?, version = coalesce(?, version), rssi = coalesce(?, rssi), "
            "battery = coalesce(?, battery) WHERE device = ?",
            (
                (last_seen, told.get("version"), told.get("rssi"), told.get("battery"), device)
                for device, last_seen, told in heard
            ),
        )

    def members(self) -> dict[str, Member]:
        """Return what a running aggregator must know of every device that is not revoked."""
        return {
            device: Member(bytes(key), bool(online), *rest)
            for device, key, online, *rest in self._all(
                "SELECT device, key, online, role, layout, coalesce(protocol, 1), counter, epoch_ms, "
                "quarantine IS NOT NULL, back FROM devices WHERE revoked IS NULL"
            )
        }

    def note_answer(self, device: str, counter: int, epoch_ms: float | None) -> None:
        """Note the counter of a body that counts and, where it tells it, how long a local epoch takes."""
        self._run(
            "UPDATE devices SET counter = ?, epoch_ms = coalesce(?, epoch_ms) WHERE device = ?",
            counter,
            epoch_ms,
            device,
        )

    def add_traffic(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Count (bytes up, bytes down, device) of devices."""
        self._many(
            "UPDATE devices SET up_bytes = up_bytes + ?, down_bytes = down_bytes + ? WHERE device = ?", rows
        )


_OPEN = "SELECT number FROM rounds WHERE ended IS NULL"
_KEYS = "SELECT device, key, revoked FROM devices"
_DEVICES = (
    "SELECT device, created, revoked IS NOT NULL, online, role, layout, up_bytes, down_bytes, "
    f"{', '.join(TOLD)}, battery, last_seen, protocol, quarantine, back FROM devices ORDER BY device"
)


def _check_name(device: str) -> None:
    if not wire.valid_name(device):
        raise FedmoteError(f"device name {device!r}: use 1 to 32 characters of a-z, 0-9, - and _")
