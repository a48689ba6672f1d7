"""``fedmote bench``: runs a benchmark of an application and tells whether it meets its model.toml's bar."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from fedmote.benchmarks import BENCHMARKS
from fedmote.errors import FedmoteError
from fedmote.models.application import Application


def main(
    application: Annotated[str, typer.Argument(help="A folder of models/, such as watch or digits.")],
    benchmark: Annotated[
        str, typer.Option(help=f"What to measure: {', '.join(BENCHMARKS)}.", metavar="NAME")
    ] = "learning",
    seed: Annotated[int, typer.Option(help="Of initial weights and of the order of samples.", min=0)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compare local, federated and centralised learning on clients that nobody has learned from.

    No boards are needed: their own code runs here, without network. Exits with 1 where a demand that
    model.toml makes under bar is missed.

    Examples:
      fedmote bench watch
      fedmote bench digits --json | jq .accuracy.federated.mean
    """
    if benchmark not in BENCHMARKS:
        raise FedmoteError(f"benchmark {benchmark!r} is unknown, choose one of: {', '.join(BENCHMARKS)}")
    loaded = Application.load(application)
    with Console(stderr=True).status(f"{application}: {benchmark}") as status:
        outcome = BENCHMARKS[benchmark](
            loaded,
            seed,
            lambda done, total: status.update(f"{application}: {benchmark}, {done} of {total} done"),
        )
    if as_json:
        print(json.dumps(outcome.summary(), indent=2))
    else:
        Console().print(outcome.table())
    for sentence in outcome.missed():
        print(f"missed: {sentence}", file=sys.stderr)
    if outcome.missed():
        raise typer.Exit(1)
