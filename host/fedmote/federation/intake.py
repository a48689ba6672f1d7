"""Puts the pieces of bodies together, on disk. It trusts no piece."""

from typing import Any

from fedmote.federation.store import Partial, Store


class Intake:
    """The bodies that are on their way: one of each device, at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun: dict[str, tuple[int, int, int]] = {}  # of a Partial: what was asked of the store once

    def forget(self) -> None:
        """Ask the store again: somebody else may have written."""
        self._begun.clear()

    def gather(self, device: str, chunk: Any) -> bytes | None:
        """Keep a piece (a mote.wire.Chunk) and return the body where it was the last one missing."""
        if chunk.count > 1:
            identity = (chunk.number, chunk.kind, chunk.counter)
            if self._begun.get(device) != identity:
                partial = Partial(*identity)
                if self._store.partial(device) != partial:
                    self._store.begin_partial(device, partial)
                self._begun[device] = identity
            self._store.put_chunk(device, chunk.index, bytes(chunk.piece))
            if not self._store.has_all(device, chunk.count):
                return None
        body = self._store.body(device) if chunk.count > 1 else bytes(chunk.piece)
        self._store.drop_partial(device)
        self._begun.pop(device, None)
        return body
