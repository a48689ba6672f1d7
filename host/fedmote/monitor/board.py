"""What is known of one watched board: its telemetry put together, the course of its figures, its events."""

from collections import deque
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from fedmote.monitor.telemetry import Telemetry

EVENTS = 100
COURSE = 240  # values that are kept of a figure
SIGHTINGS = 60
READINGS = 3000


def _course() -> deque[float]:
    return deque(maxlen=COURSE)


@dataclass
class WatchedBoard:
    """A board so far. Lines leave keys out, so ``known`` has the latest of each; None before the first.

    seen: the host's time of the last telemetry. sightings: (label, whether it was wrong), the last ones.
    traces: (uptime in seconds, one value a channel).
    """

    known: Telemetry | None = None
    seen: float | None = None
    status: dict[str, Any] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS))
    inferences: int = 0
    sightings: deque[tuple[str, bool]] = field(default_factory=lambda: deque(maxlen=SIGHTINGS))
    latencies: deque[float] = field(default_factory=_course)
    slowest_ms: float = 0.0
    certainties: deque[float] = field(default_factory=_course)
    heaps: deque[float] = field(default_factory=_course)
    traces: deque[tuple[float, tuple[float, ...]]] = field(default_factory=lambda: deque(maxlen=READINGS))
    _learned: dict[int, str] = field(default_factory=dict)  # class -> name, as seen in labels of inferences

    def update(self, telemetry: Telemetry, at: float | None = None) -> list[str]:
        """Take a line of telemetry in; return the events it brought, which ``events`` keeps with times."""
        before = self.known
        restarted = before is not None and telemetry.time_ms < before.time_ms
        if before is None or restarted or before.device != telemetry.device:
            self.known = telemetry
            self._forget()
        else:
            self.known = Telemetry(**_latest(before, telemetry), raw=telemetry.raw)
        self.seen = at
        self._follow(telemetry)
        events = _events(before, telemetry, restarted)
        self.events.extend(f"{telemetry.time_ms / 1000:8.1f} s  {event}" for event in events)
        return events

    def report(self, status: dict[str, Any]) -> list[str]:
        """Take a status in; return the events it brought, which ``events`` keeps."""
        before, self.status = self.status.get("state"), {**self.status, **status}
        if status["state"] == before:
            return []
        about = ", ".join(str(status[key]) for key in ("role", "board", "runtime") if key in status)
        event = status["state"] + (f" ({about})" if about else "")
        self.note(event)
        return [event]

    def note(self, event: str) -> None:
        """Keep an event that did not come from telemetry."""
        self.events.append(f"{'':10}  {event}")

    @property
    def median_ms(self) -> float | None:
        """Of the inferences that are kept."""
        return median(self.latencies) if self.latencies else None

    def classes(self) -> list[tuple[str, float]]:
        """Return the last probabilities with their classes' names, or numbers where no name was told."""
        if self.known is None:
            return []
        names = dict(enumerate(self.known.labels or ())) or self._learned
        return [(names.get(n, f"class {n}"), p) for n, p in enumerate(self.known.probabilities or ())]

    def _forget(self) -> None:
        self._learned, self.slowest_ms = {}, 0.0
        for course in (self.sightings, self.latencies, self.certainties, self.heaps, self.traces):
            course.clear()

    def _follow(self, telemetry: Telemetry) -> None:
        if telemetry.label is not None:
            self.inferences += 1
            self.sightings.append((telemetry.label, telemetry.wrong))
            if telemetry.probabilities:
                self.certainties.append(max(telemetry.probabilities))
                best = max(range(len(telemetry.probabilities)), key=telemetry.probabilities.__getitem__)
                self._learned[best] = telemetry.label
        if telemetry.inference_ms is not None:
            self.latencies.append(telemetry.inference_ms)
            self.slowest_ms = max(self.slowest_ms, telemetry.inference_ms)
        if telemetry.free_bytes is not None:
            self.heaps.append(telemetry.free_bytes)
        if telemetry.reading is not None:
            if self.traces and len(self.traces[-1][1]) != len(telemetry.reading):
                self.traces.clear()
            self.traces.append((telemetry.time_ms / 1000, telemetry.reading))


def _latest(before: Telemetry, now: Telemetry) -> dict[str, Any]:
    values = {}
    for key in fields(Telemetry):
        value = getattr(now, key.name)
        values[key.name] = getattr(before, key.name) if value is None else value
    del values["raw"]
    if now.label is not None or now.state is not None:  # not one that has a reading alone
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
    if changed("update") and now.update and _kind(now) != (before and _kind(before)):
        events.append(f"update: {now.update}")
    if changed("error"):
        events.append(f"error: {now.error}")
    return events


def _kind(telemetry: Telemetry) -> str:
    """Return the first word of an update's state: its progress is no event."""
    return (telemetry.update or "").partition(" ")[0]
