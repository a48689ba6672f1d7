"""``fedmote rounds``: what operators may see and ask of a federation, whether its aggregator runs or not."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fedmote.cli.options import State
from fedmote.errors import FedmoteError
from fedmote.federation.store import STATE, STORE_NAME, Store

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

FederationName = Annotated[str, typer.Option(help="Name of the federation.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.", metavar="")]

_ANSWER_S = 5.0
_LOOK_S = 0.1


@commands.callback()
def options() -> None:
    """See what a federation does and steer it: the aggregator (fedmote serve) may run, or read it later.

    Examples:
      fedmote rounds status
      fedmote rounds pause --federation house
      fedmote rounds rollback 12
      fedmote rounds backup house.db
    """


@commands.command()
def status(federation: FederationName = "watch", state: State = None, as_json: Json = False) -> None:
    """Tell the open round, who has answered it, and what is asked for."""
    from fedmote.federation.summary import standing

    with _opened(federation, state, read_only=True) as store:
        told = standing(store)
    print(json.dumps(told, indent=2) if as_json else _text(told))


@commands.command()
def pause(federation: FederationName = "watch", state: State = None) -> None:
    """Let all boards rest. The open round stays open, what has been accepted counts."""
    _ask(federation, state, "pause")


@commands.command()
def resume(federation: FederationName = "watch", state: State = None) -> None:
    """Go on after a pause."""
    _ask(federation, state, "resume")


@commands.command()
def rollback(
    version: Annotated[int, typer.Argument(help="The version to go back to.", show_default=False)],
    federation: FederationName = "watch",
    state: State = None,
) -> None:
    """Make a new version with the values of an old one. The open round ends without a model."""
    with _opened(federation, state, read_only=True) as store:
        try:
            store.model(version)
        except KeyError:
            newest = store.newest_version()
            raise FedmoteError(f"there is no version {version}: 0 to {newest} are stored") from None
    _ask(federation, state, "rollback", str(version))


@commands.command()
def export(
    version: Annotated[
        int | None, typer.Argument(help="A version. (default: the newest)", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to. (default: the aggregator's folder)"),
    ] = None,
    federation: FederationName = "watch",
    state: State = None,
) -> None:
    """Write a version of the global model: .mote for boards, .npz of float32 tensors."""
    from fedmote.federation.session import export_model
    from fedmote.models.application import Application

    with _opened(federation, state, read_only=True) as store:
        application = Application.load(store.meta("application") or "")
        files = export_model(application, store, output or store.path.parent, version)
    for path in (files.model, files.weights):
        print(path)


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A file that is not there yet.", show_default=False)],
    federation: FederationName = "watch",
    state: State = None,
) -> None:
    """Copy the store (keys, models, rounds) to a file, while the aggregator runs or not.

    To go back to it, stop the aggregator and put the file in the place of aggregator.db.
    """
    with _opened(federation, state, read_only=True) as store:
        store.backup(file)
    print(f"{file}: {file.stat().st_size:,} bytes; it holds the keys of all devices, keep it secret")


def _opened(federation: str, state: Path | None, read_only: bool = False) -> Store:
    path = (state or STATE / federation) / STORE_NAME
    if not path.exists():
        raise FedmoteError(f"there is no federation in {path.parent}: name its folder with --state")
    return Store(path, read_only)


def _ask(federation: str, state: Path | None, command: str, argument: str = "") -> None:
    """Ask the aggregator for something, and wait for a moment to see what comes of it."""
    with _opened(federation, state) as store:
        number = store.wish(command, argument)
        if not store.is_claimed():
            print("asked for: no aggregator runs here, fedmote serve will do it when it starts")
            return
        end = time.monotonic() + _ANSWER_S
        while (answer := store.wished(number).answer) is None and time.monotonic() < end:
            time.sleep(_LOOK_S)
    print(answer or "asked for: the aggregator is busy and will do it next")


def _text(told: dict[str, Any]) -> str:
    opened = told["round"]
    lines = [
        f"version {told['version']} of {told['application']}, {'paused' if told['paused'] else 'running'}"
    ]
    if opened is None:
        lines.append(f"no round is open; {told['rounds']} have ended")
    else:
        goal = f" of {opened['goal']}" if opened["goal"] else ""
        lines.append(
            f"round {opened['round']} ({opened['phase']} from version {opened['version']}): "
            f"{opened['updates']}{goal} updates, {opened['answers']} answers"
        )
        lines += [f"  waits for {device}" for device in opened["missing"]]
        lines += [f"  {device} rests, back by {back}" for device, back in opened["resting"].items()]
    lines += [f"asked for: {wish['command']} {wish['argument']}".rstrip() for wish in told["wishes"]]
    return "\n".join(lines)
