"""``fedmote bench``: runs a benchmark of an application or of .tflite models, and tells what it missed."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedmote.benchmarks import BENCHMARKS, MODEL_BENCHMARKS
from fedmote.errors import FedmoteError
from fedmote.models.application import Application

_PIPED_COLUMNS = 120  # of a table that goes to a file or another program


def main(
    application: Annotated[
        str, typer.Argument(help="A folder of models/, such as watch or digits; or inference.")
    ],
    benchmark: Annotated[
        str, typer.Option(help=f"What to measure: {', '.join(BENCHMARKS)}.", metavar="NAME")
    ] = "learning",
    models: Annotated[
        Path | None,
        typer.Option(help="For inference: a folder of .tflite files. (default: FEDMOTE_MODELS_DIR)"),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of initial weights, of the order of samples, of inputs.", min=0)
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compare local, federated and centralised learning on clients that nobody has learned from.

    No boards are needed: their own code runs here, without network. Exits with 1 where a demand that
    model.toml makes under bar is missed.

    inference times .tflite models under MicroPython, with TensorFlow Lite Micro in the same run, and
    demands equal bytes, no larger arena, and no heap taken by a call.

    Examples:
      fedmote bench watch
      fedmote bench digits --json | jq .accuracy.federated.mean
      fedmote bench inference --models my_models --json
    """
    if benchmark not in BENCHMARKS:
        raise FedmoteError(f"benchmark {benchmark!r} is unknown, choose one of: {', '.join(BENCHMARKS)}")
    if application in MODEL_BENCHMARKS:
        title, run = application, partial(MODEL_BENCHMARKS[application], models)
    else:
        title = f"{application}: {benchmark}"
        run = partial(BENCHMARKS[benchmark], Application.load(application))
    with Console(stderr=True).status(title) as status:
        outcome = run(seed, lambda done, total: status.update(f"{title}, {done} of {total} done"))
    if as_json:
        print(json.dumps(outcome.summary(), indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else _PIPED_COLUMNS).print(outcome.table())
    for sentence in outcome.missed():
        print(f"missed: {sentence}", file=sys.stderr)
    if outcome.missed():
        raise typer.Exit(1)
