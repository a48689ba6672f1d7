"""``fedmote export``: a .mote file, with what a board has learned, to a .tflite model."""

from pathlib import Path
from typing import Annotated

import typer

from fedmote.errors import FedmoteError


def main(
    model: Annotated[Path, typer.Argument(help="A .mote file.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. (default: MODEL with .tflite)")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="The .tflite that the model was compiled from, if it was.", show_default=False),
    ] = None,
) -> None:
    """Write a .mote model as .tflite, for TensorFlow Lite Micro and LiteRT; its outputs stay the board's.

    A network of dense layers, as fedmote trains them, is written as it is. Of one that was compiled
    from a .tflite file, the trained layers go back into that file.

    Examples:
      fedmote export model.mote -o watch.tflite
      fedmote export person.mote --like person_detect.tflite -o person_here.tflite
    """
    from fedmote.models import export, tflite

    mote = _read(model)
    network = export.into(mote, tflite.read(_read(like))) if like else export.dense_network(mote)
    target = output or model.with_suffix(".tflite")
    content = tflite.write(network)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise FedmoteError(f"{target}: {error.strerror}") from None
    typer.echo(f"{target}: {len(content):,} bytes, {len(network.subgraphs[0].operators)} operators")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FedmoteError(f"{path}: {error.strerror}") from None
