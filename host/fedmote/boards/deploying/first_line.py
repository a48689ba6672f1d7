"""Waits for a board's first line of telemetry after its start, and says why where none comes."""

import time
from collections.abc import Callable, Iterator

from fedmote.errors import FedmoteError
from fedmote.monitor import telemetry
from fedmote.monitor.telemetry import Telemetry

_LAST_LINES = 8


def wait(
    lines: Iterator[bytes | None], timeout_s: float, clock: Callable[[], float] = time.monotonic
) -> Telemetry:
    """Return the first telemetry among the lines; None among them stands for a quiet moment.

    Raises FedmoteError where the program fails on the board, and where nothing came in time; with what was
    printed instead.
    """
    deadline = clock() + timeout_s
    heard: list[str] = []
    for line in lines:
        if line is not None:
            line = line[max(0, line.find(b"{")) :]  # a UART may bring a few bytes of noise before it
            found = telemetry.parse(line)
            if found is not None:
                return found
            text = telemetry.printable(line.decode(errors="replace"))
            reason = _failure(line)
            if reason is not None:
                raise FedmoteError(f"all is copied, but the program fails on the board: {reason}")
            if text.strip():
                heard = [*heard, text][-_LAST_LINES:]
        if clock() > deadline:
            break
    said = "".join(f"\n  {text}" for text in heard)
    raise FedmoteError(
        f"all is copied, but no telemetry came within {timeout_s:.0f} s. "
        + (f"The board printed:{said}" if said else "The board printed nothing: press its reset button")
    )


def _failure(line: bytes) -> str | None:
    """Return what node.py tells before it gives up: an error and nothing else."""
    try:
        table = telemetry.decode(line)
    except (ValueError, RecursionError):
        return None
    reason = table.get("error") if isinstance(table, dict) and "device" not in table else None
    return telemetry.printable(reason) if isinstance(reason, str) else None
