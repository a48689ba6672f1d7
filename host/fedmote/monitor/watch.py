"""Passes what happens to boards to a view; has the views that print lines, for people and for programs."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Self

from fedmote.monitor.boards import Boards
from fedmote.monitor.events import ALONE, Event, Lost, Opened, Output, Received, Reported
from fedmote.monitor.telemetry import Telemetry
from fedmote.monitor.units import short


class View(ABC):
    """Shows what happens to boards, for as long as its context lasts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(self, event: Event) -> bool:
        """Show one event. Return False where the user wants to see no more."""

    def stay(self) -> None:
        """There are no more events: keep what is seen on the screen for as long as the user wants."""
        return


def watch(events: Iterable[Event], view: View) -> None:
    """Show every event until there are no more, or the user has seen enough."""
    with view:
        for event in events:
            if not view.show(event):
                return
        view.stay()


def only(events: Iterable[Event], device: str) -> Iterable[Event]:
    """Yield what concerns a device, named with or without its federation, and what concerns all."""
    for event in events:
        match event:
            case Received(_, board, telemetry) if device not in (telemetry.device, board):
                continue
            case Reported(_, board) | Output(_, board) if device not in (board, board.rpartition("/")[2]):
                continue
        yield event


class PlainView(View):
    """One readable line per inference or event on stdout; other output of a board is marked with ``|``."""

    def __init__(self) -> None:
        self._boards = Boards()

    def show(self, event: Event) -> bool:
        happened = self._boards.take(event)
        match event:
            case Received(_, _, telemetry):
                for text in happened:
                    _say(f"{_seconds(telemetry)}  {text}")
                if telemetry.label is not None:
                    _say(_inference(telemetry))
            case Reported(_, board):
                for text in happened:
                    _say(f"{'':10}  {self._boards.name(board)}  {text}")
            case Output():
                _say(_output(event))
            case Lost(_, reason):
                _tell(f"lost, waiting for it: {reason}")
            case Opened(_, source) if len(self._boards):
                _tell(f"open again: {source}")
        return True


class JsonView(View):
    """Telemetry as it came, one JSON object a line on stdout; everything else on stderr."""

    def show(self, event: Event) -> bool:
        match event:
            case Received(_, _, telemetry):
                _say(json.dumps(telemetry.raw, separators=(",", ":")))
            case Reported(_, board, status):
                _tell(f"{board} is {status['state']}")
            case Output():
                _tell(_output(event))
            case Lost(_, reason):
                _tell(f"lost, waiting for it: {reason}")
        return True


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")  # at once: Ctrl-C leaves whole lines
    sys.stdout.flush()


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _output(event: Output) -> str:
    return f"| {event.text}" if event.board == ALONE else f"{event.board} | {event.text}"


def _seconds(telemetry: Telemetry) -> str:
    return f"{telemetry.time_ms / 1000:8.1f} s  {telemetry.device}"


def _inference(telemetry: Telemetry) -> str:
    parts = [_seconds(telemetry), str(telemetry.label)]
    if telemetry.probabilities:
        parts[-1] += f" {max(telemetry.probabilities):.0%}"
    if telemetry.truth is not None and telemetry.truth != telemetry.label:
        parts.append(f"(truth {telemetry.truth})")
    if telemetry.inference_ms is not None:
        parts.append(f"{short(telemetry.inference_ms)} ms")
    if telemetry.version is not None:
        parts.append(f"model {telemetry.version}")
    if telemetry.round is not None:
        parts.append(f"round {telemetry.round}")
    if telemetry.state is not None:
        parts.append(telemetry.state)
    if telemetry.free_bytes is not None:
        parts.append(f"{telemetry.free_bytes / 1000:.0f} kB free")
    return "  ".join(parts)
