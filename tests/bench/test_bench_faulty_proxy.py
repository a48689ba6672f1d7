"""The proxy of ``fedmote bench survival`` does what a bad network may do, and nothing else."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest

from fedmote.benchmarks import packets
from fedmote.benchmarks.faulty_proxy import NONE, Faults, FaultyProxy, Passed
from fedmote.federation.broker import LOOPBACK, BrokerAddress

CONNECT = bytes.fromhex("100f 0004 4d515454 04 02 001e 0003") + b"abc"
PINGREQ = bytes.fromhex("c000")
RUDE = Faults(life_s=0, delay=0, lose=0.2, repeat=0.2, reorder=0.2)


def publication(number: int, topic: str, qos: int) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (number.to_bytes(2, "big") if qos else b"")
    body += b"payload %d" % number
    return bytes([0x30 | qos << 1, len(body)]) + body


def sent() -> list[bytes]:
    return [publication(number, f"topic/{number % 5}", number % 3 and 1) for number in range(1, 301)]


def passed_by(faults: Faults, seed: int, stream: bytes) -> tuple[bytes, list[Passed]]:
    """Send CONNECT and ``stream`` through the proxy; return what the broker got and what the proxy told."""
    told: list[Passed] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNECT + stream)

    return through_proxy(faults, seed, told.append, b"", talk), told


def through_proxy(
    faults: Faults,
    seed: int,
    on_passed: Callable[[Passed], None],
    greeting: bytes,
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> bytes:
    """Let ``talk`` be a client of a broker that only sends ``greeting``; return all that the broker got."""

    async def scene() -> bytes:
        got = asyncio.get_running_loop().create_future()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            got.set_result(await read_all(reader))
            writer.close()

        async with await asyncio.start_server(take, LOOPBACK) as server:
            address = BrokerAddress(LOOPBACK, server.sockets[0].getsockname()[1])
            async with FaultyProxy(address, seed, faults, on_passed) as proxy:
                reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
                await talk(reader, writer)
                writer.write_eof()
                result = await asyncio.wait_for(got, 20)
                writer.close()
        return result

    return asyncio.run(scene())


async def read_all(reader: asyncio.StreamReader) -> bytes:
    data = bytearray()
    try:
        while part := await reader.read(1 << 16):
            data += part
    except ConnectionError:
        pass
    return bytes(data)


def packets_of(data: bytes) -> list[bytes]:
    async def read() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return [await packets.read_packet(reader) for _ in range(data_count(data))]

    return asyncio.run(read())


def data_count(data: bytes) -> int:
    count = at = 0
    while at < len(data):
        at += 2 + data[at + 1]  # all packets here are short
        count += 1
    return count


def test_good_network_changes_no_byte() -> None:
    stream = b"".join(sent()) + PINGREQ
    got, told = passed_by(NONE, 1, stream)
    assert got == CONNECT + stream
    assert [one.payload for one in told] == [b"payload %d" % number for number in range(1, 301)]
    assert {(one.client, one.upward) for one in told} == {("abc", True)}


def test_faults_depend_on_the_seed_alone() -> None:
    stream = b"".join(sent())
    first, again, other = (passed_by(RUDE, seed, stream)[0] for seed in (1, 1, 2))
    assert first == again != CONNECT + stream
    assert first != other


def test_publications_are_lost_repeated_and_swapped_only_as_mqtt_allows() -> None:
    got = packets_of(passed_by(RUDE, 1, b"".join(sent()))[0])
    assert got[0] == CONNECT
    by_topic: dict[str, list[bytes]] = defaultdict(list)
    copies = 0
    for packet in got[1:]:
        if packets.payload(packet) in by_topic[packets.topic(packet)]:
            copies += 1
            assert bool(packet[0] & packets.DUP) == packets.assured(packet)
        else:
            by_topic[packets.topic(packet)].append(packets.payload(packet))
    came = {payload for payloads in by_topic.values() for payload in payloads}
    assured = {packets.payload(packet) for packet in sent() if packets.assured(packet)}
    assert copies > 10
    assert assured <= came and len(came) < 300
    for payloads in by_topic.values():
        numbers = [int(payload.split()[1]) for payload in payloads]
        assert numbers == sorted(numbers)
    order = [int(packets.payload(packet).split()[1]) for packet in got[1:]]
    assert order != sorted(order)


def test_sender_sees_each_acknowledgement_once_and_in_its_own_order() -> None:
    numbers = range(1, 41)
    seen: list[int] = []

    async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNECT)
        while len(set(seen)) < len(numbers):
            identifier = packets.identifier(await packets.read_packet(reader))
            seen.append(int.from_bytes(identifier, "big"))
            writer.write(b"\x40\x02" + identifier)

    greeting = b"".join(publication(number, f"topic/{number}", 1) for number in numbers)
    got = through_proxy(RUDE, 1, lambda passed: None, greeting, acknowledge)
    assert seen != list(numbers)
    assert got == CONNECT + b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in numbers)


@pytest.mark.parametrize("seed", range(1, 6))
def test_connection_ends_after_any_byte(seed: int) -> None:
    stream = b"".join(sent())
    got, _ = passed_by(Faults(1e-9, 0, 0, 0, 0, pause_s=0.01), seed, stream)
    assert got == (CONNECT + stream)[: len(got)] and len(got) <= len(CONNECT)


def test_what_is_not_mqtt_is_hung_up_on() -> None:
    async def scene() -> bytes:
        async with FaultyProxy(BrokerAddress(LOOPBACK, 9), 1, NONE, lambda passed: None) as proxy:
            reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" + bytes(200))
            return await asyncio.wait_for(read_all(reader), 20)

    assert asyncio.run(scene()) == b""
