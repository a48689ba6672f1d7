"""``fedmote ota``: updates boards over the air, shows how far they are, and withdraws an update."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fedmote.cli.options import App, Ca, Cert, Key, PasswordFile, State, broker_address
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.offers import Offers
from fedmote.federation.store import STATE, STORE_NAME
from fedmote.monitor.rollout import SETTLE_S, Progress, follow
from mote import wire

_HELP = """Update boards over the air: programs and models.

Examples:
  fedmote ota push --board rpi_pico_w --federation home --all --broker mqtt://192.168.1.5 --wait
  fedmote ota status --federation home --broker mqtt://192.168.1.5
  fedmote ota clear --federation home --all
"""
commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
)

Broker = Annotated[
    str, typer.Option(metavar="URL", help="mqtt://host:port or mqtts://user:password@host:port.")
]
FederationName = Annotated[
    str, typer.Option(help="Name of the federation, part of every topic.", show_default=False)
]
Named = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", help="A device; may be repeated.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="All devices that it concerns.", metavar="")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.", metavar="")]

_LOCAL = "mqtt://127.0.0.1:1883"
_MODEL = "model.mote"
_LISTEN_S = 3.0


@commands.command()
def push(
    board: Annotated[
        str, typer.Option("--board", "-b", help="The board, see fedmote boards.", show_default=False)
    ],
    federation: FederationName,
    device: Named = None,
    everyone: All = False,
    app: App = "watch",
    runtime: Annotated[str, typer.Option(help="micropython or circuitpython.")] = "micropython",
    model: Annotated[
        Path | None,
        typer.Option(help="Send this .mote file too, as fedmote compile writes it.", show_default=False),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(help="Send the files of this folder too, in place of ours.", show_default=False),
    ] = None,
    broker: Broker = _LOCAL,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    state: State = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every board has confirmed or rolled back.", metavar="")
    ] = False,
    timeout: Annotated[float, typer.Option(help="With --wait: for at most these seconds.", min=1)] = 1800,
    as_json: AsJson = False,
) -> None:
    """Offer a release to boards: the program files of this fedmote, and a model.

    A board fetches what differs from what it has, checks it, swaps it in, and keeps it once it has proved
    healthy; otherwise it goes back by itself. A board that is off takes the offer when it comes back.
    With --wait the command exits with 1 where a board did not take the release.

    Examples:
      fedmote ota push --board rpi_pico_w --federation home --all --broker mqtt://192.168.1.5 --wait
      fedmote ota push --board rpi_pico_w --federation home --device kitchen --model better.mote
      fedmote ota push --board esp32_s3 --runtime circuitpython --federation home --device hall
    """
    from fedmote import __version__
    from fedmote.boards import catalogue, image
    from fedmote.federation import pushing
    from fedmote.federation.release import ANY, Release, updatable
    from fedmote.models.application import Application

    _check_choice(device, everyone)
    chosen = catalogue.find(board)
    content = updatable(image.program(chosen, runtime))
    native = any(path.endswith(".mpy") for path in content)
    if model is not None:
        content[_MODEL] = _read_model(model)
    if files is not None:
        content.update(_read_folder(files))
    release = Release(
        content, Application.load(app).name, __version__, runtime, chosen.arch if native else ANY
    )
    address = broker_address(broker, ca, cert, key, password_file)
    with _store(federation, state) as store:
        devices = pushing.choose(store, device or [], board, runtime)
        with _counting(wire.piece_count(len(release.body)) + len(devices)) as told:
            pushing.push(store, address, federation, release, devices, told)
    if not as_json:
        print(
            f"release {release.id}: {len(content)} files, {len(release.body) / 1000:,.1f} kB, "
            f"offered to {', '.join(devices)}",
            flush=True,
        )
    if wait:
        releases = dict.fromkeys(devices, release.id)
        outcome = _watch(address, federation, releases, timeout, as_json, SETTLE_S)
    else:
        outcome = {name: Progress(name) for name in devices}
    if as_json:
        print(json.dumps({"release": release.id, "devices": _rows(outcome.values())}, indent=2))
    if wait and (missed := [name for name, one in outcome.items() if one.failed or not one.done]):
        raise FedmoteError(f"{', '.join(missed)}: not updated, see above; the board runs what it ran before")


@commands.command()
def status(
    federation: FederationName,
    broker: Broker = _LOCAL,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Show what is offered to each board, and how far the board is.

    Examples:
      fedmote ota status --federation home --broker mqtt://192.168.1.5
    """
    address = broker_address(broker, ca, cert, key, password_file)
    with _store(federation, state) as store:
        offers = {offer.device: offer for offer in store.offers() if offer.release}
    if not offers and not as_json:
        print("nothing is offered", file=sys.stderr)
        return
    releases = {name: offer.release or "" for name, offer in offers.items()}
    outcome = _watch(address, federation, releases, _LISTEN_S, quiet=True) if offers else {}
    rows = [
        {**row, "release": releases[row["device"]], "name": offers[row["device"]].name}
        for row in _rows(outcome.values())
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        told = f"{row['state']} {row['detail']}"
        print(f"{row['device']:<32}  {row['release']}  {row['name']:<12}  {told}".rstrip())


@commands.command()
def clear(
    federation: FederationName,
    device: Named = None,
    everyone: All = False,
    broker: Broker = _LOCAL,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    state: State = None,
) -> None:
    """Withdraw offers. A board that is fetching stops; one that has the release keeps it.

    Examples:
      fedmote ota clear --federation home --all
    """
    from fedmote.federation import pushing

    _check_choice(device, everyone)
    with _store(federation, state) as store:
        offered = [offer.device for offer in store.offers() if offer.release]
        if unknown := sorted(set(device or []) - set(offered)):
            raise FedmoteError(f"nothing is offered to {', '.join(unknown)}: see fedmote ota status")
        withdrawn = device or offered
        pushing.withdraw(store, broker_address(broker, ca, cert, key, password_file), federation, withdrawn)
    print(f"withdrawn from {', '.join(withdrawn)}" if withdrawn else "nothing was offered")


def _check_choice(devices: list[str] | None, everyone: bool) -> None:
    if bool(devices) == everyone:
        raise FedmoteError("name devices with --device, or choose --all")


def _store(federation: str, state: Path | None) -> Offers:
    if not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    path = (state or STATE / federation) / STORE_NAME
    if not path.exists():
        raise FedmoteError(f"there is no federation in {path.parent}: name its folder with --state")
    return Offers(path)


def _read_model(path: Path) -> bytes:
    from fedmote.models import loading

    try:
        content = path.read_bytes()
        loading.load(content)
    except (OSError, FedmoteError) as error:
        raise FedmoteError(f"{path}: {error}; make a model with fedmote compile") from None
    return content


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise FedmoteError(f"{folder} is no folder")
    try:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    except OSError as error:
        raise FedmoteError(f"{folder} cannot be read: {error}") from None


@contextlib.contextmanager
def _counting(total: int) -> Iterator[Callable[[int], None]]:
    from rich import progress

    console = Console(stderr=True)
    columns = (progress.TextColumn("publishing"), progress.BarColumn(), progress.MofNCompleteColumn())
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.update(task, advance=count)


def _watch(
    address: BrokerAddress,
    federation: str,
    releases: dict[str, str],
    timeout_s: float,
    quiet: bool,
    settle_s: float = 0,
) -> dict[str, Progress]:
    """Follow the devices until they are done, and return how far they came. Unless quiet, show it."""
    from fedmote.monitor import subscription

    events = subscription.follow(address, federation)
    steps = follow(events, federation, releases, timeout_s, settle_s)
    if quiet:
        return list(steps)[-1]
    console = Console()
    last: dict[str, Progress] = {}
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for last in steps:
                live.update(_table(last.values()), refresh=True)
        return last
    shown: dict[str, str] = {}
    for last in steps:
        for name, one in last.items():
            if shown.get(name) != one.state:
                shown[name] = one.state
                print(f"{name:<32}  {one}", flush=True)
    return last


def _table(progress: Iterable[Progress]) -> Table:
    table = Table.grid(padding=(0, 2))
    for one in progress:
        table.add_row(one.device, str(one), style="red" if one.failed else "green" if one.done else None)
    return table


def _rows(progress: Iterable[Progress]) -> list[dict[str, str]]:
    return [{"device": one.device, "state": one.state, "detail": one.detail} for one in progress]
