"""The MQTT connection of the aggregator: paho-mqtt in its own
thread, an asyncio queue in ours. It reads no payload."""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.protocol import Outgoing

logger = logging.getLogger(__name__)

_KEEPALIVE_S = 30
_ANSWER_S = 10
_RECONNECT_S = (1, 30)  # the pause doubles from the first to the second
_FLUSH_S = 5
_WAITING_LIMIT = 2000  # messages in the queue, beyond which QoS 0 ones are let go; a broker bounds the others


@dataclass(frozen=True)
class Arrived:
    """A message that the broker keeps until it is acknowledged. connection: the one that it came over."""

    topic: str
    payload: bytes
    identifier: int
    qos: int
    connection: int


class Link:
    """A persistent session (QoS 1, acknowledged by hand) at a
    broker. All methods are for the thread of the event loop.

    client_id: what the broker knows the session by. filters: (topic filter, QoS) to subscribe to.
    """

    def __init__(self, address: BrokerAddress, client_id: str, filters: list[tuple[str, int]]) -> None:
        self._address, self._filters = address, filters
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Arrived] = asyncio.Queue()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._renewed = False
        #: whether what is published now will arrive
        self.connected = False
        self._connection = 0  # counted in paho's thread
        self._unsent: list[mqtt.MQTTMessageInfo] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True
        )
        self._client.username_pw_set(address.username, address.password)
        self._client.reconnect_delay_set(*_RECONNECT_S)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    async def open(self) -> None:
        """Connect and subscribe. Raises FedmoteError where the broker is not there or does not let us in."""
        address = self._address
        try:
            if address.tls:
                self._client.tls_set_context(ssl.create_default_context())
            await asyncio.to_thread(self._client.connect, address.host, address.port, _KEEPALIVE_S)
        except ssl.SSLError as error:
            raise FedmoteError(
                f"{address} cannot be trusted ({error.reason}): let SSL_CERT_FILE name the file of its CA"
            ) from None
        except OSError as error:
            raise FedmoteError(
                f"no broker answers at {address} ({error.strerror or error}): "
                "start one there, check --broker, "
                "or leave --broker out for the embedded one"
            ) from None
        self._client.loop_start()
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _ANSWER_S)
        except TimeoutError:
            await self.close()
            raise FedmoteError(
                f"{address} takes connections but does not answer as an MQTT broker: check --broker"
            ) from None
        except FedmoteError:
            await self.close()
            raise

    async def receive(self, limit: int, timeout_s: float) -> list[Arrived]:
        """Return what has arrived, at most ``limit`` messages; an
        empty list after ``timeout_s`` without any."""
        try:
            batch = [await asyncio.wait_for(self._queue.get(), timeout_s)]
        except TimeoutError:
            return []
        while len(batch) < limit and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    def renewed(self) -> bool:
        """Tell, once, that there is a new connection: what the
        broker is to retain must be published again."""
        renewed, self._renewed = self._renewed, False
        return renewed

    def acknowledge(self, batch: list[Arrived]) -> None:
        """Let the broker forget these messages."""
        for message in batch:
            # Numbers begin anew with a connection; what came over an older one will come again.
            if message.qos and message.connection == self._connection:
                self._client.ack(message.identifier, message.qos)

    def publish(self, outgoing: list[Outgoing]) -> None:
        """Publish with QoS 1. Without a connection it is let go:
        ``renewed`` will ask for all that matters."""
        if not self.connected:
            return
        self._unsent = [info for info in self._unsent if not info.is_published()]
        for message in outgoing:
            self._unsent.append(self._client.publish(message.topic, message.payload, 1, message.retained))

    async def close(self) -> None:
        """Send what is left, for a short while, and disconnect; the broker keeps the session."""
        end = self._loop.time() + _FLUSH_S
        while self.connected and self._loop.time() < end:
            if all(info.is_published() for info in self._unsent):
                break
            await asyncio.sleep(0.02)
        self.connected = False
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # Called by paho's thread

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._call(
                self._fail,
                f"{self._address} does not let us in ({reason}): check user and password in --broker",
            )
            return
        # Some brokers repeat retained statuses for a new subscription only, hence the first one is made anew.
        self._connection += 1
        client.unsubscribe(self._filters[0][0])
        client.subscribe(self._filters)

    def _on_subscribe(self, _: mqtt.Client, __: Any, ___: int, reasons: list[Any], ____: Any) -> None:
        refused = [
            topic for (topic, _), reason in zip(self._filters, reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self._call(
                self._fail,
                f"{self._address} forbids to subscribe to {refused[0]}: check the broker's access rules",
            )
        else:
            # Not before: by now paho has repeated what an older connection left unsent.
            self._call(self._up)

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._call(self._down, str(reason))

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        if message.qos == 0 and self._queue.qsize() > _WAITING_LIMIT:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # refused like every topic that is none of ours
        arrived = Arrived(topic, bytes(message.payload), message.mid, message.qos, self._connection)
        self._call(self._queue.put_nowait, arrived)

    def _call(self, function: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the event loop has ended before paho's thread
            self._loop.call_soon_threadsafe(function, *arguments)

    # Called by the event loop

    def _up(self) -> None:
        logger.info("connected to %s", self._address)
        self.connected = self._renewed = True
        if not self._ready.done():
            self._ready.set_result(None)

    def _down(self, reason: str) -> None:
        if self.connected:
            logger.warning("lost the connection to %s (%s), trying again", self._address, reason)
        self.connected = False

    def _fail(self, message: str) -> None:
        if self._ready.done():
            logger.error("%s", message)
        else:
            self._ready.set_exception(FedmoteError(message))
