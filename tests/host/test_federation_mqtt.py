"""What a user can rely on: whatever a broker sends, in whatever pieces, is either a message or the end of the
connection, and takes bounded memory."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.federation import link, mqtt
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.link import Link
from fedmote.federation.mqtt import PACKET_LIMIT, Connection, Message
from fedmote.federation.protocol import Outgoing

CONNACK = b"\x20\2\0\0"


def publish(topic: bytes, payload: bytes, identifier: int = 7, qos: int = 1) -> bytes:
    """Return a PUBLISH packet."""
    body = struct.pack(">H", len(topic)) + topic
    body += struct.pack(">H", identifier) * bool(qos) + payload
    return bytes([0x30 | qos << 1]) + mqtt._length(len(body)) + body


@asynccontextmanager
async def connected(
    send: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[Connection, list[Message], "asyncio.Future[str]"]]:
    """Connect to a broker that says what ``send`` writes: (connection, what arrived, why it was lost)."""
    arrived: list[Message] = []
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(CONNACK)
        await send(writer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        connection = await Connection.connect(address, "us", 30, 5, arrived.extend, lost.set_result)
        yield connection, arrived, lost
        connection.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("size", [1, 3, 1000, 100_000])
def test_messages_arrive_whole_however_they_are_cut(size: int) -> None:
    packets = [publish(b"a/b", bytes([n]) * (n * 9), n + 1) for n in range(200)] + [b"\xd0\0"]
    data = b"".join(packets)

    async def send(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            if size > 3:
                await writer.drain()

    async def play() -> list[Message]:
        async with connected(send) as (_, arrived, lost):
            await until(lambda: len(arrived) == 200)
            assert not lost.done()
            return arrived

    arrived = asyncio.run(play())
    assert [(m.topic, m.payload, m.identifier, m.qos) for m in arrived] == [
        ("a/b", bytes([n]) * (n * 9), n + 1, 1) for n in range(200)
    ]


def test_an_oversized_message_is_cut_and_the_next_one_is_whole() -> None:
    huge = publish(b"a", bytes(3_000_000), 5)
    largest_kept = 0

    async def send(writer: asyncio.StreamWriter) -> None:
        nonlocal largest_kept
        for start in range(0, len(huge), 50_000):
            writer.write(huge[start : start + 50_000])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(publish(b"b", b"next", 6))

    async def play() -> list[Message]:
        nonlocal largest_kept
        async with connected(send) as (connection, arrived, _):
            async with asyncio.timeout(10):
                while len(arrived) < 2:
                    largest_kept = max(largest_kept, len(connection._rest))
                    await asyncio.sleep(0)
            return arrived

    first, second = asyncio.run(play())
    assert (first.topic, first.identifier) == ("a", 5) and 65_535 < len(first.payload) < PACKET_LIMIT
    assert (second.topic, second.payload) == ("b", b"next") and largest_kept <= PACKET_LIMIT


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\xff\xff\xff\xff\x7f",  # a length of five bytes
        b"\x32\2\0\5",  # a topic longer than its packet
        b"\x30\2\0\5",  # with QoS 0 too
        b"\x34\5\0\1a\0\1",  # QoS 2
        b"\0\0",  # no kind of packet
        b"\x20\2\0\0",  # a second CONNACK
        b"\x90\xff\xff\x7f" + bytes(PACKET_LIMIT),  # a huge SUBACK
    ],
)
def test_what_is_no_mqtt_ends_the_connection(data: bytes) -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(data)

    async def play() -> str:
        async with connected(send) as (connection, arrived, lost):
            async with asyncio.timeout(10):
                reason = await lost
            assert not arrived
            with pytest.raises(ConnectionError):
                await connection.subscribe([("a", 1)])
            return reason

    assert "does not speak MQTT" in asyncio.run(play())


class Deaf(asyncio.Transport):
    """Takes everything and does nothing."""

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_bring_anything_but_messages_or_the_end(chunks: list[bytes]) -> None:
    async def play() -> None:
        lost: list[str] = []
        connection = Connection(lambda messages: None, lost.append)
        connection.connection_made(Deaf())
        for chunk in chunks:
            connection.data_received(chunk)

    asyncio.run(play())


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(b"\x40\2\0\x63" + b"\x90\3\0\x63\0" + b"\xb0\2\0\x63" + publish(b"a", b"next"))

    async def play() -> None:
        async with connected(send) as (connection, arrived, lost):
            await until(lambda: arrived)
            assert arrived[0].payload == b"next" and connection.unsent == 0 and not lost.done()

    asyncio.run(play())


def test_nothing_more_is_read_while_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_HOLD_LIMIT", 300)
    monkeypatch.setattr(link, "_WAITING_LIMIT", 100)
    count = 20_000

    async def play() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Wait for no acknowledgement, as a broker with a wide window."""
            await reader.read(1000)
            writer.write(b"\x20\2\1\0")
            for n in range(count):
                writer.write(publish(b"a", bytes(1000) + struct.pack(">H", n), n + 1))
                await writer.drain()
            await reader.read()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            receiver = Link(
                BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1]), "us", [[("a", 1)]]
            )
            await receiver.open()
            await until(lambda: len(receiver._queue) > 300)
            await asyncio.sleep(0.2)
            assert len(receiver._queue) < 1000
            taken: list[bytes] = []
            async with asyncio.timeout(20):
                while len(taken) < count:
                    batch = await receiver.receive(50, 0.5)
                    receiver.acknowledge(batch)
                    taken += [message.payload[1000:] for message in batch]
                    assert len(receiver._queue) < 1000
            assert taken == [struct.pack(">H", n) for n in range(count)]
            await receiver.close()

    asyncio.run(play())


