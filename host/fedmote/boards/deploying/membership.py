"""What a federation's store has for a board: its key and the newest model. Deploying writes to it nowhere
else."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fedmote.boards.catalogue import Board
from fedmote.boards.deploying.order import Order
from fedmote.boards.deploying.settings import Value
from fedmote.errors import FedmoteError
from fedmote.federation import access
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.session import compile_model
from fedmote.federation.store import STATE, STORE_NAME, Store
from mote import wire


def fresh_id(board: Board, serial_number: str | None) -> str:
    """Return an id that no other board has: with a serial number always the same."""
    return f"{board.name.replace('_', '-')[:24]}-{(serial_number or secrets.token_hex(3))[-6:]}"


def entry(
    order: Order, existing: Mapping[str, Value], device: str, provision: bool
) -> dict[str, Value | None]:
    """Return the settings with which a board takes part; none where nothing was said of a federation.

    existing: settings that it has. provision: whether the store may be changed; without,
    a key that it does not have is all zeros. Raises FedmoteError where the broker is
    missing, and where the key on the board cannot be the device's.
    """
    if order.federation is None and order.broker is None:
        return {}
    federation = order.federation or str(existing.get("FEDERATION", order.application.name))
    broker = order.broker or existing.get("BROKER")
    if broker is None:
        raise FedmoteError(
            f"federation {federation}: say where the board reaches its broker, --broker mqtt://HOST"
        )
    own = _key_in(existing) if existing.get("FEDERATION") == federation else None
    path = _store_path(order, federation)
    key = _key(path, device, own, provision)
    address = replace(BrokerAddress.parse(str(broker)), ca=order.ca)
    values: dict[str, Value | None] = {"BROKER_USER": None, "BROKER_PASSWORD": None}
    values.update(access.board_settings(address, federation, device, key))
    if order.broker is None:  # what is there was perhaps chosen by hand
        values.update({name: existing[name] for name in values if name in existing and name != "CA"})
    return {"FEDERATION": federation, "KEY": key.hex(), **values}


def newest_model(order: Order, runtime: str, federation: str) -> tuple[bytes, int | None]:
    """Return the newest model of the federation and its version; an untrained one where there is none."""
    application = order.application
    kernel = order.board.runtimes[runtime].kernels[0]
    path = _store_path(order, federation)
    if path.exists():
        with Store(path, read_only=True) as store:
            if store.meta("application") == application.name:
                model = store.model()
                ranges = model.ranges or store.newest_ranges()
                if model.version:
                    return compile_model(application, model.values, ranges, kernel), model.version
    return compile_model(application, kernel=kernel), None


def _key(path: Path, device: str, own: bytes | None, provision: bool) -> bytes:
    """Return the device's key: the one that it has where the store does not know better."""
    if not provision:
        known = None
        if path.exists():
            with Store(path, read_only=True) as store:
                known = store.key(device)
        return known or own or bytes(wire.KEY_BYTES)
    with Store(path) as store:
        known = store.key(device)
        if known is None and own is not None:
            store.adopt({device: own})
        return store.provision(device)


def _key_in(settings: Mapping[str, Value]) -> bytes | None:
    try:
        key = bytes.fromhex(str(settings.get("KEY", "")))
    except ValueError:
        return None
    return key if len(key) == wire.KEY_BYTES else None


def _store_path(order: Order, federation: str) -> Path:
    return (order.state or STATE / federation) / STORE_NAME
