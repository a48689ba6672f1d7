"""A board's membership in a federation: the round, the updates and the status over one MQTT link. It senses
nothing."""

from . import __version__, port, wire
from .links import serial
from .links.mqtt import MqttLink
from .local import Shuffle
from .rounds import FETCHING, SENDING, Participant

LEARN = "learn"
EVALUATE = "evaluate"
INFER = "infer"


class Member:
    """Keeps the link up, takes part in rounds and tells the broker what the board is.

    config: the settings as a dict. local: local.Local.
    """

    def __init__(self, config, local):
        federation, device = config["FEDERATION"], config["DEVICE"]
        seed = config.get("SEED", 1)
        self.local = local
        self.participant = Participant(
            federation,
            device,
            bytes.fromhex(config["KEY"]),
            local,
            lambda number: Shuffle(seed * 65537 + number),
        )
        self._board = config.get("BOARD", "unknown")
        self._status_topic = wire.topic(federation, "status", device)
        self._telemetry_topic = wire.topic(federation, "telemetry", device)
        self._link = MqttLink(
            config["BROKER"], device, self._status_topic, b'{"state":"offline"}', _text_of(config.get("CA"))
        )
        self._link.on_message = self._message
        self._link.on_connected = self._connected
        self._link.on_lost = self.participant.disconnected
        self._link.subscribe(self.participant.round_topic)
        self._link.subscribe(self.participant.command_topic)
        self._filter = None
        self._role = None

    @property
    def state(self):
        """What the board does in the round, as told in telemetry."""
        return self.participant.state

    @property
    def ready(self):
        """Whether a model of the federation is live, so that inference means something."""
        return self.local.version is not None

    @property
    def hurried(self):
        """Whether messages are on their way, so that the loop should not rest."""
        return self.participant.state in (FETCHING, SENDING)

    def poll(self, now):
        """Move bytes; now: milliseconds of port.ticks_ms."""
        self._link.poll(now)
        if self._role is not None and self._role != self._present_role():
            self._connected()
        wanted = self.participant.model_filter
        if wanted != self._filter:
            if self._filter is not None:
                self._link.unsubscribe(self._filter)
            self._filter = wanted
            if wanted is not None:
                self._link.subscribe(wanted)

    def step(self, now):
        """Do one slice of a round's work. Return True while there is more to do at once."""
        return self.participant.step(now)

    def send(self):
        """Publish the next piece of an update, where there is one."""
        if not self._link.connected:
            return
        message = self.participant.next_message()
        if message is not None and not self._link.publish(*message, 1, False, self._delivered):
            self.participant.disconnected()  # the queue is full: what is not acknowledged is offered again

    def tell(self, text):
        """Publish one line of telemetry."""
        self._link.publish(self._telemetry_topic, text.encode())

    def describe(self, line):
        """Put what is known of rounds and link into a dict of telemetry."""
        participant, link = self.participant, self._link
        line["round"] = participant.round
        line["state"] = participant.state
        line["up_bytes"], line["down_bytes"] = link.sent_bytes, link.received_bytes
        line["rssi"] = port.rssi()
        line["error"] = line.get("error") or participant.error or (None if link.connected else link.error)
        participant.error = None

    def _message(self, topic, payload):
        self.participant.received(topic, payload, port.ticks_ms())

    def _delivered(self, topic):
        self.participant.delivered(topic, port.ticks_ms())

    def _present_role(self):
        local = self.local
        return INFER if not local.ring.labelled and len(local.ring) else LEARN if local.learns else EVALUATE

    def _connected(self):
        self._role = self._present_role()
        local = self.local
        status = {
            "state": "online",
            "role": self._role,
            "board": self._board,
            "runtime": port.runtime(),
            "firmware": __version__,
            "kernel": local.learner.model.kernel.NAME,
            "layout": local.learner.layout,
            "version": local.version,
            "rssi": port.rssi(),
        }
        status = {key: value for key, value in status.items() if value is not None}
        self._link.publish(self._status_topic, serial.line_of(status).encode(), 1, True)


def _text_of(path):
    if path is None:
        return None
    with open(path) as file:
        return file.read()
