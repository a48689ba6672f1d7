"""The ``fedmote`` command: a table of commands, each loaded only to run. What they do lives elsewhere."""

import logging
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from fedmote import __version__
from fedmote.errors import FedmoteError

INTERRUPTED = 130  # what a shell reports for a command stopped by Ctrl-C


class Entry(NamedTuple):
    """Where a command's function or Typer app is (``module:name``), and its line in ``fedmote --help``."""

    target: str
    help: str


COMMANDS = {
    "demo": Entry("fedmote.cli.demo:main", "Watch virtual boards learn together; needs no hardware."),
    "flash": Entry("fedmote.cli.flash:main", "Put MicroPython or CircuitPython on a board."),
    "build": Entry("fedmote.cli.build:main", "Compile a board's program into a folder, and see its size."),
    "deploy": Entry("fedmote.cli.deploy:main", "Put program, model and settings onto a board, and start it."),
    "monitor": Entry("fedmote.cli.monitor:main", "Watch boards live, over serial or MQTT."),
    "label": Entry("fedmote.cli.label:main", "Tell a board what its sensor sees, so that it learns."),
    "devices": Entry("fedmote.cli.devices:main", "List the boards on USB and in a federation."),
    "ota": Entry("fedmote.cli.ota:commands", "Update boards over the air: programs and models."),
    "serve": Entry("fedmote.cli.serve:main", "Run the aggregator: collect updates, publish better models."),
    "rounds": Entry(
        "fedmote.cli.rounds:commands", "See, pause, resume or roll back a federation, back it up."
    ),
    "provision": Entry(
        "fedmote.cli.provision:main", "Give devices their ids and keys, list and revoke them."
    ),
    "broker-config": Entry(
        "fedmote.cli.broker_config:main", "Write a mosquitto's configuration: TLS, users, access rules."
    ),
    "bridge": Entry("fedmote.cli.bridge:commands", "Connect a federation to boards on LoRaWAN (ChirpStack)."),
    "fleet": Entry("fedmote.cli.fleet:main", "Run virtual boards against a broker."),
    "compile": Entry(
        "fedmote.cli.compile:main", "Compile a .tflite model for a board, and see what it takes."
    ),
    "verify": Entry("fedmote.cli.verify:main", "Compare a compiled model with TensorFlow Lite Micro."),
    "export": Entry("fedmote.cli.export:main", "Write what a board has learned back to a .tflite model."),
    "boards": Entry("fedmote.cli.boards:main", "List the supported boards, or show one in full."),
    "bench": Entry(
        "fedmote.cli.bench:main", "Measure learning, inference, and what a federation withstands."
    ),
}


class LazyGroup(TyperGroup):
    """Lists commands from the table and imports one only to run it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name=name, help=entry.help) for name, entry in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and name and load(name), rest


def load(name: str) -> Any:
    """Import the command ``name`` of the table and return it as a command object."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    target = getattr(import_module(module), attribute)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=_CONTEXT)
    single.command(name)(target)
    return typer.main.get_command(single)


_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedmote {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            metavar="",
            help="Log more to stderr; -vv for everything.",
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Microcontrollers that learn together: their data stays on the board, only what they learned travels.

    Examples:
      fedmote demo                         virtual boards learn together, here and now
      fedmote monitor                      watch the one board that is connected
      fedmote serve --broker mqtt://host   aggregate for boards that use this broker

    Results go to stdout, logs to stderr. fedmote COMMAND --help shows more examples.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line; exits with 0, with 1 on a FedmoteError, 2 on wrong usage, 130 on Ctrl-C."""
    try:
        app(prog_name="fedmote")
    except FedmoteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
