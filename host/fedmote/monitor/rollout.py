"""Follows what becomes of an update over the air on its devices, by their telemetry and statuses. It offers
nothing."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from fedmote.monitor.events import Event, Received, Reported

WAITING = "waiting"
OFFLINE = "offline"
RESTARTING = "restarting"
CONFIRMED = "confirmed"
REFUSED = "refused"

_BAD = ("rolled back", "failed", REFUSED)
_UPDATE = re.compile(r"(fetching|restarting|trial|confirmed|rolled back|failed) ([0-9a-f]{12})[: ]*(.*)")
_REFUSALS = ("offer refused", "update refused")
#: in how many seconds after an offer a device may still tell how the one before ended
SETTLE_S = 10


@dataclass(frozen=True)
class Progress:
    """How far one device is. state: WAITING, OFFLINE, or the first words of what it told; detail: the rest.
    online: whether its status has said so."""

    device: str
    state: str = WAITING
    detail: str = ""
    online: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing more comes of this offer."""
        return self.state == CONFIRMED or self.failed

    @property
    def failed(self) -> bool:
        """Whether the device runs what it ran before."""
        return self.state in _BAD

    def __str__(self) -> str:
        return f"{self.state} {self.detail}".strip()


def follow(
    events: Iterable[Event],
    federation: str,
    releases: dict[str, str],
    timeout_s: float,
    settle_s: float = 0,
) -> Iterator[dict[str, Progress]]:
    """Yield the progress of each device, by name, whenever there may be news, until all are done.

    events: as monitor.subscription tells them. releases: device -> id of the release offered to it. settle_s:
    for how long a bad end may be that of an earlier offer of the same release.
    """
    progress = {device: Progress(device) for device in releases}
    start = time.monotonic()
    yield progress
    for event in events:
        if isinstance(event, Received | Reported):
            name, _, device = event.board.partition("/")
            if name == federation and device in progress:
                after = _after(progress[device], event, releases[device])
                fresh = (
                    progress[device].state not in (WAITING, OFFLINE) or time.monotonic() >= start + settle_s
                )
                if fresh or not after.failed:
                    progress = {**progress, device: after}
        yield progress
        if all(one.done for one in progress.values()) or time.monotonic() >= start + timeout_s:
            return


def _after(before: Progress, event: Event, release: str) -> Progress:
    if isinstance(event, Reported):
        if event.status["state"] != "online":
            if before.done:
                return before
            return replace(before, state=RESTARTING if before.online else OFFLINE, detail="", online=False)
        if event.status.get("release") == release:
            return replace(before, state=CONFIRMED, detail="", online=True)
        return replace(before, online=True, state=WAITING if before.state == OFFLINE else before.state)
    assert isinstance(event, Received)
    told = _UPDATE.fullmatch(event.telemetry.update or "")
    if told and told[2] == release:
        return replace(before, state=told[1], detail=told[3])
    error = event.telemetry.error or ""
    if error.startswith(_REFUSALS) and not before.done:
        return replace(before, state=REFUSED, detail=error)
    return before
