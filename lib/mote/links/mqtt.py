"""The MQTT link: one broker, reconnecting by itself, never blocking. It knows topics as text and nothing of
rounds.

The client is chumicro-mqtt, which runs on MicroPython, CircuitPython and CPython: QoS 1 with PUBACK and
retransmission, last will, backoff. Messages of the federation have at most 1,024 bytes, so its buffers are
taken once and suffice.
"""

from chumicro_mqtt.client import MQTTBackpressureError, MQTTClient
from chumicro_sockets.sockets_factory import fixed_connector_factory

from .. import port

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_BUFFER_BYTES = 1280  # the longest message, its topic and MQTT's own bytes
_RETRY_MS = 60000


class Address:
    """A broker URL taken apart, ``mqtt(s)://user:password@host:port``: tls, host, port, username,
    password."""

    def __init__(self, url):
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in _PORTS:
            raise ValueError("broker %r: write mqtt://host:port or mqtts://host:port" % url)
        self.tls = scheme == "mqtts"
        login, at, place = rest.rpartition("@")
        self.username, _, password = login.partition(":") if at else ("", "", "")
        self.username, self.password = self.username or None, password or None
        self.host, colon, number = place.rstrip("/").partition(":")
        if not self.host or (colon and not number.isdigit()):
            raise ValueError("broker address %r: write host or host:port" % place)
        self.port = int(number) if colon else _PORTS[scheme]


class MqttLink:
    """A connection that is kept up. Callbacks, to be set: ``on_message(topic, payload)``, ``on_connected()``,
    ``on_lost()``.

    url: the broker. name: client id. will_topic, will: last will, QoS 1, retained. ca: PEM text of the CA for
    mqtts, or None. ``sent_bytes`` and ``received_bytes`` count topics and payloads.
    """

    def __init__(self, url, name, will_topic, will, ca=None):
        address = Address(url)
        context = None
        if ca is not None:
            import chumicro_sockets

            context = chumicro_sockets.ssl_context_with_ca(ca)
        self._client = MQTTClient(
            transport_factory=fixed_connector_factory(
                address.host, address.port, use_tls=address.tls, radio=port.radio(), ssl_context=context
            ),
            client_id=name,
            username=address.username,
            password=address.password,
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
        self._retry_at = None
        self._client.connect()

    @property
    def connected(self):
        """Whether messages can be published now."""
        return self._client.state == "connected"

    @property
    def error(self):
        """Text of the last thing that went wrong, or None."""
        return str(self._client.last_error) if self._client.last_error else None

    def subscribe(self, topic_filter):
        """Ask for messages with QoS 1, also after a reconnection."""
        self._client.subscribe(topic_filter, 1)

    def unsubscribe(self, topic_filter):
        """Ask for them no longer."""
        self._client.unsubscribe(topic_filter)

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
        if self._client.check(now):
            self._retry_at = None
            self._client.handle(now)
        elif (
            self._retry_at is None
        ):  # refused for good, as with a wrong password: it may be put right meanwhile
            self._retry_at = port.ticks_add(now, _RETRY_MS)
        elif port.ticks_diff(now, self._retry_at) >= 0:
            self._client.disconnect()
            self._client.connect()

    def _message(self, topic, payload):
        self.received_bytes += len(topic) + len(payload)
        self.on_message(topic, payload)

    def _connect(self):
        self.on_connected()

    def _lost(self):
        self.on_lost()
