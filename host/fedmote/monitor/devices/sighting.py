"""What is known of one board, and how what several places know is put together. It looks nowhere itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

ONLINE, OFFLINE, REVOKED = "online", "offline", "revoked"
RUNNING, SILENT, IDLE, UNREACHABLE = "running", "silent", "idle", "unreachable"
BOOT_LOADER = "boot loader"


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A board as one or more places know it; None where none of them does. docs/devices.md explains the keys.

    Texts that come from boards are bounded and printable. last_seen: seconds since the epoch.
    """

    device: str | None = None
    federation: str | None = None
    board: str | None = None
    candidates: tuple[str, ...] = ()
    machine: str | None = None
    runtime: str | None = None
    firmware: str | None = None
    kernel: str | None = None
    release: str | None = None
    version: int | None = None
    role: str | None = None
    state: str
    last_seen: float | None = None
    battery: float | None = None
    rssi: int | None = None
    note: str | None = None
    where: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all keys, JSON-ready: last_seen in UTC, as ISO 8601."""
        values = {key.name: getattr(self, key.name) for key in fields(self)}
        values["candidates"], values["where"] = list(self.candidates), list(self.where)
        if self.last_seen is not None:
            values["last_seen"] = datetime.fromtimestamp(self.last_seen, UTC).isoformat(timespec="seconds")
        return values


def combine(
    connected: Iterable[Sighting], heard: Iterable[Sighting], stored: Iterable[Sighting] | None
) -> list[Sighting]:
    """Return one sighting for each serial port, then one for each other device of a federation.

    connected: at serial ports. heard: at the broker; of one federation where ``stored`` is given. stored: of
    the aggregator's store, None where it was not asked. Two ports with one device id stay two: that is a
    mistake to be seen.
    """
    in_store = {sighting.device: sighting for sighting in stored or ()}
    at_broker: dict[str | None, list[Sighting]] = {}
    for sighting in heard:
        if stored is not None and sighting.device not in in_store:
            sighting = replace(sighting, note="not provisioned here")
        at_broker.setdefault(sighting.device, []).append(sighting)
    rows = []
    for port in connected:
        same = at_broker.get(port.device, []) if port.device else []
        if len(same) == 1 or port.device in in_store:
            rows.append(_joined(port, same[0] if same else None, in_store.get(port.device)))
        else:
            rows.append(port)
    at_computer = {row.device for row in rows if len(row.where) > 1}
    for device in sorted({*at_broker, *in_store} - at_computer, key=str):
        rows += [_joined(None, one, in_store.get(device)) for one in at_broker.get(device, [None])]
    return rows


def _joined(port: Sighting | None, heard: Sighting | None, stored: Sighting | None) -> Sighting:
    """Put together what is known of one device: of each key what the broker says, then port, then store."""
    known = [sighting for sighting in (heard, port, stored) if sighting is not None]
    values: dict[str, Any] = {key.name: _first(known, key.name) for key in fields(Sighting)}
    values["last_seen"] = max((s.last_seen for s in known if s.last_seen is not None), default=None)
    values["note"] = "; ".join(s.note for s in known if s.note) or None
    values["where"] = tuple(place for s in (port, heard, stored) if s is not None for place in s.where)
    if values["board"]:
        values["candidates"] = ()
    if stored is not None and (
        stored.state == REVOKED
        or (heard is None and port is not None and port.state in (SILENT, UNREACHABLE))
    ):
        values["state"] = stored.state
    return Sighting(**values)


def _first(known: Sequence[Sighting], key: str) -> Any:
    told = [value for sighting in known if (value := getattr(sighting, key)) not in (None, ())]
    return told[0] if told else getattr(known[0], key)
