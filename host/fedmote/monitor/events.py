"""What a view is told: telemetry, statuses, other output, links that come and go, all with the host's time.

Where it comes from (a serial port, a broker, a recording) makes no difference from here on.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fedmote.monitor import lines
from fedmote.monitor.telemetry import LINE_BYTES, Telemetry, parse, printable

ALONE = ""  # names the board of a link that has only one


@dataclass(frozen=True)
class Event:
    """at: the host's time, seconds since 1970."""

    at: float


@dataclass(frozen=True)
class Received(Event):
    """A line of telemetry. board: ``federation/device``, or ALONE."""

    board: str
    telemetry: Telemetry


@dataclass(frozen=True)
class Reported(Event):
    """A board's status, checked; ``state`` is online or offline."""

    board: str
    status: dict[str, Any]


@dataclass(frozen=True)
class Output(Event):
    """Something else that a board sent, safe to print. board: as above, "" also where that is not known."""

    board: str
    text: str


@dataclass(frozen=True)
class Lost(Event):
    """The link went away: why, safe to print."""

    reason: str


@dataclass(frozen=True)
class Opened(Event):
    """The link is there, for the first time or again. source: the port or broker, safe to print."""

    source: str


@dataclass(frozen=True)
class Quiet(Event):
    """Nothing new for a moment: time to look at the keyboard or to redraw."""


def from_port(
    happenings: Iterable[lines.Event], port: str, clock: Callable[[], float] = time.time
) -> Iterator[Event]:
    """Yield what the lines of a serial port say. port: what it was opened as."""
    for happening in happenings:
        match happening:
            case lines.Line(data):
                text = without_escapes(data)
                if telemetry := parse(text):
                    yield Received(clock(), ALONE, telemetry)
                elif text.strip():
                    yield Output(clock(), ALONE, readable(text))
            case lines.Lost(reason):
                yield Lost(clock(), printable(reason))
            case lines.Opened(device):
                yield Opened(clock(), printable(device or port))
            case lines.Quiet():
                yield Quiet(clock())


def without_escapes(data: bytes) -> bytes:
    """Return a line without terminal codes; with them CircuitPython sets the title of the window."""
    return _ESCAPES.sub(b"", data)


def readable(data: bytes) -> str:
    """Return bytes as text that is safe to print; a line that was cut says so."""
    return printable(data.decode(errors="replace")) + (" … (cut)" if len(data) >= LINE_BYTES else "")


_ESCAPES = re.compile(
    rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    rb"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    rb"|\x1b[78=>c\\]"  # keep and restore the cursor, keypad, reset, end of a string
)
