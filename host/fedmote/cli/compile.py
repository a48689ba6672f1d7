"""``fedmote compile``: makes the .mote file that a board runs of a .tflite model, and tells what it takes."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedmote.cli.options import read_labels
from fedmote.errors import FedmoteError


def main(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.", show_default=False)],
    board: Annotated[str, typer.Option(help="The board, see fedmote boards.")] = "rpi_pico",
    runtime: Annotated[str, typer.Option(help="micropython or circuitpython.")] = "micropython",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. (default: MODEL with .mote)")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help="Of docs/kernels.md. (default: the board's fastest)")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class names: a file with one a line, or a,b,c.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name in the file. (default: the file's)")] = None,
    trainable: Annotated[
        int, typer.Option(help="How many of the last dense layers the board may train.", min=0)
    ] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Draw the arena over time.", metavar="")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compile a .tflite model for a board; its output is that of TensorFlow Lite Micro, bit for bit.

    Shows each op with its shape, multiplications and bytes, the memory that the model needs, and
    whether the board has it, before anything is flashed.

    Examples:
      fedmote compile person_detect.tflite --board rpi_pico
      fedmote compile kws.tflite --labels yes,no,other --explain
      fedmote compile model.tflite --runtime circuitpython --json | jq .arena_bytes
    """
    from fedmote.boards import catalogue
    from fedmote.models import report, tflite
    from fedmote.models.compiler import compile_network

    chosen = catalogue.find(board)
    if runtime not in chosen.runtimes:
        raise FedmoteError(f"{board} has no {runtime!r}, choose one of: {', '.join(chosen.runtimes)}")
    target = output or model.with_suffix(".mote")
    try:
        data = model.read_bytes()
    except OSError as error:
        raise FedmoteError(f"{model}: {error.strerror}") from None
    compiled = compile_network(
        tflite.read(data),
        kernel or chosen.runtimes[runtime].kernels[0],
        name or model.stem,
        read_labels(labels),
        trainable=trainable,
    )
    try:
        target.write_bytes(compiled.mote)
    except OSError as error:
        raise FedmoteError(f"{target}: {error.strerror}") from None
    fit = report.fit(compiled, chosen, runtime)
    if as_json:
        print(json.dumps(report.summary(compiled, [fit]), indent=2))
        return
    console = Console(highlight=False)
    console.print(report.table(compiled))
    if explain:
        console.print()
        print(report.picture(compiled, console.width))
    console.print()
    for line in (*compiled.notes, f"{target}: {report.memory(compiled)}", fit.sentence):
        console.print(line, markup=False, soft_wrap=True)
