"""``fedmote bench``: runs a benchmark of an application, of .tflite models or of a federation, and tells what
it missed."""

import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fedmote.benchmarks import BENCHMARKS, FEDERATION_BENCHMARKS, MODEL_BENCHMARKS
from fedmote.errors import FedmoteError
from fedmote.models.application import Application

_PIPED_COLUMNS = 120  # of a table that goes to a file or another program


def main(
    application: Annotated[
        str, typer.Argument(help="A folder of models/, such as watch or digits; or inference, survival.")
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
    boards: Annotated[
        int | None, typer.Option(help="For survival: virtual boards. (default: 20)", min=1)
    ] = None,
    kills: Annotated[int | None, typer.Option(help="For survival: kill -9s. (default: 200)", min=1)] = None,
    rounds: Annotated[
        int | None, typer.Option(help="For survival: rounds to train, at least. (default: 5)", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compare local, federated and centralised learning on clients that nobody has learned from.

    No boards are needed: their own code runs here, without network. Exits with 1 where a demand that
    model.toml makes under bar is missed.

    inference times .tflite models under MicroPython, with TensorFlow Lite Micro in the same run, and
    demands equal bytes, no larger arena, and no heap taken by a call.

    survival runs a federation through a network that cuts, delays, repeats and swaps, while its aggregator,
    its broker and its boards are killed at random, and demands that no update is lost or counted twice, and
    the same model, bit for bit, as without all that.

    Examples:
      fedmote bench watch
      fedmote bench digits --json | jq .accuracy.federated.mean
      fedmote bench inference --models my_models --json
      fedmote bench survival --boards 6 --kills 20 --rounds 2
    """
    if benchmark not in BENCHMARKS:
        raise FedmoteError(f"benchmark {benchmark!r} is unknown, choose one of: {', '.join(BENCHMARKS)}")
    given = {"boards": boards, "kills": kills, "rounds": rounds}
    options = {name: value for name, value in given.items() if value is not None}
    if application in FEDERATION_BENCHMARKS:
        logging.getLogger("fedmote").setLevel(min(logging.INFO, logging.getLogger().level))
        title = application
        run = _federation_benchmark(application, options)
    elif options:
        raise FedmoteError(f"--{next(iter(options))} is not for {application}")
    elif application in MODEL_BENCHMARKS:
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


def _federation_benchmark(name: str, options: dict[str, int]) -> Any:
    """Return the benchmark with its options."""
    benchmark = FEDERATION_BENCHMARKS[name]
    for option in options:
        if option not in benchmark.options:
            known = ", ".join(f"--{one}" for one in benchmark.options)
            raise FedmoteError(f"--{option} is not for {name}, it takes {known}")
    return partial(benchmark.run, **options)
