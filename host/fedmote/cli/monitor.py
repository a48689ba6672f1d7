"""``fedmote monitor``: watches boards on a serial port, at a broker, or in a recording."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedmote.cli.options import Baud, Ca, Cert, Key, PasswordFile, Port, broker_address
from fedmote.errors import FedmoteError

if TYPE_CHECKING:
    from fedmote.federation.broker import BrokerAddress
    from fedmote.monitor.events import Event


def main(
    port: Port = None,
    baud: Baud = 115200,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Watch all boards of a broker: mqtt://host:port or mqtts://user:password@host:port.",
            show_default=False,
        ),
    ] = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    federation: Annotated[
        str | None, typer.Option(help="Of the boards at the broker. (default: all)", show_default=False)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of many boards, the one to show in full; with --plain and --json the only one.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append all that comes to this file, one JSON object a line.",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show a recording as it was live.", show_default=False),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, max=1000, help="How much faster a recording plays.")
    ] = 1.0,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Print one line per inference; the default in a pipe.", metavar=""),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print telemetry as it comes, as JSON lines.", metavar="")
    ] = False,
) -> None:
    """Watch boards: what they see, how sure they are, how they learn. q or Ctrl-C ends.

    A board that is unplugged is watched again once it is back, and so is a broker that was away.

    Examples:
      fedmote monitor
      fedmote monitor --port /dev/ttyACM0 --record today.jsonl
      fedmote monitor --port socket://127.0.0.1:4321
      fedmote monitor --broker mqtt://192.168.1.5 --federation watch
      fedmote monitor --replay today.jsonl --speed 4
      fedmote monitor --json | jq .label
    """
    from fedmote.monitor.live import LiveView
    from fedmote.monitor.recording import record as recorded
    from fedmote.monitor.watch import JsonView, PlainView, View, only, watch

    _exclude({"--plain": plain, "--json": as_json})
    _exclude({"--port": port, "--broker": broker, "--replay": replay})
    _exclude({"--record": record, "--replay": replay})
    if federation and not broker:
        raise FedmoteError("--federation names boards of a broker: give its URL with --broker")
    console = Console()
    view: View
    live = False
    if as_json:
        view = JsonView()
    elif plain or not sys.stdout.isatty() or console.is_dumb_terminal:
        view = PlainView()
    else:
        view, live = LiveView(console, device), True
    address = broker_address(broker, ca, cert, key, password_file) if broker else None
    events = _events(port, baud, address, federation, replay, speed)
    if record:
        events = recorded(events, record)
    if device and not live:
        events = only(events, device)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a narrow encoding is no reason to end
    watch(events, view)


def _events(
    port: str | None,
    baud: int,
    broker: "BrokerAddress | None",
    federation: str | None,
    replay: Path | None,
    speed: float,
) -> "Iterable[Event]":
    from fedmote.monitor import events, lines, ports, recording, subscription

    if replay:
        return recording.replay(replay, speed)
    if broker:
        return subscription.follow(broker, federation)
    where = port or ports.only().device
    return events.from_port(lines.read(where, baud, ports.follower(where)), where)


def _exclude(options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise FedmoteError(f"{' and '.join(given)} exclude each other: choose one")
