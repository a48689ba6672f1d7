"""What is known of one watched board: its lines of telemetry put together, and the events between them."""

from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

from fedmote.monitor.telemetry import Telemetry

EVENTS = 100


@dataclass
class WatchedBoard:
    """A board so far. Lines leave keys out, so ``known`` has the latest of each; None before the first."""

    known: Telemetry | None = None
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS))
    inferences: int = 0
    _learned: dict[int, str] = field(default_factory=dict)  # class -> name, as seen in labels of inferences

    def update(self, telemetry: Telemetry) -> list[str]:
        """Take a line of telemetry in; return the events it brought, which ``events`` keeps with times."""
        before = self.known
        restarted = before is not None and telemetry.time_ms < before.time_ms
        if before is None or restarted or before.device != telemetry.device:
            self.known, self._learned = telemetry, {}
        else:
            self.known = Telemetry(**_latest(before, telemetry), raw=telemetry.raw)
        if telemetry.label is not None:
            self.inferences += 1
            if telemetry.probabilities:
                best = max(range(len(telemetry.probabilities)), key=telemetry.probabilities.__getitem__)
                self._learned[best] = telemetry.label
        events = _events(before, telemetry, restarted)
        self.events.extend(f"{telemetry.time_ms / 1000:8.1f} s  {event}" for event in events)
        return events

    def note(self, event: str) -> None:
        """Keep an event that did not come from telemetry."""
        self.events.append(f"{'':10}  {event}")

    def classes(self) -> list[tuple[str, float]]:
        """Return the last probabilities with their classes' names, or numbers where no name was told."""
        if self.known is None:
            return []
        names = dict(enumerate(self.known.labels or ())) or self._learned
        return [(names.get(n, f"class {n}"), p) for n, p in enumerate(self.known.probabilities or ())]


def _latest(before: Telemetry, now: Telemetry) -> dict[str, Any]:
    values = {}
    for key in fields(Telemetry):
        value = getattr(now, key.name)
        values[key.name] = getattr(before, key.name) if value is None else value
    del values["raw"]
    values["error"] = now.error  # over as soon as a line is without it
    if now.label is not None:
        values["truth"] = now.truth
    return values


def _events(before: Telemetry | None, now: Telemetry, restarted: bool) -> list[str]:
    events = []
    if before is None or before.device != now.device:
        events.append(f"this is {now.device}")
        before = None
    elif restarted:
        events.append("restarted")
        before = None

    def changed(key: str) -> bool:
        value = getattr(now, key)
        return value is not None and (before is None or value != getattr(before, key))

    if changed("round") and now.round:
        events.append(f"round {now.round}")
    if changed("version"):
        events.append(f"model {now.version} is live")
    if (changed("accuracy") or changed("loss")) and now.accuracy is not None and now.loss is not None:
        events.append(f"on held-out windows: accuracy {now.accuracy:.0%}, loss {now.loss:.2f}")
    if changed("refused"):
        events.append(f"model {now.refused} refused: worse on held-out windows")
    if changed("error"):
        events.append(f"error: {now.error}")
    return events
