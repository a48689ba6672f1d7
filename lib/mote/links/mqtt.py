"""The MQTT link: one broker, reconnecting by itself, never blocking. It knows topics as text and nothing of
rounds.

The client is chumicro-mqtt, which runs on MicroPython, CircuitPython and CPython: QoS 1 with PUBACK and
retransmission, last will, backoff. Messages of the federation have at most 1,024 bytes, so its buffers are
taken once and suffice.
"""

from chumicro_mqtt.client import MQTTBackpressureError, MQTTClient
from chumicro_sockets.sockets_factory import fixed_connector_factory

from .. import port
from .backoff import Backoff

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_BUFFER_BYTES = 1280  # the longest message, its topic and MQTT's own bytes
_NOT_LET_IN = (4, 5)  # return codes of CONNACK


class Address:
    """A broker URL taken apart, ``mqtt(s)://user:password@host:port``: tls, host, port, username,
    password."""

    def __init__(self, url):
        scheme, separator, rest = url.partition("://")
        login, at, place = rest.rpartition("@")
        if not separator or scheme not in _PORTS:  # not quoted: what was meant may hold a password
            raise ValueError("BROKER: write mqtt://host:port or mqtts://host:port")
        self.tls = scheme == "mqtts"
        self.username, _, self.password = login.partition(":") if at else ("", "", "")
        self.username, self.password = _unquoted(self.username) or None, _unquoted(self.password) or None
        place = place.rstrip("/")
        if place.startswith("["):  # IPv6
            self.host, _, rest = place[1:].partition("]")
            _, colon, number = rest.partition(":")
        else:
            self.host, colon, number = place.partition(":")
        if not self.host or (colon and not number.isdigit()):
            raise ValueError("BROKER names the place %r: write host or host:port" % place)
        self.port = int(number) if colon else _PORTS[scheme]


class MqttLink:
    """A connection that is kept up. Callbacks, to be set: ``on_message(topic, payload)``, ``on_connected()``,
    ``on_lost()``.

    settings: of the board: DEVICE is the client id, BROKER and what belongs to it (docs/settings.md) say
    where and how. will_topic, will: last will, QoS 1, retained. ``sent_bytes`` and ``received_bytes`` count
    topics and payloads. Raises ValueError for settings that are wrong and files that are missing.
    """

    slow = False

    def __init__(self, settings, will_topic, will):
        address = Address(settings["BROKER"])
        self._explain = context = None
        if address.tls:
            from . import tls  # it takes no room where there is none

            context = tls.context(settings.get("CA"), settings.get("CERT"), settings.get("KEY_FILE"))
            self._explain = tls.explain
        self._client = MQTTClient(
            transport_factory=fixed_connector_factory(
                address.host, address.port, use_tls=address.tls, radio=port.radio(), ssl_context=context
            ),
            client_id=settings["DEVICE"],
            username=settings.get("BROKER_USER", address.username),
            password=settings.get("BROKER_PASSWORD", address.password),
            keep_alive_seconds=30,
            will_topic=will_topic,
            will_message=will,
            will_qos=1,
            will_retain=True,
            rx_buffer_size=_BUFFER_BYTES,
            when_disconnected="raise",
        )
        self._client.on_message = self._message
        self._client.on_connect = self._connect
        self._client.on_disconnect = self._lost
        self.on_message = self.on_connected = self.on_lost = None
        self.sent_bytes = self.received_bytes = 0
        self._backoff = Backoff()
        self._client.connect()

    @property
    def connected(self):
        """Whether messages can be published now."""
        return self._client.state == "connected"

    @property
    def error(self):
        """Text of the last thing that went wrong, or None."""
        error = self._client.last_error
        if not error:
            return None
        code = getattr(error, "return_code", None)
        if code in _NOT_LET_IN:
            return "the broker does not let this board in: check BROKER_USER and BROKER_PASSWORD"
        return self._explain(str(error)) if self._explain else str(error)

    def subscribe(self, topic_filter, qos=1):
        """Ask for messages, also after a reconnection. Return False when the link is busy: not now."""
        try:
            self._client.subscribe(topic_filter, qos)
        except MQTTBackpressureError:
            return False
        return True

    def unsubscribe(self, topic_filter):
        """Ask for them no longer. Return False when the link is busy: not now."""
        try:
            self._client.unsubscribe(topic_filter)
        except MQTTBackpressureError:
            return False
        return True

    def publish(self, topic, payload, qos=0, retain=False, on_delivered=None):
        """Queue one message; return False when the link is down or busy, then it is not sent.

        on_delivered(topic): called when the broker has acknowledged it (QoS 1).
        """
        if not self.connected:
            return False
        done = (lambda name, _: on_delivered(name)) if on_delivered else None
        try:
            self._client.publish(topic, payload, qos=qos, retain=retain, on_publish=done)
        except MQTTBackpressureError:
            return False
        self.sent_bytes += len(topic) + len(payload)
        return True

    def poll(self, now):
        """Move bytes. To be called often; now: milliseconds of port.ticks_ms."""
        client = self._client
        if client.state == "failed":
            if not self._backoff.allows(now):
                return
            if not client.check(now):  # refused for good, as with a wrong password: it may be right by now
                client.disconnect()
                client.connect()
        elif client.state == "connected":
            self._backoff.up(now)
        elif client.state != "disconnected":
            self._backoff.trying()
        client.handle(now)

    def close(self):
        """Leave the broker in good order, and stay away until ``open``."""
        self._client.disconnect()

    def open(self):
        """Connect again after ``close``."""
        self._client.connect()

    def _message(self, topic, payload):
        self.received_bytes += len(topic) + len(payload)
        self.on_message(topic, payload)

    def _connect(self):
        self.on_connected()

    def _lost(self):
        self.on_lost()


def _unquoted(text):
    """Return a part of a URL with its %-signs resolved."""
    parts = text.encode().split(b"%")
    data = parts[0]
    for part in parts[1:]:
        try:
            data += bytes([int(part[:2], 16)]) + part[2:]
        except ValueError:  # a plain % in a password
            data += b"%" + part
    return data.decode()
