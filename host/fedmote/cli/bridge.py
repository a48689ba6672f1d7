"""``fedmote bridge``: connects a federation to other worlds, and tells what that costs."""

import asyncio
import json
import logging
import re
import signal
import time
import tomllib
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fedmote.cli.options import App, Ca, Cert, Key, PasswordFile, State, broker_address
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.store import STATE
from mote import airtime, wire

logger = logging.getLogger("fedmote.bridge")

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Region = Annotated[str, typer.Option(help=f"Frequency plan: {', '.join(airtime.REGIONS)}.")]
FederationName = Annotated[str, typer.Option(help="Name of the federation.")]

_EUI = re.compile("[0-9a-f]{16}")


@commands.callback()
def options() -> None:
    """Connect a federation to other worlds: boards on LoRaWAN by way of ChirpStack.

    Examples:
      fedmote bridge chirpstack --application ID --devices devices.toml
      fedmote bridge status
    """


@commands.command()
def chirpstack(
    application: Annotated[
        str, typer.Option(metavar="ID", help="ChirpStack's id of the application, a UUID.")
    ],
    devices: Annotated[
        Path, typer.Option(help='TOML file with a line "0101010101010101" = "kitchen" for each device.')
    ],
    chirpstack: Annotated[
        str, typer.Option(metavar="URL", help="ChirpStack's MQTT broker.")
    ] = "mqtt://127.0.0.1:1883",
    broker: Annotated[
        str, typer.Option(metavar="URL", help="The federation's broker; --ca and so on are for it.")
    ] = "mqtt://127.0.0.1:1883",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    federation: FederationName = "watch",
    region: Annotated[str, typer.Option(help=f"Frequency plan: {', '.join(airtime.REGIONS)}.")] = "EU868",
    downlinks: Annotated[
        int, typer.Option(min=0, help="Most downlinks a day and device, 0 for any number.")
    ] = 10,
    state: State = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the final figures as JSON.", metavar="")
    ] = False,
) -> None:
    """Let boards on LoRaWAN take part, until Ctrl-C; then print what it took.

    The bridge has no keys: what boards sign passes through it unchanged. Stopped and
    started again, it goes on from its state.

    Examples:
      fedmote bridge chirpstack --application 17c82e96-be03-4f38-aef3-f83d48582d97 --devices devices.toml
      fedmote bridge chirpstack --application ID --devices devices.toml \\
        --chirpstack mqtts://fedmote:secret@lora.example --broker mqtt://127.0.0.1 --downlinks 0
    """
    from fedmote.bridges.chirpstack.bridge import Bridge

    logging.getLogger("fedmote").setLevel(min(logging.INFO, logging.getLogger().level))
    if not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    if not re.fullmatch(r"[0-9A-Za-z-]+", application):
        raise FedmoteError(f"application {application!r}: copy its id from ChirpStack's web page, a UUID")
    bridge = Bridge(application, federation, read_devices(devices), known_region(region), downlinks)
    path = _state_file(state, federation)
    network = BrokerAddress.parse(chirpstack)
    address = broker_address(broker, ca, cert, key, password_file)
    logger.info("%d devices of %s at %s, federation %s at %s", len(bridge.boards), application, network,
                federation, address)  # fmt: skip
    asyncio.run(_serve(bridge, network, address, path))
    print(_text(bridge.state(), as_json))


@commands.command()
def status(
    federation: FederationName = "watch",
    state: State = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.", metavar="")] = False,
) -> None:
    """Show airtime, frames and downlinks of each device, while the bridge runs or not.

    Examples:
      fedmote bridge status
      fedmote bridge status --json | jq '.[].today.up_airtime_ms'
    """
    from fedmote.bridges.chirpstack.service import load

    path = _state_file(state, federation)
    if not path.exists():
        raise FedmoteError(f"no bridge has run with {path}: name its folder with --state or --federation")
    print(_text(load(path), as_json))


