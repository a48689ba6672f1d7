"""The versions of the model that a broker retains. It makes none."""

from fedmote.federation.plan import Plan
from fedmote.federation.protocol import clearing_messages, model_messages
from fedmote.federation.selection import STALENESS_LIMIT
from fedmote.federation.store import Model, Store
from fedmote.federation.turn import Turn


class Shelf:
    """Publishes versions, and lets a broker forget those that nobody fetches any more."""

    def __init__(self, store: Store, federation: str, plan: Plan, turn: Turn) -> None:
        self._store, self._federation, self._plan, self._turn = store, federation, plan, turn
        self._bytes: dict[int, int] = {}

    def put(self, model: Model) -> None:
        """Publish a version."""
        self._turn.outgoing += model_messages(self._federation, model.version, model.body)

    def clear(self, version: int) -> None:
        """Forget the version that is too old beside this one."""
        old = version - 1 - (STALENESS_LIMIT if self._plan.takes_late else 1)
        if old >= 0:
            size = 4 * sum(self._plan.sizes)
            self._turn.outgoing += clearing_messages(self._federation, old, size)

    def bytes_of(self, version: int) -> int:
        """Return the bytes of the messages that bring a version."""
        if version not in self._bytes:
            messages = model_messages(self._federation, version, self._store.model(version).body)
            self._bytes[version] = sum(len(one.topic) + len(one.payload) for one in messages)
        return self._bytes[version]
