"""``fedmote demo``: shows the whole loop with virtual boards, live, and compares what came of it."""

import json
import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from fedmote.cli.options import App

_FRAMES_PER_S = 4


def main(
    app: App = "watch",
    boards: Annotated[
        int | None, typer.Option(min=1, help="How many virtual boards. (default: one per recording)")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds to train. (default: the application's)")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of who stays unseen, the initial model, the order of samples.")
    ] = 1,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the broker. (default: a free one)")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for what it writes, made anew. (default: fedmote-state/demo-APP)"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, no picture.", metavar="")
    ] = False,
) -> None:
    """Watch virtual boards learn together; needs no hardware and no network.

    Each board is a MicroPython process that runs the files of a real board and replays what one person's
    sensor recorded. Most learn, some are never trained on and show how good the shared model is for
    strangers.

    Examples:
      fedmote demo
      fedmote demo --app digits --rounds 10
      fedmote demo --boards 5 --seed 3 --json | jq .federated
    """
    from rich.console import Console
    from rich.live import Live
    from rich.logging import RichHandler

    from fedmote import demo
    from fedmote.cli import INTERRUPTED
    from fedmote.cli.serve import STATE, log
    from fedmote.models.application import Application
    from fedmote.monitor.federation import FederationView

    application = Application.load(app)
    console = Console(stderr=True)
    view = FederationView(application.title, rounds or application.training.rounds)
    live: Any = nullcontext()
    listener: Any = log
    if console.is_terminal and not as_json:
        logging.getLogger().handlers[:] = [RichHandler(console=console, show_path=False)]  # above the picture
        live = Live(view, console=console, refresh_per_second=_FRAMES_PER_S, screen=False)
        listener = view
    try:
        with live:
            outcome = demo.run(
                application,
                boards=boards,
                rounds=rounds,
                seed=seed,
                port=port,
                folder=state or STATE / f"demo-{application.name}",
                listener=listener,
            )
    except demo.Interruption:
        console.print("stopped: boards, broker and aggregator have ended")
        sys.exit(INTERRUPTED)
    if as_json:
        print(json.dumps(outcome.to_json(), indent=2))
    else:
        _print(outcome, application)


def _print(outcome: Any, application: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"Accuracy on {outcome.unseen} boards that nobody has learned from", title_justify="left"
    )
    table.add_column("model")
    table.add_column("accuracy", justify="right")
    table.add_column("what it means", style="dim")
    for name, value, meaning, style in (
        ("before", outcome.before, "the network as it is flashed, untrained", ""),
        ("local only", outcome.local, "mean of what each board would know alone", ""),
        (
            "federated",
            outcome.federated,
            f"after {outcome.rounds} rounds; raw data never left a board",
            "bold green",
        ),
        ("centralised", outcome.centralised, "same network, all raw data in one place", ""),
    ):
        table.add_row(name, f"{value:.1%}", meaning, style=style)
    console = Console()
    console.print(table)
    console.print(
        f"{outcome.learners} boards learned, {outcome.unseen} only evaluated, in {outcome.seconds:.0f} s. "
        f"An update is {outcome.update_bytes} bytes on the wire;\n"
        f"a board sends {outcome.up_bytes_per_round:.0f} and "
        f"fetches {outcome.down_bytes_per_round:.0f} bytes a round."
    )
    console.print(f"model for boards: {outcome.model}\nweights (numpy):  {outcome.weights}\n")
    console.print("Next: one by one, as with real boards, in three terminals:")
    console.print(f"  fedmote serve --app {application.name}")
    console.print(f"  fedmote fleet --app {application.name}")
    console.print("  fedmote monitor")