@commands.command()
def cost(
    app: App = "watch",
    region: Region = "EU868",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.", metavar="")] = False,
) -> None:
    """Tell what a round would take over LoRaWAN: frames, airtime, days, at every data rate.

    Without losses; the model comes down in steps with the codec ternary, else whole.

    Examples:
      fedmote bridge cost --app digits
      fedmote bridge cost --json | jq 'map(select(.rate == 5))'
    """
    from fedmote.bridges.chirpstack.figures import figures
    from fedmote.models.application import Application
    from fedmote.models.compiler import sizes

    layers = Application.load(app).layers
    rows = figures(tuple(sizes(layers)), len(layers) - 1, known_region(region))
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print("codec    rate  bytes up  frames up  airtime s  hours at 1%  days at 30 s  frames down  days at 10")
    for row in rows:
        print(
            f"{row.codec:<8} {row.rate:>4}  {row.body_bytes:>8}  {row.up_frames:>9}  {row.airtime_s:>9.1f}  "
            f"{row.duty_hours:>11.2f}  {row.airtime_days:>12.2f}  {row.down_frames:>11}  "
            f"{row.downlink_days:>10.1f}"
        )


def known_region(name: str) -> str:
    """Return ``name``. Raises FedmoteError where it is no region."""
    if name not in airtime.REGIONS:
        raise FedmoteError(f"region {name!r} is unknown, choose one of: {', '.join(airtime.REGIONS)}")
    return name


def read_devices(path: Path) -> dict[str, str]:
    """Return EUI -> device id. Raises FedmoteError naming the entry that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FedmoteError(f"{path}: {error}") from None
    devices: dict[str, str] = {}
    for eui, name in table.items():
        if not _EUI.fullmatch(eui.lower()) or not wire.valid_name(name):
            raise FedmoteError(
                f'{path}: {eui!r} = {name!r}: write "EUI of 16 hexadecimal digits" = "device id"'
            )
        if name in devices.values():
            raise FedmoteError(f"{path}: two devices are called {name!r}")
        devices[eui.lower()] = name
    if not devices:
        raise FedmoteError(f'{path} names no device: write lines such as "0101010101010101" = "kitchen"')
    return devices


async def _serve(bridge: Any, network: BrokerAddress, broker: BrokerAddress, path: Path) -> None:
    from fedmote.bridges.chirpstack.service import serve

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(bridge, network, broker, path, stop)


def _state_file(state: Path | None, federation: str) -> Path:
    from fedmote.bridges.chirpstack.service import STATE_NAME

    return (state or STATE / federation) / STATE_NAME


def _text(state: dict[str, Any], as_json: bool) -> str:
    from fedmote.bridges.chirpstack.accounts import Account

    rows = []
    for eui, board in state["boards"].items():
        account = Account.from_json(board["account"])
        account.downlinks_today(time.time())  # a day may have passed since
        rows.append(
            {
                "device": board["device"],
                "eui": eui,
                "heard": board["heard"],
                "rssi": board["rssi"],
                "today": vars(account.today),
                "total": vars(account.total),
            }
        )
    if as_json:
        return json.dumps(rows, indent=2)
    lines = [
        f"{'device':<20}  {'heard':<16}  {'rssi':>4}  {'up':>6}  {'lost':>5}  {'bytes':>8}  "
        f"{'airtime today':>13}  {'in all':>9}  {'down today':>10}  {'in all':>6}"
    ]
    for row in rows:
        today, total = row["today"], row["total"]
        heard = "never" if row["heard"] is None else f"{datetime.fromtimestamp(row['heard']):%Y-%m-%d %H:%M}"
        lines.append(
            f"{row['device']:<20}  {heard:<16}  {'' if row['rssi'] is None else row['rssi']:>4}  "
            f"{total['up_frames']:>6}  {total['lost_frames']:>5}  {total['up_bytes']:>8}  "
            f"{today['up_airtime_ms'] / 1000:>11.1f} s  {total['up_airtime_ms'] / 1000:>7.1f} s  "
            f"{today['down_frames']:>10}  {total['down_frames']:>6}"
        )
    return "\n".join(lines)
