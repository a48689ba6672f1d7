"""A proxy between MQTT clients and their broker that does to packets what bad networks do, by a schedule that
is drawn from a seed.

It does what TCP and MQTT 3.1.1 allow to happen, so that who notices can put it right: nothing vanishes but
the end of what a connection carried or a publication of QoS 0; those of one topic stay in order.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from fedmote.benchmarks import packets
from fedmote.federation.broker import LOOPBACK, BrokerAddress

_HELD_S = 0.3  # a publication that waits for another one to pass it waits no longer
_READ_BYTES = 1 << 16
_ENDS = (OSError, EOFError, packets.NotMqtt)  # of a connection


@dataclass(frozen=True)
class Faults:
    """What a network does. life_s: mean time that a connection lives, 0 for as long as both sides want. Then
    the next packet in either direction is cut after any byte, or it and all that follows vanishes for a while
    before the connection ends.

    The others are chances, for each packet. delay: it and all that follows waits. Of publications only: lose
    (QoS 0): it is swallowed. repeat: it comes again, at once or later. reorder: some that follow, of other
    topics, come before it. pause_s: the longest delay, and the longest time that a side does not know of the
    end.
    """

    life_s: float = 60.0
    delay: float = 0.02
    lose: float = 0.05
    repeat: float = 0.05
    reorder: float = 0.05
    pause_s: float = 1.0


NONE = Faults(0, 0, 0, 0, 0)
_CHANCES = ("delay", "lose", "repeat", "reorder")


@dataclass(frozen=True)
class Passed:
    """A publication that was handed on as a whole. upward: to the broker."""

    client: str
    upward: bool
    topic: str
    payload: bytes


class FaultyProxy:
    """Listens on a free port of the loopback address and passes everything to ``broker``; an async context
    manager.

    The faults of a client's n-th connection depend on seed, client id and n alone, packet by packet.
    on_passed: called with every publication that came through. ``counts``: how often there was what.
    """

    def __init__(
        self, broker: BrokerAddress, seed: int, faults: Faults, on_passed: Callable[[Passed], None]
    ) -> None:
        self._broker, self._seed = broker, seed
        self.faults, self.on_passed = faults, on_passed
        self.counts: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> BrokerAddress:
        """Where it listens. Only inside the context."""
        assert self._server is not None
        return BrokerAddress(LOOPBACK, self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> "FaultyProxy":
        self._server = await asyncio.start_server(self._accept, LOOPBACK)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        sides = [writer]
        try:
            first = await packets.read_packet(reader)
            client = packets.client_id(first)
            broker_reader, broker_writer = await asyncio.open_connection(self._broker.host, self._broker.port)
            sides.append(broker_writer)
            self.counts["connections"] += 1
            self._connections[client] += 1
            name = f"{self._seed} {client} {self._connections[client]}"
            ledgers = _Ledger(), _Ledger()
            end = Random(f"{name} end")
            life_s = end.expovariate(1 / self.faults.life_s) if self.faults.life_s else math.inf
            until = asyncio.get_running_loop().time() + life_s
            up = _Flow(self, client, True, reader, broker_writer, Random(f"{name} up"), until, *ledgers)
            down = _Flow(
                self, client, False, broker_reader, writer, Random(f"{name} down"), until, *ledgers[::-1]
            )
            pumps = [asyncio.create_task(up.pump(first)), asyncio.create_task(down.pump())]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                ends = await asyncio.gather(*pumps, return_exceptions=True)
            for defect in ends:
                if isinstance(defect, Exception) and not isinstance(defect, _ENDS):
                    raise defect
            if up.cut or down.cut:
                end.shuffle(sides)
                sides[0].transport.abort()
                await asyncio.sleep(end.uniform(0, self.faults.pause_s))
        except _ENDS:
            pass  # what one side sees of the other's end is the end
        finally:
            for side in sides:
                side.transport.abort()


class _Ledger:
    """The publications of QoS 1 in one direction that wait for acknowledgement: their sender knows no
    copies and of another order, and must not learn of them by acknowledgements."""

    def __init__(self) -> None:
        self._acknowledged: dict[bytes, bool] = {}  # by identifier, in the order of the sender

    def note(self, identifier: bytes) -> None:
        """A publication came from its sender."""
        self._acknowledged.setdefault(identifier, False)

    def acknowledge(self, identifier: bytes) -> Iterator[bytes]:
        """The receiver has acknowledged one: yield the identifiers that its sender may hear of now."""
        if identifier in self._acknowledged:
            self._acknowledged[identifier] = True
        for first in list(self._acknowledged):
            if not self._acknowledged[first]:
                return
            del self._acknowledged[first]
            yield first


class _Flow:
    """One direction of a connection, until a time. sent: its publications. answered: those of the other
    direction, which are acknowledged in this one. cut: whether it ended by a fault."""

    def __init__(
        self,
        proxy: FaultyProxy,
        client: str,
        upward: bool,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        random: Random,
        until: float,
        sent: _Ledger,
        answered: _Ledger,
    ) -> None:
        self._proxy, self._client, self._upward = proxy, client, upward
        self._reader, self._writer, self._random, self._until = reader, writer, random, until
        self._sent, self._answered = sent, answered
        self._held: list[tuple[int, bytes]] = []  # (packets that may still pass it, packet)
        self.cut = False

    async def pump(self, first: bytes | None = None) -> None:
        """Pass packets on until the connection ends. first: one that was read already."""
        if first is not None:
            await self._pass(first)
        reading: asyncio.Task[bytes] | None = None
        try:
            while not self.cut:
                reading = reading or asyncio.create_task(packets.read_packet(self._reader))
                done, _ = await asyncio.wait([reading], timeout=_HELD_S if self._held else None)
                if done:
                    packet, reading = reading.result(), None
                    await self._pass(packet)
                else:
                    self._release(lambda left, packet: True)
                await self._writer.drain()
        except EOFError:
            self._release(lambda left, packet: True)
            await self._writer.drain()
        finally:
            if reading is not None:
                reading.cancel()

    async def _pass(self, packet: bytes) -> None:
        counts = self._proxy.counts
        counts["packets"] += 1
        amount, fault = self._random.random(), self._draw(packet)
        if asyncio.get_running_loop().time() >= self._until:
            await self._end(packet, amount)
            return
        if fault:
            counts[fault] += 1
        if fault == "lose":
            return
        if fault == "delay":
            await asyncio.sleep(amount * self._proxy.faults.pause_s)
        if packets.kind_of(packet) == packets.PUBACK:
            for identifier in self._answered.acknowledge(packet[2:4]):
                self._writer.write(packet[:2] + identifier)
            return
        if packets.kind_of(packet) == packets.PUBLISH:
            topic = packets.topic(packet)
            self._release(lambda left, held: packets.topic(held) == topic)
            if packets.assured(packet):
                self._sent.note(packets.identifier(packet))
        if fault == "reorder":
            self._held.append((1 + int(3 * amount), packet))
            return
        self._write(packet)
        self._held = [(left - 1, held) for left, held in self._held]
        if fault == "repeat":
            first = packet[0] | packets.DUP if packets.assured(packet) else packet[0]
            self._held.append((int(4 * amount), bytes([first]) + packet[1:]))
        self._release(lambda left, held: left <= 0)

    async def _end(self, packet: bytes, amount: float) -> None:
        """Let the connection end with this packet."""
        self.cut = True
        if self._random.random() < 0.5:
            self._proxy.counts["cut"] += 1
            self._writer.write(packet[: int(amount * (len(packet) + 1))])
            return
        self._proxy.counts["vanish"] += 1
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(amount * self._proxy.faults.pause_s):
                while await self._reader.read(_READ_BYTES):
                    pass

    def _draw(self, packet: bytes) -> str:
        """Return the name of the field of Faults that this packet suffers, or nothing."""
        chance = self._random.random()
        for fault in _CHANCES:
            chance -= getattr(self._proxy.faults, fault)
            if chance < 0:
                if fault == "delay" or packets.kind_of(packet) == packets.PUBLISH:
                    return "" if fault == "lose" and packets.assured(packet) else fault
                break
        return ""

    def _release(self, due: Callable[[int, bytes], bool]) -> None:
        """Write those of the held publications that are due."""
        held, self._held = self._held, []
        for left, packet in held:
            if due(left, packet):
                self._write(packet)
            else:
                self._held.append((left, packet))

    def _write(self, packet: bytes) -> None:
        self._writer.write(packet)
        if packets.kind_of(packet) == packets.PUBLISH:
            passed = Passed(self._client, self._upward, packets.topic(packet), packets.payload(packet))
            self._proxy.on_passed(passed)
