"""``fedmote verify``: runs a compiled model under MicroPython and compares it with TensorFlow Lite Micro."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedmote.errors import FedmoteError


def main(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.", show_default=False)],
    kernel: Annotated[
        str, typer.Option(help="plain, viper, ulab, armv6m, armv8m, rv32, xtensa or reference.")
    ] = "viper",
    inputs: Annotated[
        int, typer.Option(help="How many: noise, smooth, lowest, highest, noise ...", min=1, max=10000)
    ] = 20,
    seed: Annotated[int, typer.Option(help="Of the inputs.", min=0)] = 1,
    per_op: Annotated[
        bool, typer.Option("--per-op", help="Compare the output of every operator.", metavar="")
    ] = False,
    streamed: Annotated[
        bool,
        typer.Option(
            "--streamed", help="Leave the weights in the file, within the heap of a Pico.", metavar=""
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compare a model, compiled for a kernel, with TensorFlow Lite Micro, byte by byte.

    The model runs under the MicroPython that virtual boards have (FEDMOTE_MICROPYTHON names another). The
    machine code of armv6m, armv8m, rv32 and xtensa runs on emulated cores (pip install 'fedmote[emulate]'),
    the reference kernel, in numpy, here. Inputs are run in order, from a reset on: models with a state are
    compared as sequences. Exits with 1 at the first difference and names it.

    Examples:
      fedmote verify model.tflite
      fedmote verify kws.tflite --kernel plain --per-op --inputs 5
      fedmote verify person_detect.tflite --streamed --json | jq .differing
    """
    from fedmote.models import verify

    try:
        data = model.read_bytes()
    except OSError as error:
        raise FedmoteError(f"{model}: {error.strerror}") from None
    with Console(stderr=True).status(f"{model.name}: {kernel}"):
        report = verify.verify(data, kernel, inputs=inputs, per_op=per_op, streamed=streamed, seed=seed)
    if as_json:
        print(json.dumps({"model": model.name, **report.summary()}, indent=2))
    else:
        console = Console(highlight=False)
        if per_op:
            console.print(report.table())
        console.print(report.sentence, markup=False, soft_wrap=True)
    if report.difference is not None:
        print(f"differs: {report.difference}", file=sys.stderr)
        raise typer.Exit(1)
