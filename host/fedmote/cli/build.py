"""``fedmote build``: compiles a board's program files into a folder and shows what they take."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedmote.boards import bundle, catalogue

_PIPED_COLUMNS = 120  # of a table that goes to a file or another program


def main(
    board: Annotated[
        str, typer.Option("--board", "-b", help="The board, see fedmote boards.", show_default=False)
    ],
    runtime: Annotated[
        str | None,
        typer.Option(help="micropython or circuitpython. (default: the board's first)", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to write, a new one. (default: build/BOARD)", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the sizes, write nothing.", metavar="")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sizes as JSON.", metavar="")] = False,
) -> None:
    """Compile the library and the program for a board's processor, with only the kernel that it uses.

    These are the files that fedmote deploy copies, without settings, model and recording.

    Examples:
      fedmote build --board rpi_pico
      fedmote build --board esp32_c3 -o c3 --json | jq .bytes
      fedmote build --board rpi_pico_w --runtime circuitpython --dry-run
    """
    chosen = catalogue.find(board)
    built = bundle.build(chosen, runtime)
    folder = output or Path("build", chosen.name)
    if not dry_run:
        built.write(folder)
    if as_json:
        print(json.dumps(built.summary() | {"folder": None if dry_run else str(folder)}, indent=2))
        return
    Console(width=None if sys.stdout.isatty() else _PIPED_COLUMNS).print(built.table())
    print(
        f"{built.board}, {built.runtime}: {len(built.files)} files, {built.size / 1000:,.1f} kB of "
        f"{built.source_size / 1000:,.1f} kB of source; kernels: {', '.join(built.kernels)}"
        + ("" if dry_run else f"; in {folder}")
    )
