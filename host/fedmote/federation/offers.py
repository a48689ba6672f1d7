"""The store's releases and offers: what the broker retains of updates over the air. It publishes nothing."""

import time
from dataclasses import dataclass

from fedmote.federation.devices import Devices

_COUNTERS = 1 << 32


@dataclass(frozen=True)
class Offer:
    """The last offer to a device. release: its id, None once withdrawn. offered: seconds since the epoch."""

    device: str
    counter: int
    release: str | None
    name: str | None
    offered: float


class Offers(Devices):
    """The store, for who offers releases."""

    def publish(self, release: str, total: int, name: str) -> None:
        """Note that a broker is about to retain the chunks of a release whose body has ``total`` bytes."""
        self._run(
            "INSERT INTO releases VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET published = excluded.published, name = excluded.name",
            release,
            total,
            name,
            time.time(),
        )

    def offer(self, device: str, release: str) -> int:
        """Note an offer to a known device, in place of the one before, and return its counter.

        The counter follows the clock, so that it grows too where a lost store is made anew.
        """
        with self.transaction():
            row = self._one("SELECT counter FROM offers WHERE device = ?", device)
            counter = max(int(time.time()), 0 if row is None else int(row[0]) + 1) % _COUNTERS
            self._run(
                "INSERT INTO offers VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET counter = excluded.counter, release = excluded.release, offered = excluded.offered",
                device,
                counter,
                release,
                time.time(),
            )
            return counter

    def withdraw(self, device: str) -> None:
        """Note that the offer to a device is withdrawn."""
        self._run("UPDATE offers SET release = NULL WHERE device = ?", device)

    def offers(self) -> list[Offer]:
        """Return the last offer to each device that had one, by name."""
        return [
            Offer(*row)
            for row in self._all(
                "SELECT device, counter, release, name, offered FROM offers "
                "LEFT JOIN releases USING (release) ORDER BY device"
            )
        ]

    def forgotten(self) -> list[tuple[str, int]]:
        """Return (id, bytes of the body) of releases that are offered to nobody."""
        return self._all(
            "SELECT release, bytes FROM releases "
            "WHERE release NOT IN (SELECT release FROM offers WHERE release IS NOT NULL)"
        )

    def clear(self, release: str) -> None:
        """Note that no broker retains the chunks of a release any more."""
        self._run("DELETE FROM releases WHERE release = ?", release)
