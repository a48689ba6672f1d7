"""``fedmote provision``: gives devices their keys, lists and revokes
them, in the state of an aggregator, running or not."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fedmote.boards import image
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.store import STATE, STORE_NAME, Device, Store
from mote import wire

ROLES = ("learn", "evaluate")


def main(
    device: Annotated[
        str | None, typer.Argument(help="Name of the device: a-z, 0-9, - and _.", show_default=False)
    ] = None,
    federation: Annotated[str, typer.Option(help="Name of the federation.")] = "watch",
    state: Annotated[
        Path | None, typer.Option(help="Folder of the aggregator. (default: fedmote-state/FEDERATION)")
    ] = None,
    broker: Annotated[
        str, typer.Option(metavar="URL", help="The broker as the board reaches it.")
    ] = "mqtt://127.0.0.1:1883",
    role: Annotated[str, typer.Option(help="learn, or evaluate only.")] = "learn",
    board: Annotated[str, typer.Option(help="Name of the board, see fedmote boards.")] = "unknown",
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Refuse the device from now on.", metavar="")
    ] = False,
    as_list: Annotated[bool, typer.Option("--list", help="List all devices.", metavar="")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.", metavar="")] = False,
) -> None:
    """Give a device its key and print its settings.toml; asked again, the same key.

    Examples:
      fedmote provision kitchen --broker mqtt://192.168.1.5 > settings.toml
      fedmote provision kitchen --revoke
      fedmote provision --list
    """
    if not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    if role not in ROLES:
        raise FedmoteError(f"role {role!r} is unknown, choose one of: {', '.join(ROLES)}")
    if (device is None) != as_list:
        raise FedmoteError("name one device to provision or revoke, or use --list alone")
    address = BrokerAddress.parse(broker)
    path = (state or STATE / federation) / STORE_NAME
    if (revoke or as_list) and not path.exists():
        raise FedmoteError(f"there is no federation in {path.parent}: name its folder with --state")
    with Store(path) as store:
        if device is None:
            print(_list(store, as_json))
        elif revoke:
            store.revoke(device)
        else:
            key = store.provision(device)
            settings = {
                "FEDERATION": federation,
                "DEVICE": device,
                "KEY": key.hex(),
                "BROKER": address.url,
                "ROLE": role,
                "BOARD": board,
            }
            print(image.settings_text(settings), end="")


def _list(store: Store, as_json: bool) -> str:
    devices = [_row(device) for device in store.devices()]
    if as_json:
        return json.dumps(devices, indent=2)
    lines = [f"{'device':<32}  {'state':<8}  {'role':<8}  {'up':>10}  {'down':>10}"]
    lines += [
        f"{row['device']:<32}  {row['state']:<8}  {row['role']:<8}  "
        f"{row['up_bytes']:>10}  {row['down_bytes']:>10}"
        for row in devices
    ]
    return "\n".join(lines)


def _row(device: Device) -> dict[str, Any]:
    state = "revoked" if device.revoked else "online" if device.online else "offline"
    return {
        "device": device.device,
        "state": state,
        "role": device.role,
        "up_bytes": device.up_bytes,
        "down_bytes": device.down_bytes,
    }
