"""Options that several commands have, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from fedmote.errors import FedmoteError

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


def read_labels(given: str | None) -> list[str]:
    """Return class names: from a file with one a line, or a text with commas. Raises FedmoteError."""
    if given is None:
        return []
    path = Path(given)
    if "," in given or not path.is_file():
        return [label.strip() for label in given.split(",")]
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FedmoteError(f"{path}: {error}") from None
