"""``fedmote provision``: gives devices their keys, lists, revokes, exports and imports them, in the state of
an aggregator, running or not."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from fedmote.boards import image
from fedmote.cli.options import broker_address
from fedmote.errors import FedmoteError
from fedmote.federation import access, provisioning
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.devices import Device
from fedmote.federation.store import STATE, STORE_NAME, Store
from mote import wire

ROLES = ("learn", "evaluate")
PASSWORD = "FEDMOTE_WIFI_PASSWORD"

_HOW = (
    "name one device, or a fleet with --prefix and --count, or the devices to --revoke or --release; "
    "or use --list or --import alone"
)


def main(
    devices: Annotated[
        list[str] | None, typer.Argument(help="Names of devices: a-z, 0-9, - and _.", show_default=False)
    ] = None,
    federation: Annotated[str, typer.Option(help="Name of the federation.")] = "watch",
    state: Annotated[
        Path | None, typer.Option(help="Folder of the aggregator. (default: fedmote-state/FEDERATION)")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Provision a fleet: PREFIX-001 and so on.", show_default=False)
    ] = None,
    count: Annotated[int | None, typer.Option(help="With --prefix: how many.", show_default=False)] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write FOLDER/DEVICE/settings.toml for each, instead of printing it.",
            show_default=False,
        ),
    ] = None,
    broker: Annotated[
        str, typer.Option(metavar="URL", help="The broker as the board reaches it.")
    ] = "mqtt://127.0.0.1:1883",
    ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the CA of the broker's certificate, for the board to have as ca.pem.",
            show_default=False,
        ),
    ] = None,
    role: Annotated[str, typer.Option(help="learn, or evaluate only.")] = "learn",
    board: Annotated[str, typer.Option(help="Name of the board, see fedmote boards.")] = "unknown",
    wifi: Annotated[
        str | None,
        typer.Option(
            metavar="SSID",
            help=f"The Wi-Fi to join; its password is asked for, or taken from {PASSWORD}.",
            show_default=False,
        ),
    ] = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Refuse the devices from now on.", metavar="")
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help="End the quarantine of the devices.", metavar="")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FOLDER",
            help="Take in devices with the keys in such a folder.",
            show_default=False,
        ),
    ] = None,
    as_list: Annotated[bool, typer.Option("--list", help="List all devices.", metavar="")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.", metavar="")] = False,
) -> None:
    """Give a device its key and print its settings.toml; asked again, the same key.

    Examples:
      fedmote provision kitchen --broker mqtt://192.168.1.5 > settings.toml
      fedmote provision --prefix kitchen --count 20 --export fleet/ --broker mqtt://192.168.1.5
      fedmote provision kitchen-007 --revoke
      fedmote provision kitchen-008 --release
      fedmote provision --import fleet/ --state new-aggregator/
      fedmote provision --list
    """
    if not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    if role not in ROLES:
        raise FedmoteError(f"role {role!r} is unknown, choose one of: {', '.join(ROLES)}")
    names = _names(devices or [], prefix, count)
    chosen = sum((bool(names), as_list, folder is not None))
    if chosen != 1 or ((revoke or release) and not devices) or (revoke and release):
        raise FedmoteError(_HOW)
    path = (state or STATE / federation) / STORE_NAME
    if (revoke or release or as_list) and not path.exists():
        raise FedmoteError(f"there is no federation in {path.parent}: name its folder with --state")
    if as_list:
        _list(path, as_json)
    elif folder is not None:
        _adopt(path, folder, federation)
    elif revoke:
        _revoke(path, names)
    elif release:
        _release(path, names)
    else:
        settings = {"ROLE": role, "BOARD": board} | _wifi(wifi)
        _issue(path, names, federation, broker_address(broker, ca), settings, export)


def _names(devices: list[str], prefix: str | None, count: int | None) -> list[str]:
    if prefix is None and count is None:
        return devices
    if prefix is None or count is None or devices:
        raise FedmoteError("a fleet has both --prefix and --count, and no other names")
    return provisioning.names_of(prefix, count)


def _issue(
    path: Path,
    names: list[str],
    federation: str,
    broker: BrokerAddress,
    settings: dict[str, str],
    folder: Path | None,
) -> None:
    if len(names) > 1 and folder is None:
        raise FedmoteError(f"{len(names)} devices need a settings.toml each: name a folder with --export")
    files = access.board_files(broker)
    image.settings_text(settings)  # before a device is provisioned for nothing
    fleet = {}
    with Store(path) as store:
        for name in names:
            key = store.provision(name)
            entry = access.board_settings(broker, federation, name, key)
            who = {"FEDERATION": federation, "DEVICE": name, "KEY": key.hex()}
            fleet[name] = who | entry | settings
    if folder is None:
        print(image.settings_text(fleet[names[0]]), end="")
    else:
        new = provisioning.export(folder, fleet, files)
        print(f"{folder} holds the settings of {_devices(fleet)}, {new} of them new")


def _adopt(path: Path, folder: Path, federation: str) -> None:
    keys = provisioning.keys_in(folder, federation)
    with Store(path) as store:
        new = store.adopt(keys)
    print(f"{path.parent} knows the keys of {_devices(keys)} in {folder}, {new} of them new")


def _release(path: Path, names: list[str]) -> None:
    with Store(path) as store:
        for name in names:
            store.release(name)
    print(f"{path.parent} takes bodies again of {_devices(names)}")


def _revoke(path: Path, names: list[str]) -> None:
    with Store(path) as store:
        for name in names:
            store.revoke(name)


def _devices(names: Collection[str]) -> str:
    return "1 device" if len(names) == 1 else f"{len(names)} devices"


def _wifi(ssid: str | None) -> dict[str, str]:
    if ssid is None:
        return {}
    password = os.environ.get(PASSWORD)
    if password is None:
        password = typer.prompt(f"Password of the Wi-Fi {ssid}", hide_input=True, err=True)
    return {"CIRCUITPY_WIFI_SSID": ssid, "CIRCUITPY_WIFI_PASSWORD": password}


def _list(path: Path, as_json: bool) -> None:
    with Store(path, read_only=True) as store:
        devices = [_row(device) for device in store.devices()]
    if as_json:
        print(json.dumps(devices, indent=2))
        return
    print(f"{'device':<32}  {'state':<10}  {'role':<8}  {'up':>10}  {'down':>10}")
    for row in devices:
        print(
            f"{row['device']:<32}  {row['state']:<10}  {row['role']:<8}  "
            f"{row['up_bytes']:>10}  {row['down_bytes']:>10}"
        )


def _row(device: Device) -> dict[str, Any]:
    state = "revoked" if device.revoked else "online" if device.online else "offline"
    if device.quarantine is not None and not device.revoked:
        state = "quarantine"
    return {
        "device": device.device,
        "state": state,
        "quarantine": device.quarantine,
        "role": device.role,
        "up_bytes": device.up_bytes,
        "down_bytes": device.down_bytes,
    }
