"""The aggregator's way to its broker: a persistent session that connects anew by itself, and a bounded queue
of what arrived. The bytes of MQTT are mqtt.py's; it reads no payload."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.mqtt import Connection, Message, Rejected
from fedmote.federation.protocol import Outgoing

logger = logging.getLogger(__name__)

_KEEPALIVE_S = 30
_ANSWER_S = 10
_RECONNECT_S = (1, 30)  # the pause doubles from the first to the second
_FLUSH_S = 5
_WAITING_LIMIT = 2000  # messages in the queue, beyond which QoS 0 ones are let go
_HOLD_LIMIT = 8000  # and beyond which the broker has to keep the others


class Link:
    """Persistent sessions (QoS 1, acknowledged by hand) at a broker. All methods are for the thread of the
    event loop.

    client_id: what the broker knows the first session by. lanes: what each session subscribes to, (topic
    filter, QoS). A broker has few messages on their way to a session: one alone would wait for the disk.
    """

    def __init__(
        self, address: BrokerAddress, client_id: str, lanes: Sequence[Sequence[tuple[str, int]]]
    ) -> None:
        self._address, self._client_id, self._lanes = address, client_id, lanes
        self._connections: list[Connection] = []  # all lanes, or none
        self._queue: deque[Message] = deque()
        self._some = asyncio.Event()
        self._renewed = False
        self._reconnecting: asyncio.Task[None] | None = None
        self._subscribing: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether what is published now will arrive."""
        return bool(self._connections)

    async def open(self) -> None:
        """Connect and subscribe. Raises FedmoteError where the broker is not there or does not let us in."""
        try:
            await self._connect()
        except TimeoutError:
            raise self._address.silent() from None
        except OSError as error:
            raise self._address.unreachable(error) from None

    async def receive(self, limit: int, timeout_s: float) -> list[Message]:
        """Return what has arrived, at most ``limit`` messages; an
        empty list after ``timeout_s`` without any."""
        before = -1
        while before < len(self._queue) < limit:  # a turn of the event loop is a read: let it bring more
            before = len(self._queue)
            await asyncio.sleep(0)
        if not self._queue:
            self._some.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._some.wait(), timeout_s)
        batch = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
        if len(self._queue) < _WAITING_LIMIT:
            self._hold(False)
        return batch

    def renewed(self) -> bool:
        """Tell, once, that there is a new connection: what the
        broker is to retain must be published again."""
        renewed, self._renewed = self._renewed, False
        return renewed

    def acknowledge(self, batch: Sequence[Message]) -> None:
        """Let the broker forget these messages."""
        identifiers: dict[Connection, list[int]] = {}
        for message in batch:
            if message.qos:
                identifiers.setdefault(message.connection, []).append(message.identifier)
        for connection, numbers in identifiers.items():
            connection.acknowledge(numbers)  # one that is closed does nothing: they will come again

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish with QoS 1. Without a connection it is let go:
        ``renewed`` will ask for all that matters."""
        if not self._connections:
            return
        connection = self._connections[0]
        for message in outgoing:
            connection.publish(message.topic, message.payload, message.retained)
        connection.flush()

    async def close(self) -> None:
        """Send what is left, for a short while, and disconnect; the broker keeps the session."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                while self._connections and self._connections[0].unsent:
                    await asyncio.sleep(0.02)
        _close(self._connections)

    async def _connect(self) -> None:
        """Raises FedmoteError, and OSError as Connection.connect does."""
        self._queue.clear()
        connections: list[Connection] = []
        try:
            for lane, filters in enumerate(self._lanes):
                connections.append(await self._open(lane, filters))
        except ConnectionResetError:
            _close(connections)
            raise TimeoutError from None
        except BaseException:
            _close(connections)
            raise
        logger.info("connected to %s", self._address)
        self._connections, self._renewed = connections, True

    async def _open(self, lane: int, filters: Sequence[tuple[str, int]]) -> Connection:
        client_id = f"{self._client_id}-{lane}" if lane else self._client_id
        try:
            connection = await Connection.connect(
                self._address, client_id, _KEEPALIVE_S, _ANSWER_S, self._arrived, self._lost
            )
        except Rejected as rejected:
            raise self._address.refused(rejected) from None
        if not lane:  # some brokers repeat retained statuses for a new subscription only
            connection.unsubscribe(filters[0][0])
        subscribing = asyncio.get_running_loop().create_task(self._subscribe(connection, filters))
        if connection.resumed:
            # It has its subscriptions, and perhaps so many messages on their way to us that the broker
            # answers nothing before they are acknowledged.
            self._subscribing.add(subscribing)
            subscribing.add_done_callback(self._subscribed)
        else:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await subscribing
            except BaseException:
                connection.close()
                raise
        return connection

    async def _subscribe(self, connection: Connection, filters: Sequence[tuple[str, int]]) -> None:
        """Raises FedmoteError where the broker forbids it, ConnectionError where the connection is lost."""
        refused = await connection.subscribe(filters)
        if refused:
            raise FedmoteError(
                f"{self._address} forbids to subscribe to {refused[0]}: check the broker's access rules"
            )

    def _subscribed(self, task: "asyncio.Task[None]") -> None:
        self._subscribing.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, FedmoteError):
            logger.error("%s", error)

    async def _reconnect(self) -> None:
        pause_s, longest_s = _RECONNECT_S
        while not self._connections:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(2 * pause_s, longest_s)
            try:
                await self._connect()
            except FedmoteError as error:
                logger.error("%s", error)
            except OSError as error:
                logger.debug("%s: %s", self._address, error)

    # Called by the connection

    def _arrived(self, messages: list[Message]) -> None:
        if len(self._queue) > _WAITING_LIMIT:
            messages = [message for message in messages if message.qos]
        self._queue += messages
        self._some.set()
        if len(self._queue) > _HOLD_LIMIT:
            self._hold(True)

    def _lost(self, reason: str) -> None:
        self._queue.clear()  # what has not been acknowledged comes again
        if self._connections:
            logger.warning("lost the connection to %s (%s), trying again", self._address, reason)
            _close(self._connections)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    def _hold(self, paused: bool) -> None:
        for connection in self._connections:
            connection.hold(paused)


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()
