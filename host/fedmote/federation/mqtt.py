"""One connection of the aggregator to an MQTT 3.1.1 broker, on asyncio: persistent session, QoS 0 and 1,
acknowledged by hand and many at a time. link.py connects anew; it reads no payload.

It is no library's because none bounds what a stranger can put into the aggregator's memory: a message of
100 MB took 288 MB in paho-mqtt 2.2, where one that is too large could only end the session, and again when it
is sent again. Here it is skipped as it comes, and acknowledged. amqtt and awscrt acknowledge before anything
is on disk, too. In time paho would do: a round of 10,000 devices, 510,000 messages, takes 49 s with it on
two idle cores and 34 s with this (23 us a message against 3; gmqtt 15, awscrt 13, amqtt 91).
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fedmote.federation.broker import BrokerAddress

#: bytes of a packet beyond which it is cut short: room for the longest topic and more payload than counts
PACKET_LIMIT = 70_000
#: messages published and not yet acknowledged, beyond which the others wait
WINDOW = 1000
#: messages that wait, beyond which the broker is taken for dead
_BACKLOG_LIMIT = 200_000
_MISSED_PINGS = 3

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK, _PINGRESP = 2, 3, 4, 9, 11, 13
_PINGREQ = b"\xc0\0"
_DISCONNECT = b"\xe0\0"
_REFUSED = 0x80  # as the answer to a subscription
_REASONS = {
    1: "it does not speak MQTT 3.1.1",
    2: "client id rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


class Rejected(Exception):  # noqa: N818 (it is an answer, not a defect)
    """The broker does not let us in; the text says why."""


class Message(NamedTuple):
    """What the broker delivered. topic: empty where it is no UTF-8. payload: cut where a packet was larger
    than PACKET_LIMIT. identifier: for ``acknowledge`` of the same connection, meaningless with QoS 0."""

    topic: str
    payload: bytes
    identifier: int
    qos: int
    connection: "Connection"


class Connection(asyncio.Protocol):
    """Made by ``connect``. All methods are for the event loop's thread.

    on_messages: called with what came in one read, at least one message. on_lost: called once with the
    reason, when a connection that was up is no more, but for ``close``.
    """

    def __init__(self, on_messages: Callable[[list[Message]], None], on_lost: Callable[[str], None]) -> None:
        self._on_messages, self._on_lost = on_messages, on_lost
        self._loop = asyncio.get_running_loop()
        self.resumed = False
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, asyncio.Future[bytes]] = {}  # by identifier; 0 is the one to CONNECT
        self._rest = b""  # the beginning of a packet
        self._skip = 0  # bytes of an oversized packet that are still to come
        self._identifier = 0
        self._unacknowledged: set[int] = set()
        self._waiting: deque[bytes] = deque()  # two parts of each packet, its identifier goes between them
        self._keepalive: asyncio.TimerHandle | None = None
        self._silent = 0  # pings since something came
        self._paused = False

    @classmethod
    async def connect(
        cls,
        address: BrokerAddress,
        client_id: str,
        keepalive_s: int,
        answer_s: float,
        on_messages: Callable[[list[Message]], None],
        on_lost: Callable[[str], None],
    ) -> "Connection":
        """Open a connection to a persistent session; ``resumed`` tells whether the broker has it already.

        Raises OSError where there is nobody or the connection is lost at once, Rejected, TimeoutError without
        an answer in ``answer_s``.
        """
        loop = asyncio.get_running_loop()
        context = address.context() if address.tls else None
        _, connection = await loop.create_connection(
            lambda: cls(on_messages, on_lost),
            address.host,
            address.port,
            ssl=context,
            ssl_handshake_timeout=answer_s if context else None,
        )
        answer = connection._expect(0)
        connection._write(_connect_packet(client_id, keepalive_s, address.username, address.password))
        try:
            async with asyncio.timeout(answer_s):
                resumed, code = await answer
        except TimeoutError:
            connection._end()
            raise
        if code:
            connection._end()
            raise Rejected(_REASONS.get(code, f"code {code}"))
        if connection._transport is None:
            raise ConnectionResetError
        connection.resumed = bool(resumed & 1)
        connection._ping(keepalive_s / 2)
        return connection

    async def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[str]:
        """Subscribe to (topic filter, QoS) pairs and return the filters that the broker refuses.

        Raises ConnectionError where the connection is lost meanwhile.
        """
        body = b"".join(_text(topic) + bytes([qos]) for topic, qos in filters)
        codes = await self._ask(0x82, body)
        return [topic for (topic, _), code in zip(filters, codes, strict=False) if code >= _REFUSED]

    def unsubscribe(self, topic: str) -> None:
        """End a subscription. Not every broker answers."""
        body = self._next_identifier().to_bytes(2) + _text(topic)
        self._write(b"\xa2" + _length(len(body)) + body)

    @property
    def unsent(self) -> int:
        """Published messages that the broker has not acknowledged."""
        return len(self._unacknowledged) + len(self._waiting) // 2

    def publish(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """Publish with QoS 1; what the connection does not live to deliver is lost."""
        name = _text(topic)
        size = _length(len(name) + 2 + len(payload))
        self._waiting.append(b"\x33" + size + name if retained else b"\x32" + size + name)
        self._waiting.append(payload)

    def flush(self) -> None:
        """Send what was published, as much as may be on its way at a time."""
        packets: list[bytes] = []
        while self._waiting and len(self._unacknowledged) < WINDOW:
            identifier = self._next_identifier()
            self._unacknowledged.add(identifier)
            packets += (self._waiting.popleft(), identifier.to_bytes(2), self._waiting.popleft())
        if packets:
            self._write(b"".join(packets))
        if self.unsent > _BACKLOG_LIMIT:
            self._break("takes no messages")

    def acknowledge(self, identifiers: Iterable[int]) -> None:
        """Let the broker forget messages that it delivered with QoS 1."""
        packets = b"".join(b"\x40\2" + identifier.to_bytes(2) for identifier in identifiers)
        if packets:
            self._write(packets)

    def hold(self, paused: bool) -> None:
        """Stop or go on reading."""
        if self._transport is not None and paused != self._paused:
            self._paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def close(self) -> None:
        """Say goodbye; the broker keeps the session."""
        self._write(_DISCONNECT)
        self._end()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(str(error) if error else "closed by the broker")

    def data_received(self, data: bytes) -> None:
        self._silent = 0
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._rest:
            data = self._rest + data
        messages: list[Message] = []
        try:
            position = self._read_packets(data, messages)
        except (ValueError, IndexError, struct.error) as error:
            self._break(f"does not speak MQTT: {error}")
            position = len(data)
        self._rest = data[position:]
        if messages:
            self._on_messages(messages)

    # Packets

    def _read_packets(self, data: bytes, messages: list[Message]) -> int:
        """Take the packets that are whole and return where the rest begins.

        Raises ValueError, IndexError or struct.error for what is no packet.
        """
        position, end = 0, len(data)
        while position + 2 <= end:
            start, length, shift = position + 1, 0, 0
            while start < end:
                digit = data[start]
                start += 1
                length |= (digit & 0x7F) << shift
                if digit < 0x80:
                    break
                shift += 7
                if shift > 21:
                    raise ValueError("a length of more than four bytes")
            else:
                break  # the length itself is not whole
            kept = min(length, PACKET_LIMIT)
            if start + kept > end:
                break
            first = data[position]
            if first >> 4 == _PUBLISH:
                messages.append(self._message(first, data, start, start + kept))
            elif length > PACKET_LIMIT:
                raise ValueError(f"a packet of {length} bytes")
            else:
                self._answered(first >> 4, data[start : start + length])
            position = start + length
            if position > end:
                self._skip = position - end
                position = end
        return position

    def _message(self, first: int, data: bytes, start: int, end: int) -> Message:
        """Return the message in a PUBLISH packet; first: its first byte."""
        qos = first >> 1 & 3
        position = start + 2 + (data[start] << 8 | data[start + 1])
        identifier = 0
        try:
            topic = data[start + 2 : position].decode()
        except UnicodeDecodeError:
            topic = ""
        if qos == 1:
            (identifier,) = struct.unpack_from(">H", data, position)
            position += 2
        elif qos:
            raise ValueError(f"QoS {qos}, which nobody asked for")
        if position > end:
            raise ValueError("a topic longer than its packet")
        return Message(topic, data[position:end], identifier, qos, self)

    def _answered(self, kind: int, body: bytes) -> None:
        if kind == _PUBACK:
            self._unacknowledged.discard(int.from_bytes(body[:2]))
            if self._waiting:
                self.flush()
        elif kind == _SUBACK:
            answer = self._answers.pop(int.from_bytes(body[:2]), None)
            if answer is not None and not answer.done():
                answer.set_result(body[2:])
        elif kind == _CONNACK:
            answer = self._answers.pop(0, None)
            if answer is None or len(body) != 2:
                raise ValueError("a CONNACK out of place")
            if not answer.done():
                answer.set_result(body)
        elif kind not in (_UNSUBACK, _PINGRESP):
            raise ValueError(f"a packet of kind {kind}")

    async def _ask(self, first: int, body: bytes) -> bytes:
        identifier = self._next_identifier()
        answer = self._expect(identifier)
        self._write(bytes([first]) + _length(2 + len(body)) + identifier.to_bytes(2) + body)
        return await answer

    def _expect(self, identifier: int) -> "asyncio.Future[bytes]":
        answer: asyncio.Future[bytes] = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(ConnectionResetError())
        else:
            self._answers[identifier] = answer
        return answer

    def _next_identifier(self) -> int:
        while True:
            self._identifier = self._identifier % 0xFFFF + 1
            if self._identifier not in self._unacknowledged and self._identifier not in self._answers:
                return self._identifier

    def _ping(self, interval_s: float) -> None:
        self._keepalive = self._loop.call_later(interval_s, self._ping, interval_s)
        if self._paused:
            self._silent = 0
        if self._silent >= _MISSED_PINGS:
            self._break("is silent")
        else:
            self._silent += 1
            self._write(_PINGREQ)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # The end

    def _break(self, reason: str) -> None:
        transport = self._transport
        self._lost(reason)
        if transport is not None:
            transport.abort()

    def _end(self) -> None:
        """Close without telling ``on_lost``."""
        transport, self._transport = self._transport, None
        self._forget()
        if transport is not None:
            transport.close()

    def _lost(self, reason: str) -> None:
        up = self._transport is not None and self._keepalive is not None
        self._transport = None
        self._forget()
        if up:
            self._on_lost(reason)

    def _forget(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError())
        self._waiting.clear()
        self._unacknowledged.clear()


def _connect_packet(client_id: str, keepalive_s: int, username: str | None, password: str | None) -> bytes:
    flags = 0  # no clean session
    body = _text(client_id)
    if username is not None:
        flags |= 0x80
        body += _text(username)
        if password is not None:
            flags |= 0x40
            body += _text(password)
    head = b"\0\4MQTT\4" + bytes([flags]) + keepalive_s.to_bytes(2)
    return b"\x10" + _length(len(head) + len(body)) + head + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data


def _length(length: int) -> bytes:
    digits = bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    return bytes(digits)
