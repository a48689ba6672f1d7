"""What a call of the aggregator brings about, gathered until it is on disk. It decides nothing."""

from collections import Counter
from collections.abc import Callable, Sequence

from fedmote.federation.events import Event
from fedmote.federation.protocol import Outgoing
from fedmote.federation.store import Store


class Turn:
    """Messages to publish, events to tell, and figures that are written once for many messages."""

    def __init__(self) -> None:
        self.outgoing: list[Outgoing] = []
        self._events: list[Event] = []
        self._up: Counter[str] = Counter()
        self._down: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()

    def send(self, device: str, message: Outgoing) -> None:
        """Publish a message that goes to one device."""
        self.outgoing.append(message)
        self._down[device] += len(message.topic) + len(message.payload)

    def tell(self, event: Event) -> None:
        """Tell an event, once it is on disk."""
        self._events.append(event)

    def count_up(self, device: str, count: int) -> None:
        """Count bytes that a device has sent."""
        self._up[device] += count

    def count_down(self, device: str, count: int) -> None:
        """Count bytes that a device must have fetched."""
        self._down[device] += count

    def refuse(self, reason: str, device: str) -> None:
        """Count a refused message."""
        self._refused[reason, device] += 1

    @property
    def traffic(self) -> bool:
        """Whether there is any that has not been written."""
        return bool(self._up or self._down)

    def write_traffic(self, store: Store) -> None:
        """Write how much devices sent and fetched, within a transaction: a row each, so not every time."""
        devices = self._up.keys() | self._down.keys()
        if devices:
            store.add_traffic((self._up[device], self._down[device], device) for device in sorted(devices))
        self._up.clear()
        self._down.clear()

    def write(self, store: Store) -> None:
        """Write what was refused, within a transaction."""
        for (reason, device), count in self._refused.items():
            store.refuse(reason, device, count)
        self._refused.clear()

    def finish(self, listeners: Sequence[Callable[[Event], None]]) -> list[Outgoing]:
        """Tell the listeners and return what to publish."""
        outgoing, self.outgoing = self.outgoing, []
        events, self._events = self._events, []
        for event in events:
            for listener in listeners:
                listener(event)
        return outgoing
