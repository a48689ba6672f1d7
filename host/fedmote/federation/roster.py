"""The devices of a running aggregator, in memory: the store is the truth and is read again when others have
written to it."""

from collections.abc import Iterator
from typing import Any

from fedmote.federation.devices import Member
from fedmote.federation.store import Store
from fedmote.federation.telemetry import INFER, LEARN, ONLINE
from mote import wire


class Roster:
    """layout: of the network that is learned."""

    def __init__(self, store: Store, layout: str) -> None:
        self._store, self._layout = store, layout
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
        member.online = status["state"] == ONLINE
        if member.online:
            member.role = status.get("role", member.role)
            member.layout = status.get("layout", member.layout)
            member.protocol = status.get("protocol", 1)
        self._store.note_status(device, member.online, status)

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
        if member is None or not member.online or member.quarantined:
            return False
        return member.role != INFER and self.is_ours(device)

    def learns(self, device: str) -> bool:
        """Tell whether a device is a learner, online or not."""
        return self._members[device].role == LEARN

    def learners(self) -> list[str]:
        """Return the learners that are online."""
        return [device for device in self.ours() if self.is_present(device) and self.learns(device)]
