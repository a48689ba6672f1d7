"""``fedmote devices``: lists the boards at this computer and in a federation, in one table or as JSON."""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from fedmote.cli.options import Ca, Cert, Key, PasswordFile, broker_address
from fedmote.errors import FedmoteError
from fedmote.monitor.devices.sighting import Sighting, combine
from mote import wire

if TYPE_CHECKING:
    from fedmote.federation.broker import BrokerAddress

_PIPE_WIDTH = 240
_STYLES = {
    "online": "green",
    "running": "green",
    "offline": "red",
    "revoked": "red",
    "unreachable": "red",
    "boot loader": "yellow",
}


def main(
    broker: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Listen at this broker too.", show_default=False),
    ] = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    federation: Annotated[
        str | None,
        typer.Option(help="Name of the federation. (default: all that are at --broker)", show_default=False),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Read the store of this aggregator's folder too. (default: fedmote-state/FEDERATION "
            "where --federation is named without --broker)",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port", "-p", help="Look at this serial port instead; may be repeated.", show_default=False
        ),
    ] = None,
    ask: Annotated[
        bool,
        typer.Option("--ask", help="Interrupt boards that say nothing, and start them again.", metavar=""),
    ] = False,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.1, max=3600)] = 3.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that is known as JSON.", metavar="")
    ] = False,
) -> None:
    """List boards: on USB, virtual ones that run, and those of a federation.

    It listens and disturbs nothing; only --ask interrupts a board.

    Examples:
      fedmote devices
      fedmote devices --ask
      fedmote devices --broker mqtt://192.168.1.5
      fedmote devices --federation house --json | jq -r '.[] | select(.state == "offline") | .device'
    """
    address = broker_address(broker, ca, cert, key, password_file) if broker else None
    sightings = _find(address, federation, state, port, ask, seconds)
    if as_json:
        print(json.dumps([sighting.to_json() for sighting in sightings], indent=2))
    elif not sightings:
        print(
            "no board found: connect one over USB, start virtual boards (fedmote fleet), "
            "or name a federation with --broker or --state",
            file=sys.stderr,
        )
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _PIPE_WIDTH
        console.print(_table(sightings, time.time(), console.width >= _WIDE))


def _find(
    broker: "BrokerAddress | None",
    federation: str | None,
    state: Path | None,
    named: list[str] | None,
    ask: bool,
    seconds: float,
) -> list[Sighting]:
    from fedmote.federation.store import STATE, STORE_NAME
    from fedmote.monitor import ports
    from fedmote.monitor.devices import connected, federated

    if federation is not None and not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    if state is not None and broker is not None and federation is None:
        raise FedmoteError(f"name the federation that {state} and {broker} share with --federation")
    if state is None and broker is None and federation is not None:
        state = STATE / federation
    if state is not None and not (state / STORE_NAME).exists():
        raise FedmoteError(
            f"there is no federation in {state}: name its folder with --state, or its broker with --broker"
        )
    at_ports = [ports.Port(one, one) for one in named] if named else ports.find()
    with ThreadPoolExecutor(1) as pool:  # broker and ports are heard at the same time
        heard = pool.submit(federated.at_broker, broker, federation, seconds) if broker else None
        at_computer = connected.look(at_ports, seconds, ask)
        if not named:
            at_computer += connected.in_boot_loader()
        at_broker = heard.result() if heard else []
    in_store = federated.in_store(state / STORE_NAME, federation) if state else None
    return combine(at_computer, at_broker, in_store)


def _table(sightings: list[Sighting], now: float, wide: bool) -> Table:
    """Draw a row for each; columns that all leave empty are left out, and some where there is no room."""
    table = Table(box=None)
    columns = []
    for name, cell in _COLUMNS.items():
        cells = [cell(sighting, now) for sighting in sightings]
        if name in _ALWAYS or (any(cells) and (wide or name not in _WIDE_ONLY)):
            columns.append(cells)
            align: JustifyMethod = "right" if name in _RIGHT else "left"
            table.add_column(name, justify=align, no_wrap=name in _WHOLE, overflow="fold")
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(cell or "–", _STYLES.get(cell, "")) for cell in row))
    return table


def _board(sighting: Sighting, _: float) -> str:
    return sighting.board or " or ".join(sighting.candidates) or sighting.machine or ""


def _seen(sighting: Sighting, now: float) -> str:
    if sighting.last_seen is None:
        return ""
    passed = max(0.0, now - sighting.last_seen)
    if passed < _NOW_S:
        return "now"
    return next(f"{passed / unit:.0f} {name} ago" for unit, name in _UNITS if passed >= unit)


def _of(key: str, form: str = "{}") -> Callable[[Sighting, float], str]:
    def cell(sighting: Sighting, _: float) -> str:
        value = getattr(sighting, key)
        return "" if value is None else form.format(value)

    return cell


_NOW_S = 10
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_ALWAYS = ("device", "board", "state", "where")
_WIDE_ONLY = ("runtime", "firmware", "release")
_WIDE = 110  # columns of a terminal that shows all
_WHOLE = ("device", "state", "seen")
_RIGHT = ("model", "battery", "rssi")
_COLUMNS: dict[str, Callable[[Sighting, float], str]] = {
    "device": _of("device"),
    "federation": _of("federation"),
    "board": _board,
    "state": _of("state"),
    "runtime": _of("runtime"),
    "firmware": _of("firmware"),
    "release": _of("release"),
    "model": _of("version"),
    "seen": _seen,
    "battery": _of("battery", "{:.2f} V"),
    "rssi": _of("rssi", "{} dBm"),
    "where": lambda sighting, _: ", ".join(sighting.where),
    "note": _of("note"),
}
