"""Draws a federation while it learns: rounds, a row for every board, accuracy as it climbs, and one board's
live predictions.

It is a listener of an aggregator's events and a rich renderable; it decides nothing.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedmote.federation.events import (
    BoardSeen,
    EvaluationAccepted,
    Event,
    Refused,
    RoundClosed,
    RoundExtended,
    RoundStarted,
    Score,
    Telemetry,
    UpdateAccepted,
)
from fedmote.monitor.sparks import sparkline

_STATES = {
    "collecting": "cyan",
    "fetching": "blue",
    "evaluating": "magenta",
    "training": "yellow",
    "sending": "blue",
    "waiting": "blue",
    "idle": "green",
    "resting": "dim",
    "offline": "red",
}
_EVENTS = 3
_PREDICTIONS = 14


@dataclass
class Row:
    """What is known of one board."""

    role: str = ""
    state: str = "starting"
    answered: bool = False
    line: dict[str, Any] = field(default_factory=dict)


class FederationView:
    """title: of the whole picture. rounds: how many will train, 0 for no end. Safe to draw from another
    thread."""

    def __init__(self, title: str, rounds: int) -> None:
        self._title, self._rounds = title, rounds
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._round, self._phase = 0, ""
        self._scores: list[Score] = []
        self._events: deque[Text] = deque(maxlen=_EVENTS)
        self._predictions: deque[tuple[str, str | None]] = deque(maxlen=_PREDICTIONS)
        self._shown = ""
        self._labels: list[str] = []

    @property
    def rows(self) -> dict[str, Row]:
        """The boards by id."""
        return self._rows

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        with self._lock:
            match event:
                case Telemetry(device, line):
                    self._telemetry(device, line)
                case BoardSeen(device, status):
                    row = self._rows.setdefault(device, Row())
                    row.role = status.get("role", row.role)
                    row.state = "offline" if status["state"] == "offline" else row.line.get("state", "online")
                case RoundStarted(number, phase):
                    self._round, self._phase = number, phase
                    for row in self._rows.values():
                        row.answered = False
                case UpdateAccepted(device) | EvaluationAccepted(device):
                    self._rows.setdefault(device, Row()).answered = True
                case Refused(device, reason):
                    self._note(f"refused a message of {device or 'a stranger'}: {reason}", "red")
                case RoundExtended(number, updates, minimum):
                    self._note(
                        f"round {number} goes on: {updates} of {minimum} updates at its deadline", "yellow"
                    )
                case RoundClosed():
                    self._closed(event)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            yield Panel(
                Group(self._progress(), Text(), self._boards(), Text(), self._lower()),
                title=Text(f" {self._title} ", "bold"),
                subtitle=Text(" Ctrl-C ends ", "dim"),
                border_style="green",
            )

    def _telemetry(self, device: str, line: dict[str, Any]) -> None:
        row = self._rows.setdefault(device, Row())
        row.line.update(line)
        row.state = line.get("state", row.state)
        self._labels = line.get("labels", self._labels)
        if "error" in line:
            self._note(f"{device}: {line['error']}", "red")
        if "label" not in line:
            return
        if not self._shown and row.role != "learn":
            self._shown = device  # a board whose wearer nobody has trained on says most
        if device == self._shown:
            self._predictions.append((line["label"], line.get("truth")))

    def _closed(self, event: RoundClosed) -> None:
        score = event.evaluators or event.learners
        if score is not None:
            self._scores.append(score)
            where = "unseen boards" if event.evaluators else "held-out windows"
            self._note(
                f"round {event.round}: {event.updates} updates from {event.samples} windows; "
                f"model {event.version} scored {score.accuracy:.1%} on {where}",
                "",
            )

    def _note(self, text: str, style: str) -> None:
        self._events.append(Text(text, style, no_wrap=True, overflow="ellipsis"))

    def _progress(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True, justify="right")
        done = self._round - (not self._all_answered())
        total = self._rounds + 1 if self._rounds else max(1, self._round)
        if not self._round:
            name = "boards start and collect windows"
        elif self._phase == "train":
            name = f"round {self._round}" + (f" of {self._rounds}" if self._rounds else "")
        else:
            name = "evaluating the final model"
        answered = sum(row.answered for row in self._rows.values())
        grid.add_row(
            Text(name, "bold"),
            ProgressBar(total=total, completed=max(0, done)),
            f"{answered} of {len(self._rows)} boards have answered",
        )
        return grid

    def _all_answered(self) -> bool:
        return all(row.answered for row in self._rows.values())

    def _boards(self) -> Table:
        table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
        for name in ("board", "role", "state"):
            table.add_column(name, no_wrap=True)
        for name in ("windows", "loss", "accuracy", "up kB", "down kB", "ms/inference", "free kB", "model"):
            table.add_column(name, justify="right", no_wrap=True)
        for device, row in sorted(self._rows.items(), key=lambda item: (item[1].role == "evaluate", item[0])):
            line = row.line
            table.add_row(
                device,
                Text(
                    {"learn": "learns", "evaluate": "unseen"}.get(row.role, ""),
                    "bold" if row.role == "evaluate" else "",
                ),
                Text(("✓ " if row.answered else "  ") + row.state, _STATES.get(row.state, "")),
                _cell(line, "samples", "{:d}"),
                _cell(line, "loss", "{:.2f}"),
                _cell(line, "accuracy", "{:.0%}"),
                _cell(line, "up_bytes", "{:.1f}", 1000),
                _cell(line, "down_bytes", "{:.1f}", 1000),
                _cell(line, "inference_ms", "{:.3f}"),
                _cell(line, "free_bytes", "{:.0f}", 1000),
                _cell(line, "version", "{:d}"),
            )
        return table

    def _lower(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(ratio=1, no_wrap=True)
        if self._scores:
            accuracies = [score.accuracy for score in self._scores]
            line = Text(sparkline(accuracies, len(accuracies), 0.0, 1.0), "green")
            line.append(f"  {self._scores[-1].accuracy:.1%}", "bold green")
            line.append(f"   it began with {self._scores[0].accuracy:.1%}", "dim")
            grid.add_row("accuracy on unseen boards", line)
        if self._predictions:
            line = Text()
            for label, truth in self._predictions:
                right = truth is None or truth == label
                line.append(f"{label} ", "green" if right else "red")
            grid.add_row(f"{self._shown} sees", line)
        for number, event in enumerate(self._events):
            grid.add_row("events" if number == 0 else "", event)
        return grid


def _cell(line: dict[str, Any], key: str, form: str, divisor: float = 1) -> Text:
    value = line.get(key)
    if value is None:
        return Text("–", "dim")
    return Text(form.format(value / divisor if divisor != 1 else value))
