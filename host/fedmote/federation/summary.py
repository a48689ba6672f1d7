"""What came of a federation, read from its store: for people's tables and for --json. It changes nothing."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fedmote.federation.events import Score
from fedmote.federation.store import Accepted, Round, Store
from fedmote.federation.telemetry import EVALUATE, LEARN
from mote import wire


def summarise(store: Store) -> dict[str, Any]:
    """Return a JSON-ready summary: rounds with the scores of the
    version that each started from, devices, refusals."""
    numbers = [(*row, store.accepted(row[0])) for row in store.rounds()]
    accepted = [one for *_, group in numbers for one in group]
    return {
        "application": store.meta("application"),
        "run": store.run,
        "version": store.model().version,
        "rounds": [
            {
                "round": number,
                "phase": phase,
                "version": version,
                "ended": ended,
                "updates": sum(one.kind == wire.UPDATE for one in group),
                "learners": _score(group, LEARN),
                "evaluators": _score(group, EVALUATE),
            }
            for number, phase, version, ended, group in numbers
        ],
        "devices": [
            {
                "device": device.device,
                "role": device.role,
                "up_bytes": device.up_bytes,
                "down_bytes": device.down_bytes,
                **_updates(device.device, accepted),
            }
            for device in store.devices()
        ],
        "refusals": [
            {"reason": reason, "device": device, "count": count}
            for (reason, device), count in sorted(store.refusals().items())
        ],
    }


def standing(store: Store) -> dict[str, Any]:
    """Return, JSON-ready, where a federation stands now: the open round and what operators have asked for."""
    opened = store.open_round()
    return {
        "application": store.meta("application"),
        "version": store.newest_version(),
        "paused": store.meta("paused") == "1",
        "rounds": sum(ended for *_, ended in store.rounds()),
        "round": None if opened is None else _opened(store, opened),
        "wishes": [{"command": wish.command, "argument": wish.argument} for wish in store.open_wishes()],
    }


def _opened(store: Store, opened: Round) -> dict[str, Any]:
    manifest = opened.manifest
    answers = store.answers(manifest.round)
    members, now = store.members(), time.time()
    missing = [
        (device, members[device])
        for device, given in sorted(store.assignments().items())
        if not given.answered and given.round == manifest.round
    ]
    return {
        "round": manifest.round,
        "phase": manifest.phase,
        "version": manifest.version,
        "edition": manifest.edition,
        "goal": opened.goal,
        "updates": sum(kind == wire.UPDATE for _, _, kind, _ in answers),
        "answers": len(answers),
        "missing": [device for device, member in missing if member.online],
        "resting": {
            device: datetime.fromtimestamp(member.back, UTC).isoformat(timespec="seconds")
            for device, member in missing
            if member.back is not None and member.back > now
        },
    }


def _score(group: list[Accepted], role: str) -> dict[str, Any] | None:
    score = Score.of(one.report for one in group if one.role == role)
    return None if score is None else asdict(score)


def _updates(device: str, accepted: list[Accepted]) -> dict[str, int]:
    """Return how many updates of a device count, and the bytes of
    one on its way up, topics and headers included."""
    sizes = [one.up_bytes for one in accepted if one.device == device and one.kind == wire.UPDATE]
    return {"updates": len(sizes), "update_bytes": max(sizes, default=0)}
