"""The devices of a running aggregator, in memory: the store is the truth and is read again when others have
written to it."""

import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from fedmote.federation.devices import Member
from fedmote.federation.store import Store
from fedmote.federation.telemetry import INFER, LEARN, ONLINE
from mote import wire

#: how much longer than it said a board may sleep, as part of that and in seconds: its clock is of no great
#: accuracy, and it has to start and to find its network
LATE_SHARE, LATE_S = 0.1, 10.0


class Roster:
    """layout: of the network that is learned. clock: seconds, monotonic.

    A device that takes part is online, or *rests*: it has left with the word when it will be back, and that
    time has not come.
    """

    def __init__(self, store: Store, layout: str, clock: Callable[[], float]) -> None:
        self._store, self._layout, self._clock = store, layout, clock
        self._epoch = time.time() - clock()
        self._generation: tuple[int, int] | None = None
        self._members: dict[str, Member] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Read the store again where somebody else has written; return whether that was so."""
        generation = self._store.generation()
        if generation == self._generation:
            return False
        self._generation = generation
        self._members = self._store.members()
        return True

    def get(self, device: str) -> Member | None:
        """Return a device, None where it is unknown or revoked."""
        return self._members.get(device)

    def __getitem__(self, device: str) -> Member:
        return self._members[device]

    def note_status(self, device: str, status: dict[str, Any]) -> None:
        """Note a checked status, here and in the store."""
        member = self._members[device]
        online = status["state"] == ONLINE
        if online:
            member.back = None
        elif member.online:  # not where a broker repeats what it retains: the sleep began long ago
            member.back = self._back_from(status.get("back_s"))
        member.online = online
        if member.online:
            member.role = status.get("role", member.role)
            member.layout = status.get("layout", member.layout)
            member.protocol = status.get("protocol", 1)
        self._store.note_status(device, member.online, status, member.back)

    def note_answer(self, device: str, counter: int, epoch_ms: float | None) -> None:
        """Note a body that counts, here and in the store."""
        member = self._members[device]
        member.counter = counter
        member.epoch_ms = epoch_ms or member.epoch_ms
        self._store.note_answer(device, counter, epoch_ms)

    def quarantine(self, device: str, reason: str) -> None:
        """Note that nothing is to be taken from a device, here and in the store."""
        self._members[device].quarantined = True
        self._store.quarantine(device, reason)

    def is_ours(self, device: str) -> bool:
        """Tell whether a device has told that it runs this network and speaks this protocol."""
        member = self._members.get(device)
        return member is not None and member.layout == self._layout and member.protocol == wire.PROTOCOL

    def ours(self) -> Iterator[str]:
        """Yield all devices that do, online or not."""
        return filter(self.is_ours, self._members)

    def is_present(self, device: str) -> bool:
        """Tell whether a device is online and may answer a round."""
        member = self._members.get(device)
        return member is not None and member.online and self._may_answer(device, member)

    def is_expected(self, device: str, within_s: float) -> bool:
        """Tell whether a device may answer a round and is online, or rests and will be back in that time."""
        member = self._members.get(device)
        if member is None or not self._may_answer(device, member):
            return False
        return member.online or (member.back is not None and 0 < member.back - self._now() <= within_s)

    def learns(self, device: str) -> bool:
        """Tell whether a device is a learner, online or not."""
        return self._members[device].role == LEARN

    def learners(self, within_s: float = inf) -> list[str]:
        """Return the learners that are online, or rest and will be back in that time."""
        return [one for one in self.ours() if self.learns(one) and self.is_expected(one, within_s)]

    def _may_answer(self, device: str, member: Member) -> bool:
        return not member.quarantined and member.role != INFER and self.is_ours(device)

    def _back_from(self, sleep_s: int | None) -> float | None:
        return None if sleep_s is None else self._now() + (1 + LATE_SHARE) * sleep_s + LATE_S

    def _now(self) -> float:
        """Return seconds since the epoch, by a clock that is not set meanwhile."""
        return self._epoch + self._clock()
