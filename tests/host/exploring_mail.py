"""For the exploration: messages by number, and brokers that retain some of them."""

from typing import Any

from fedmote.federation.protocol import Outgoing
from mote import wire

Messages = tuple[int, ...]


class Mail:
    """All messages that there ever were, and all that a broker ever retained, both told by numbers: two are
    the same where their numbers are. Shelf 0 is empty."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, bytes | None]] = []
        self._numbers: dict[tuple[str, bytes | None], int] = {}
        self._shelves: list[dict[str, int]] = [{}]
        self._shelf_numbers: dict[Any, int] = {(): 0}
        self._published: dict[Any, tuple[int, Messages]] = {}

    def __getitem__(self, message: int) -> tuple[str, bytes | None]:
        """Return (topic, payload) of a message, without a payload of a PUBACK."""
        return self._messages[message]

    def number(self, topic: str, payload: bytes | None) -> int:
        """Return the number of a message; payload: None for a PUBACK."""
        message = topic, payload
        if message not in self._numbers:
            self._numbers[message] = len(self._messages)
            self._messages.append(message)
        return self._numbers[message]

    def batch(self, messages: Messages) -> tuple[tuple[str, bytes], ...]:
        """Return (topic, payload) of each."""
        return tuple((topic, payload or b"") for topic, payload in map(self.__getitem__, messages))

    def retained(self, shelf: int, topic_filter: str) -> Messages:
        """Return the messages on a shelf that a subscription brings."""
        return tuple(one for topic, one in self._shelves[shelf].items() if matches(topic_filter, topic))

    def publish(self, shelf: int, outgoing: tuple[Outgoing, ...]) -> tuple[int, Messages]:
        """Return the shelf after messages were published, and what of them subscribers get."""
        key = shelf, outgoing
        if key not in self._published:
            retained, live = dict(self._shelves[shelf]), []
            for one in outgoing:
                message = self.number(one.topic, one.payload)
                if one.payload:
                    live.append(message)
                if one.retained and one.payload:
                    retained[one.topic] = message
                elif one.retained:
                    retained.pop(one.topic, None)
            self._published[key] = self._shelf(retained), tuple(live)
        return self._published[key]

    def text(self, message: int) -> str:
        """Return what a message says."""
        topic, payload = self._messages[message]
        if payload is None:
            return f"PUBACK {topic}"
        if payload.startswith(b"{"):
            return f"{topic} {payload.decode()}"
        chunk = wire.Chunk(payload)
        return f"{topic} kind {chunk.kind} counter {chunk.counter} piece {chunk.index + 1} of {chunk.count}"

    def _shelf(self, retained: dict[str, int]) -> int:
        identity = tuple(sorted(retained.items()))
        if identity not in self._shelf_numbers:
            self._shelf_numbers[identity] = len(self._shelves)
            self._shelves.append(retained)
        return self._shelf_numbers[identity]


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a subscription brings what is published on a topic."""
    if topic_filter.endswith("+"):
        return topic.rpartition("/")[0] == topic_filter[:-2]
    return topic == topic_filter


def added(messages: Messages, *more: int) -> Messages:
    """Return messages on their way, and others; any of them may come first."""
    return tuple(sorted((*messages, *more)))


def taken(messages: Messages, message: int) -> Messages:
    """Return messages on their way without one of them."""
    at = messages.index(message)
    return messages[:at] + messages[at + 1 :]
