"""Watches one board: passes what its port brings to a view (live, plain lines, JSON) and to a recording."""

import json
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import IO, Self

from rich.console import Console
from rich.live import Live

from fedmote.errors import FedmoteError
from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.lines import Event, Line, Lost, Opened
from fedmote.monitor.panel import panel
from fedmote.monitor.telemetry import LINE_BYTES, Telemetry, parse, printable

OUTPUT_LINES = 100
REDRAW_SECONDS = 0.1


class View(ABC):
    """Shows what happens on a port, for as long as its context lasts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(self, event: Event, telemetry: Telemetry | None) -> None:
        """Show one event; ``telemetry`` is what a Line holds, None where that is something else."""


def watch(events: Iterable[Event], view: View, record: Path | None = None) -> None:
    """Show every event of a port until there are no more, and append telemetry to ``record`` as JSON lines.

    Raises FedmoteError where the recording cannot be written.
    """
    with ExitStack() as stack:
        recording = stack.enter_context(_recording(record)) if record else None
        stack.enter_context(view)
        for event in events:
            telemetry = parse(event.data) if isinstance(event, Line) else None
            if telemetry and recording:
                recording.write(_compact(telemetry) + "\n")
            view.show(event, telemetry)


class PlainView(View):
    """One readable line per inference or event on stdout; other output of the board is marked with ``|``."""

    def __init__(self) -> None:
        self._board = WatchedBoard()

    def show(self, event: Event, telemetry: Telemetry | None) -> None:
        if telemetry:
            for happened in self._board.update(telemetry):
                _say(f"{_seconds(telemetry)}  {happened}")
            if telemetry.label is not None:
                _say(_inference(telemetry))
        elif isinstance(event, Line) and event.data.strip():
            _say(f"| {_text(event)}")
        elif isinstance(event, Lost):
            print(f"port lost, waiting for it: {printable(event.reason)}", file=sys.stderr)
        elif isinstance(event, Opened) and self._board.known:
            print("port open again", file=sys.stderr)


class JsonView(View):
    """Telemetry as it came, one JSON object a line on stdout; everything else on stderr."""

    def show(self, event: Event, telemetry: Telemetry | None) -> None:
        if telemetry:
            _say(_compact(telemetry))
        elif isinstance(event, Line) and event.data.strip():
            print(f"| {_text(event)}", file=sys.stderr)
        elif isinstance(event, Lost):
            print(f"port lost, waiting for it: {printable(event.reason)}", file=sys.stderr)


class LiveView(View):
    """The panel, on the whole terminal."""

    def __init__(self, port: str, console: Console) -> None:
        self._port = port
        self._console = console
        self._board = WatchedBoard()
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._link = "open"
        self._drawn = 0.0
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: Event, telemetry: Telemetry | None) -> None:
        if telemetry:
            self._board.update(telemetry)
        elif isinstance(event, Line) and event.data.strip():
            self._output.append(_text(event))
        elif isinstance(event, Lost):
            self._link = "lost, waiting for it"
            self._board.note(f"port lost: {printable(event.reason)}")
        elif isinstance(event, Opened):
            self._link = "open"
        if monotonic() - self._drawn >= REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        width, height = self._console.size
        picture = panel(self._board, self._port, self._link, self._output, width, height)
        self._live.update(picture, refresh=True)
        self._drawn = monotonic()


def _recording(path: Path) -> IO[str]:
    try:
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise FedmoteError(f"cannot record to {path}: {error.strerror}") from None


def _say(line: str) -> None:
    print(line, flush=True)


def _compact(telemetry: Telemetry) -> str:
    return json.dumps(telemetry.raw, separators=(",", ":"))


def _text(line: Line) -> str:
    text = printable(line.data.decode(errors="replace"))
    return text + (" … (cut)" if len(line.data) >= LINE_BYTES else "")


def _seconds(telemetry: Telemetry) -> str:
    return f"{telemetry.time_ms / 1000:8.1f} s  {telemetry.device}"


def _inference(telemetry: Telemetry) -> str:
    parts = [_seconds(telemetry), str(telemetry.label)]
    if telemetry.probabilities:
        parts[-1] += f" {max(telemetry.probabilities):.0%}"
    if telemetry.truth is not None and telemetry.truth != telemetry.label:
        parts.append(f"(truth {telemetry.truth})")
    if telemetry.inference_ms is not None:
        parts.append(f"{telemetry.inference_ms:.1f} ms")
    if telemetry.version is not None:
        parts.append(f"model {telemetry.version}")
    if telemetry.round is not None:
        parts.append(f"round {telemetry.round}")
    if telemetry.state is not None:
        parts.append(telemetry.state)
    if telemetry.free_bytes is not None:
        parts.append(f"{telemetry.free_bytes / 1000:.0f} kB free")
    return "  ".join(parts)