def test_a_broker_that_we_do_not_listen_to_is_not_taken_for_dead() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        pass

    async def play() -> None:
        async with connected(send) as (connection, _, lost):
            connection.hold(True)
            connection._ping(0.01)
            await asyncio.sleep(0.2)
            assert not lost.done()
            connection.hold(False)
            async with asyncio.timeout(5):
                assert await lost == "is silent"

    asyncio.run(play())


def test_a_broker_that_takes_no_messages_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "WINDOW", 10)
    monkeypatch.setattr(mqtt, "_BACKLOG_LIMIT", 100)

    async def send(writer: asyncio.StreamWriter) -> None:
        pass

    async def play() -> None:
        async with connected(send) as (connection, _, lost):
            for _ in range(100):
                connection.publish("a", b"")
            connection.flush()
            assert connection.unsent == 100 and not lost.done()
            connection.publish("a", b"")
            connection.flush()
            assert await lost == "takes no messages"

    asyncio.run(play())


def test_no_two_messages_on_their_way_have_one_identifier() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        pass

    async def play() -> None:
        async with connected(send) as (connection, _, _):
            for _ in range(2):
                connection._identifier = 0xFFFE  # all have been given once
                for _ in range(3):
                    connection.publish("a", b"")
                connection.flush()
            assert connection._unacknowledged == {0xFFFF, 1, 2, 3, 4, 5} and connection.unsent == 6

    asyncio.run(play())


def test_more_sessions_have_more_messages_on_their_way() -> None:
    async def play(address: BrokerAddress, lanes: int) -> int:
        receiver = Link(address, "receiver", [[(f"a/{lane}", 1)] for lane in range(lanes)])
        sender = Link(address, "sender", [[("b", 1)]])
        await receiver.open()
        await sender.open()
        sender.publish([Outgoing(f"a/{n % lanes}", b"x") for n in range(1000)])
        await asyncio.sleep(0.5)
        count = len(receiver._queue)
        while batch := await receiver.receive(1000, 0.5):
            receiver.acknowledge(batch)
        await sender.close()
        await receiver.close()
        return count

    with EmbeddedBroker() as broker:
        assert asyncio.run(play(broker.address, 1)) * 3 == asyncio.run(play(broker.address, 3))


def test_a_session_with_many_messages_waiting_is_taken_up_again() -> None:
    async def play(address: BrokerAddress) -> None:
        sender = Link(address, "sender", [[("b", 1)]])
        await sender.open()
        first = Link(address, "receiver", [[("a", 1)]])
        await first.open()
        await first.close()
        sender.publish([Outgoing("a", struct.pack(">H", n)) for n in range(1000)])
        while sender._connections[0].unsent:
            await asyncio.sleep(0.01)
        for part in (300, 700):  # the first time it dies with messages that nobody acknowledged
            receiver = Link(address, "receiver", [[("a", 1)]])
            await receiver.open()
            taken = 0
            async with asyncio.timeout(20):
                while taken < part:
                    batch = await receiver.receive(50, 1)
                    receiver.acknowledge(batch)
                    taken += len(batch)
            assert taken == part
            await receiver.close()
        await sender.close()

    with EmbeddedBroker() as broker:
        asyncio.run(play(broker.address))


def test_a_broker_that_says_nothing_more_is_left() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        pass

    async def play() -> str:
        async with connected(send) as (connection, _, lost):
            connection._ping(0.01)
            async with asyncio.timeout(5):
                return await lost

    assert asyncio.run(play()) == "is silent"
