"""``fedmote label``: tells a board what its sensor sees, over its serial port."""

from typing import Annotated

import typer

from fedmote.cli.options import Baud, Port


def main(
    label: Annotated[
        str | None, typer.Argument(help="The class, as fedmote monitor shows it.", show_default=False)
    ] = None,
    port: Port = None,
    baud: Baud = 115200,
) -> None:
    """Tell a board with a live sensor which class it sees from now on; without a class, that nobody knows.

    The board learns from the windows that follow, in the federation's rounds. A board forgets
    the label, and its windows, when it restarts.

    Examples:
      fedmote label walking
      fedmote label --port /dev/ttyACM0
    """
    from fedmote.monitor import labels, ports

    answer = labels.tell(port or ports.only().device, label, baud)
    said = "no class is known" if label is None else f"{label} from now on"
    print(f"{answer.device}: {said}")
