"""Follows telemetry and statuses of boards at an MQTT broker. It publishes nothing and keeps no session."""

import queue
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.protocol import Refusal
from fedmote.federation.telemetry import parse_status
from fedmote.monitor.events import Event, Lost, Opened, Output, Quiet, Received, Reported, readable
from fedmote.monitor.telemetry import parse, printable
from mote import wire

WAIT_SECONDS = 0.1
_ANSWER_SECONDS = 10
_KEEPALIVE_SECONDS = 15
_RECONNECT_SECONDS = (1, 5)  # the pause doubles from the first to the second
_WAITING_LIMIT = 5000  # messages that wait to be shown; beyond, new ones are let go


def follow(address: BrokerAddress, federation: str | None = None) -> Iterator[Event]:
    """Yield what the boards of a federation say, without end; of all federations where none is named.

    Raises FedmoteError where the name cannot be one, the broker is not there, or it does not let us in the
    first time. Later losses are events.
    """
    if federation is not None and not wire.valid_name(federation):
        raise FedmoteError(f"--federation {federation!r} is no name: 1 to 32 characters of a-z 0-9 _ -")
    arrived: queue.SimpleQueue[Event | FedmoteError] = queue.SimpleQueue()
    client = _client(address, federation or "+", arrived)
    try:
        _connect(client, address)
        yield _first(arrived, address)
        while True:
            try:
                event = arrived.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                yield Quiet(time.time())
                continue
            if isinstance(event, FedmoteError):
                raise event
            yield event
    finally:
        client.disconnect()
        client.loop_stop()


def interpret(topic: str, payload: bytes, at: float) -> Event | None:
    """Return what a message says; None for the empty one that removes a retained message."""
    match topic.split("/"):
        case ["fedmote", federation, branch, device] if all(map(wire.valid_name, (federation, device))):
            board = f"{federation}/{device}"
        case _:
            return Output(at, "", f"{printable(topic, 100)}: {readable(payload[:1000])}")
    if not payload:
        return None
    if branch == "status":
        try:
            return Reported(at, board, parse_status(payload))
        except Refusal as refusal:
            return Output(at, board, f"status, {refusal}: {readable(payload[:1000])}")
    telemetry = parse(payload)
    if telemetry is None or telemetry.device != device:
        return Output(at, board, readable(payload[:1000]))
    return Received(at, board, telemetry)


def _client(
    address: BrokerAddress, federation: str, arrived: "queue.SimpleQueue[Event | FedmoteError]"
) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    address.prepare(client)
    client.reconnect_delay_set(*_RECONNECT_SECONDS)
    filters = [(wire.topic(federation, branch, "+"), 0) for branch in ("status", "telemetry")]
    source = f"{address}" + (f", federation {federation}" if federation != "+" else "")

    def on_connect(client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            arrived.put(address.refused(reason))
        else:
            client.subscribe(filters)

    def on_subscribe(_: mqtt.Client, __: Any, ___: int, reasons: list[Any], ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            arrived.put(
                FedmoteError(
                    f"{address} forbids to subscribe to {filters[0][0]}: check the broker's access rules, "
                    "or name a --federation"
                )
            )
        else:
            arrived.put(Opened(time.time(), source))

    def on_disconnect(_: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        arrived.put(Lost(time.time(), printable(str(reason))))

    def on_message(_: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        event = interpret(topic, bytes(message.payload), time.time())
        if event is not None and arrived.qsize() < _WAITING_LIMIT:
            arrived.put(event)

    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.on_disconnect, client.on_message = on_disconnect, on_message
    return client


def _connect(client: mqtt.Client, address: BrokerAddress) -> None:
    try:
        client.connect(address.host, address.port, _KEEPALIVE_SECONDS)
    except OSError as error:
        raise address.unreachable(error) from None
    client.loop_start()


def _first(arrived: "queue.SimpleQueue[Event | FedmoteError]", address: BrokerAddress) -> Event:
    try:
        event = arrived.get(timeout=_ANSWER_SECONDS)
    except queue.Empty:
        event = Lost(0, "")
    if isinstance(event, FedmoteError):
        raise event
    if isinstance(event, Lost):
        raise address.silent()
    return event
