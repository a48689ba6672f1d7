"""Recordings of what a monitor was told: JSON lines, written and played again.

A line is the board's telemetry as it came, with ``host_time`` (seconds since 1970) and, from a broker, the
``federation`` before it. Everything else is an object with ``host_time`` and ``event``: ``opened``, ``lost``,
``status`` or ``output``. Recordings without ``host_time`` play by the uptime of the board.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fedmote.errors import FedmoteError
from fedmote.monitor.events import ALONE, Event, Lost, Opened, Output, Quiet, Received, Reported
from fedmote.monitor.subscription import interpret
from fedmote.monitor.telemetry import checked, decode, printable

LONGEST_PAUSE = 5.0  # seconds that a replay waits at most between two lines
STEP_SECONDS = 0.1
_LINE_CHARACTERS = 1 << 14
_LATEST = 1e11  # seconds since 1970


def record(events: Iterable[Event], path: Path) -> Iterator[Event]:
    """Append events to a file, and yield each once it is written.

    Raises FedmoteError where the file cannot be written.
    """
    try:
        file = path.open("ab", buffering=0)  # what is recorded survives whatever comes next
    except OSError as error:
        raise FedmoteError(f"cannot record to {path}: {error.strerror}") from None
    with file:
        for event in events:
            if values := _values(event):
                try:
                    file.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")
                except OSError as error:
                    raise FedmoteError(f"cannot record to {path}: {error.strerror}") from None
            yield event


def replay(
    path: Path,
    speed: float = 1.0,
    pause: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Yield the events of a recording in their old order and rhythm, ``speed`` times as fast.

    Raises FedmoteError where the file cannot be read or holds no recording.
    """
    began, played, before = clock(), 0.0, None
    for event in read(path):
        if before is not None:
            played += min(max(event.at - before, 0.0), LONGEST_PAUSE)
        while (left := played / speed - (clock() - began)) > 0:
            pause(min(left, STEP_SECONDS))
            yield Quiet(event.at - max(0.0, played - (clock() - began) * speed))
        before = event.at
        yield event


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a recording at once. Lines that are none come as output, but for the first.

    Raises FedmoteError where the file cannot be read or holds no recording.
    """
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FedmoteError(f"cannot replay {path}: {error.strerror}") from None
    last: Event | None = None
    with file:
        while line := file.readline(_LINE_CHARACTERS):
            if not line.strip():
                continue
            at = last.at if last else 0.0
            event = _event(line, at)
            if event is None and last is None:
                break
            last = event or Output(at, ALONE, f"no line of a recording: {printable(line.rstrip(), 200)}")
            yield last
    if last is None:
        raise FedmoteError(f"{path} is no recording of fedmote monitor: its first line is no telemetry")


def _values(event: Event) -> dict[str, Any]:
    values: dict[str, Any] = {"host_time": round(event.at, 3)}
    match event:
        case Received(_, board, telemetry):
            return {**values, **_place(board, telemetry.device), **telemetry.raw}
        case Reported(_, board, status):
            return {**values, "event": "status", **_place(board), "status": status}
        case Output(_, board, text):
            return {**values, "event": "output", **_place(board), "text": text}
        case Lost(_, reason):
            return {**values, "event": "lost", "reason": reason}
        case Opened(_, source):
            return {**values, "event": "opened", "source": source}
    return {}


def _place(board: str, known: str = "") -> dict[str, str]:
    if board == ALONE:
        return {}
    federation, _, device = board.partition("/")
    return {"federation": federation} if device == known else {"federation": federation, "device": device}


def _event(line: str, last: float) -> Event | None:
    """Return what a line holds, None where it is nothing that ``record`` writes."""
    try:
        values = decode(line)
        at = float(values.pop("host_time", values.get("time_ms", last * 1000) / 1000))
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    if not 0 <= at < _LATEST:
        return None
    federation = values.pop("federation", None)
    if "time_ms" in values:
        telemetry = checked(values)
        if telemetry is None:
            return None
        return Received(at, _board(federation, telemetry.device), telemetry)
    board = _board(federation, values.get("device"))
    match values.get("event"):
        case "status":
            payload = json.dumps(values.get("status"), ensure_ascii=False).encode(errors="replace")
            return interpret(f"fedmote/{federation}/status/{values.get('device')}", payload, at)
        case "output":
            return Output(at, board, printable(str(values.get("text"))))
        case "lost":
            return Lost(at, printable(str(values.get("reason"))))
        case "opened":
            return Opened(at, printable(str(values.get("source"))))
    return None


def _board(federation: Any, device: Any) -> str:
    return ALONE if federation is None else printable(f"{federation}/{device}", 70)
