"""Options that several commands have, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

App = Annotated[str, typer.Option(help="The application: a folder of models/.")]
Federation = Annotated[
    str | None,
    typer.Option(help="Name of the federation, part of every topic. (default: the application's)"),
]
State = Annotated[
    Path | None,
    typer.Option(
        help="The aggregator's folder: keys, models and rounds. (default: fedmote-state/FEDERATION)"
    ),
]
