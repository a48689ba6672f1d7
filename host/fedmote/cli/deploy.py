"""``fedmote deploy``: puts program, model and settings onto a board, and shows that it runs."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from fedmote.boards import catalogue
from fedmote.boards.deploying import Deployment, Order, copying, first_line, places, prepare, settings
from fedmote.boards.deploying.target import Advance, Target
from fedmote.cli.options import App, Baud, State
from fedmote.errors import FedmoteError
from fedmote.models.application import Application
from fedmote.monitor.telemetry import Telemetry

WIFI_SSID, WIFI_PASSWORD = "FEDMOTE_WIFI_SSID", "FEDMOTE_WIFI_PASSWORD"
WEB_PASSWORD = "FEDMOTE_WEB_PASSWORD"


def main(
    board: Annotated[
        str, typer.Option("--board", "-b", help="The board, see fedmote boards.", show_default=False)
    ],
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            "-p",
            help="Serial port, CIRCUITPY drive, http:// address of a CircuitPython board, or folder to fill "
            "(a new one ends with /). Without it the one board that is there is used.",
            show_default=False,
        ),
    ] = None,
    app: App = "watch",
    runtime: Annotated[
        str | None,
        typer.Option(help="micropython or circuitpython. (default: what runs there)", show_default=False),
    ] = None,
    federation: Annotated[
        str | None,
        typer.Option(
            help="Federation to join. Without it and --broker the board only infers.",
            show_default=False,
        ),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The broker as the board reaches it.", show_default=False),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the CA of the broker's certificate, for the board to have.", show_default=False
        ),
    ] = None,
    state: State = None,
    device: Annotated[
        str | None,
        typer.Option(help="Id of the board. (default: the one it has, else a new one)", show_default=False),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(help="Whose recording the board replays. (default: the first one)", show_default=False),
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(help="Sensor to read instead of a recording, see docs/sensors.md.", show_default=False),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="learn, or evaluate only. (default: learn)", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the order of the recording. (default: 1)", show_default=False)
    ] = None,
    wifi: Annotated[
        str | None,
        typer.Option(
            metavar="SSID",
            help=f"Wi-Fi to join; its password is asked for, or taken from {WIFI_PASSWORD}. "
            f"(default: {WIFI_SSID}, else the one the board has)",
            show_default=False,
        ),
    ] = None,
    wifi_file: Annotated[
        Path | None,
        typer.Option(
            help="Take the Wi-Fi from a file with its two lines of settings.toml.", show_default=False
        ),
    ] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other line of settings.toml; without a value it is removed.",
            show_default=False,
        ),
    ] = None,
    baud: Baud = 115200,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the first telemetry; 0: do not.", min=0)
    ] = 40,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be copied and removed, change nothing.", metavar=""),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print what is copied, and the first telemetry, as JSON.", metavar=""),
    ] = False,
) -> None:
    """Put program, model and settings onto a board with MicroPython or CircuitPython, and show that it runs.

    Only what differs is copied. Interrupted, it can be run again: the board starts meanwhile.

    Examples:
      fedmote deploy --board rpi_pico_w --port /dev/ttyACM0 --app watch
      fedmote deploy --board rpi_pico_w --federation home --broker mqtt://192.168.1.5 --wifi Hive
      fedmote deploy --board esp32_s3 --sensor lsm6ds --set RATE_HZ=50
      fedmote deploy --board adafruit_feather_esp32s3 --port /media/CIRCUITPY
      fedmote deploy --board rpi_pico_w --port pico/        (a folder to copy from later)
    """
    if wifi and wifi_file:
        raise FedmoteError("--wifi and --wifi-file exclude each other: choose one")
    order = Order(
        board=catalogue.find(board),
        application=Application.load(app),
        runtime=runtime,
        client=client,
        sensor=sensor,
        role=role,
        federation=federation,
        broker=broker,
        ca=ca,
        state=state,
        device=device,
        seed=seed,
        wifi=settings.wifi_of(wifi_file) if wifi_file else _wifi(wifi or os.environ.get(WIFI_SSID)),
        extra=settings.parse(extra or []),
    )
    with contextlib.closing(places.open_target(port, baud, _web_password)) as target:
        deployment = prepare(order, target, provision=not dry_run)
        if dry_run:
            if not as_json:
                _print_files(deployment)
            _print(deployment, target, None, as_json)
            return
        with _progress(deployment.plan.size) as advance:
            copying.carry_out(target, deployment.plan, advance)
        started = target.restart()
        first = first_line.wait(target.listen(), wait) if started and wait else None
        _print(deployment, target, first, as_json)


def _wifi(ssid: str | None) -> dict[str, settings.Value | None] | None:
    if not ssid:
        return None
    password = os.environ.get(WIFI_PASSWORD)
    if password is None:
        password = _ask(f"Password of the Wi-Fi {ssid}", f"put it into {WIFI_PASSWORD} or use --wifi-file")
    return {settings.SSID: ssid, settings.PASSWORD: password}


def _web_password(address: str) -> str:
    return os.environ.get(WEB_PASSWORD) or _ask(
        f"CIRCUITPY_WEB_API_PASSWORD of {address}", f"put it into {WEB_PASSWORD}"
    )


def _ask(question: str, otherwise: str) -> str:
    if not sys.stdin.isatty():
        raise FedmoteError(f"{question}: there is nobody to ask, {otherwise}")
    return str(typer.prompt(question, hide_input=True, err=True, default="", show_default=False))


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Advance]:
    columns = (TextColumn("copying"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.update(task, advance=count)


def _print(deployment: Deployment, target: Target, first: Telemetry | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_table(deployment, target, first), indent=2))
        return
    plan, values = deployment.plan, deployment.contents.values
    files = sum(1 for _ in plan.changes)
    print(f"{target.name}: {values['BOARD']}, {deployment.runtime}, device {deployment.contents.device}")
    print(
        f"  files       {files} copied ({plan.size / 1000:,.1f} kB), {len(plan.obsolete)} removed, "
        f"{plan.unchanged} as they were"
    )
    if "BROKER" in values:
        print(f"  federation  {values['FEDERATION']} at {_broker(values)}")
    version = deployment.contents.version
    print(f"  model       {'as it was, or untrained' if version is None else f'version {version}'}")
    if first is not None:
        print(f"  it runs     {_said(first)}")
    if "BROKER" in values and settings.SSID not in values and values["BOARD"] != "virtual":
        print("warning: no Wi-Fi is set: deploy again with --wifi SSID", file=sys.stderr)


def _print_files(deployment: Deployment) -> None:
    for change in deployment.plan.changes:
        print(f"  copy    {len(change.content):>9,}  {change.path}")
    for path in deployment.plan.obsolete:
        print(f"  remove             {path}")


def _said(first: Telemetry) -> str:
    """Return a line of telemetry for people."""
    said = [
        f"sensor {first.sensor}" if first.sensor else "",
        f"{first.rate_hz:g} Hz" if first.rate_hz else "",
    ]
    said += [f"label {first.label}" if first.label else "", f"state {first.state}" if first.state else ""]
    said += [f"{first.free_bytes / 1000:,.0f} kB of heap free" if first.free_bytes else "", first.error or ""]
    return ", ".join(text for text in said if text) or json.dumps(first.raw)


def _broker(values: dict[str, settings.Value]) -> str:
    from fedmote.federation.broker import BrokerAddress

    return str(BrokerAddress.parse(str(values["BROKER"])))  # without its password


def _table(deployment: Deployment, target: Target, first: Telemetry | None) -> dict[str, Any]:
    plan, values = deployment.plan, deployment.contents.values
    return {
        "board": values["BOARD"],
        "runtime": deployment.runtime,
        "port": target.name,
        "device": deployment.contents.device,
        "federation": values.get("FEDERATION"),
        "version": deployment.contents.version,
        "copy": [{"path": change.path, "bytes": len(change.content)} for change in plan.changes],
        "remove": plan.obsolete,
        "unchanged": plan.unchanged,
        "bytes": plan.size,
        "free_bytes": plan.room.free_bytes,
        "telemetry": None if first is None else first.raw,
    }
