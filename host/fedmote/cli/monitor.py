"""``fedmote monitor``: watches a board's telemetry on its serial port."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedmote.errors import FedmoteError
from fedmote.monitor import lines, ports
from fedmote.monitor.watch import JsonView, LiveView, PlainView, View, watch


def main(
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            "-p",
            help="Serial port, pty or socket://host:port. Without it the one board that is there is used.",
            show_default=False,
        ),
    ] = None,
    baud: Annotated[int, typer.Option(help="Speed of a UART; USB and ptys ignore it.", min=300)] = 115200,
    record: Annotated[
        Path | None,
        typer.Option(help="Append telemetry to this file, one JSON object a line.", show_default=False),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Print one line per inference; the default in a pipe.", metavar=""),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print telemetry as it comes, as JSON lines.", metavar="")
    ] = False,
) -> None:
    """Watch a board: what it sees, how sure it is, how it learns. Ctrl-C ends.

    Examples:
      fedmote monitor
      fedmote monitor --port /dev/ttyACM0 --record today.jsonl
      fedmote monitor --port socket://127.0.0.1:4321
      fedmote monitor --json | jq .label
    """
    if plain and as_json:
        raise FedmoteError("--plain and --json exclude each other: choose one")
    device = port or ports.only().device
    console = Console()
    view: View
    if as_json:
        view = JsonView()
    elif plain or not sys.stdout.isatty() or console.is_dumb_terminal:
        view = PlainView()
    else:
        view = LiveView(device, console)
    watch(lines.read(device, baud), view, record)
