"""Who has answered the open round: in memory, with the store as truth. It decides nothing."""

from fedmote.federation.store import Store
from mote import wire


class Tally:
    """The bodies that count in one round. updates: how many of them hold a delta. samples: behind these."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.devices: set[str] = set()
        self._updates: list[tuple[str, int]] = []
        self.samples = 0

    def read(self, store: Store) -> None:
        """Read the store again."""
        self.clear()
        for device, number, kind, samples in store.answers(self.number):
            self.add(device, number, kind, samples)

    def add(self, device: str, number: int, kind: int, samples: int) -> None:
        """Count a body. number: the round that it was made for."""
        if number == self.number:
            self.devices.add(device)
        if kind == wire.UPDATE:
            self._updates.append((device, number))
            self.samples += samples

    @property
    def updates(self) -> list[tuple[str, int]]:
        """(device, round that it was made for) of every update, in the order of arrival."""
        return self._updates
