"""``fedmote flash``: puts MicroPython or CircuitPython on a board."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.prompt import Confirm

from fedmote.boards import catalogue, flashing
from fedmote.boards.flashing.contents import TITLES
from fedmote.boards.flashing.plan import Plan, Step
from fedmote.errors import FedmoteError


def main(
    board: Annotated[
        str, typer.Option("--board", "-b", help="The board, see fedmote boards.", show_default=False)
    ],
    runtime: Annotated[str, typer.Option(help="micropython or circuitpython.")] = "micropython",
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            "-p",
            help="Serial port, or folder of the boot drive. Without it the one board that is there is used.",
            show_default=False,
        ),
    ] = None,
    firmware: Annotated[
        Path | None,
        typer.Option(help="Write this image. (default: the official one, downloaded)", show_default=False),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Refuse an image with another SHA-256.", show_default=False)
    ] = None,
    erase: Annotated[
        bool,
        typer.Option("--erase", help="First erase all of the flash, files too. ESP32 family.", metavar=""),
    ] = False,
    baud: Annotated[int, typer.Option(help="Speed of writing to the ESP32 family.", min=9600)] = 460_800,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", metavar="")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the steps, do none of them.", metavar="")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the steps, and what came of them, as JSON.", metavar="")
    ] = False,
) -> None:
    """Put MicroPython or CircuitPython on a board. It asks before it changes anything.

    The board may be bare, in its boot loader, or run an older version of either.

    Examples:
      fedmote flash --board rpi_pico_w --dry-run
      fedmote flash --board rpi_pico_w
      fedmote flash --board esp32_s3 --runtime circuitpython --port /dev/ttyUSB0 --erase
      fedmote flash --board rpi_pico --firmware RPI_PICO-20250911-v1.26.1.uf2 --yes
    """
    order = flashing.Order(
        board=catalogue.find(board),
        runtime=runtime,
        port=port,
        firmware=firmware,
        sha256=sha256.lower() if sha256 else None,
        erase=erase,
        baud=baud,
    )
    plan = flashing.plan(order)
    if dry_run:
        _print_plan(plan, as_json)
        return
    if not yes and not sys.stdin.isatty():
        raise FedmoteError(
            "flashing replaces what is on the board, and there is nobody to ask: add --yes, or --dry-run to "
            "see the steps"
        )
    with _Display(len(plan.steps)) as display:
        job = plan.run(display, lambda question: yes or display.ask(question))
    found = job.identity
    assert found is not None
    result = {"port": job.port, "version": found.version, "machine": found.machine, "build": found.build}
    if as_json:
        print(json.dumps({**plan.as_json(), "result": result}, indent=2))
    else:
        print(f"{found.machine} on {job.port} runs {TITLES[runtime]} {found.version}")


def _print_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**plan.as_json(), "result": None}, indent=2))
        return
    print(f"{TITLES[plan.order.runtime]} on {plan.order.board.title}:")
    for number, step in enumerate(plan.steps, 1):
        print(f"{number:3}. {step.text}{'  (changes the board)' if step.changes_board else ''}")


class _Display:
    """Shows on stderr which step is under way and how far it is."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._number = 0
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("     "),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", visible=False)

    def __enter__(self) -> "_Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begins(self, step: Step) -> None:
        self._number += 1
        self._bar.reset(self._task, visible=False)
        self._console.print(f"{self._number}/{self._steps}  {step.text}", markup=False, soft_wrap=True)

    def progress(self, done: int, total: int | None) -> None:
        self._bar.update(self._task, completed=done, total=total, visible=True)

    def note(self, text: str) -> None:
        self._console.print(f"     {text}", style="dim", markup=False, soft_wrap=True)

    def ask(self, question: str) -> bool:
        self._bar.stop()
        try:
            return Confirm.ask(escape(question), console=self._console, default=False)
        except EOFError:
            return False
        finally:
            self._bar.start()
