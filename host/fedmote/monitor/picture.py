"""Draws what the monitor showed at the end of a recording, as SVG on standard output, for documents.

Use: python -m fedmote.monitor.picture RECORDING [COLUMNS LINES [DEVICE]] > picture.svg
"""

import io
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from fedmote.errors import FedmoteError
from fedmote.monitor.boards import Boards
from fedmote.monitor.live import picture
from fedmote.monitor.recording import read

_FONTS = "DejaVu Sans Mono, Menlo, Consolas, DejaVu Sans, monospace"


def svg(recording: Path, width: int = 100, height: int = 30, device: str | None = None) -> str:
    """Return the picture of a terminal of a size as SVG.

    device: the board that is shown in full. Raises FedmoteError where the recording cannot be read.
    """
    boards = Boards(device)
    for event in read(recording):
        boards.take(event)
    console = Console(width=width, height=height, record=True, file=io.StringIO(), force_terminal=True)
    console.print(picture(boards, width, height))
    return console.export_svg(title="fedmote monitor", code_format=_format(), unique_id="monitor")


def _format() -> str:
    """Return rich's page without the font that it would load from another site."""
    _, _, rest = CONSOLE_SVG_FORMAT.partition(".{unique_id}-matrix")
    head, _, _ = CONSOLE_SVG_FORMAT.partition("@font-face")
    return f"{head}.{{unique_id}}-matrix{rest}".replace("Fira Code, monospace", _FONTS).replace(
        "arial", "Arial, sans-serif"
    )


if __name__ == "__main__":
    path, width, height, device = [*sys.argv[1:], *("100", "30", "")[len(sys.argv) - 2 :]]
    try:
        print(svg(Path(path), int(width), int(height), device or None))
    except FedmoteError as error:
        sys.exit(f"error: {error}")
