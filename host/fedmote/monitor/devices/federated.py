"""What a broker and an aggregator's store say of a federation's devices. It publishes and writes nothing."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedmote.federation.broker import BrokerAddress
from fedmote.federation.devices import TOLD, Device
from fedmote.federation.store import Store
from fedmote.monitor import events, subscription
from fedmote.monitor.devices.sighting import OFFLINE, ONLINE, REVOKED, Sighting

DEVICES = 10_000  # more are not kept: anybody may publish under any name
UNNAMED = "unknown"  # what a board without BOARD in its settings calls itself

_KEYS = (*TOLD, "role", "battery", "last_seen", "note")


def at_broker(address: BrokerAddress, federation: str | None, seconds: float) -> list[Sighting]:
    """Return the devices whose statuses the broker keeps, and those heard within ``seconds``, by name.

    federation: None for all that the broker has. Raises FedmoteError where the broker cannot be used.
    """
    known: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + seconds
    for event in subscription.follow(address, federation):  # which disconnects when it is let go
        if isinstance(event, events.Reported | events.Received):
            _take(known, event)
        if time.monotonic() >= end:
            break
    sightings = []
    for name, told in sorted(known.items()):
        federation, _, device = name.partition("/")
        sightings.append(_sighting(device, federation, told.get("state", ONLINE), str(address), told))
    return sightings


def in_store(path: Path, federation: str | None) -> list[Sighting]:
    """Return the devices of an aggregator's store, running or not, as it last heard of them, by name.

    federation: what it is called, if that is known. Raises FedmoteError where the store cannot be read.
    """
    with Store(path, read_only=True) as store:
        return [
            _sighting(
                device.device,
                federation,
                REVOKED if device.revoked else ONLINE if device.online else OFFLINE,
                str(path.parent),
                {**vars(device), "note": _note(device)},
            )
            for device in store.devices()
        ]


def _note(device: Device) -> str | None:
    if device.revoked:
        return None
    if device.quarantine is not None:
        return f"in quarantine ({device.quarantine}): fedmote provision {device.device} --release"
    if device.back is not None and device.back > time.time():
        return f"rests, back by {datetime.fromtimestamp(device.back, UTC):%H:%M:%S} UTC"
    return None


def _take(known: dict[str, dict[str, Any]], event: events.Reported | events.Received) -> None:
    if event.board not in known and len(known) >= DEVICES:
        return
    entry = known.setdefault(event.board, {})
    if isinstance(event, events.Reported):  # perhaps kept by the broker for long: it tells no time
        entry.update(event.status)
        return
    entry["last_seen"] = event.at
    for key in ("version", "rssi", "battery"):
        value = getattr(event.telemetry, key)
        if value is not None:
            entry[key] = value


def _sighting(
    device: str, federation: str | None, state: str, where: str, told: Mapping[str, Any]
) -> Sighting:
    values: dict[str, Any] = {key: told.get(key) for key in _KEYS}
    if values["board"] == UNNAMED:
        values["board"] = None
    return Sighting(device=device, federation=federation, state=state, where=(where,), **values)
