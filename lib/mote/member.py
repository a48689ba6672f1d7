"""A board's membership in a federation: the round, updates over the air and the status over one link. It
senses nothing."""

from . import __version__, port, wire
from .links import serial
from .local import Shuffle
from .memory import Memory
from .rounds import EVALUATING, FETCHING, SENDING, TRAINING, Participant
from .update import Updater

LEARN = "learn"
EVALUATE = "evaluate"
INFER = "infer"
RESTING = "resting"


class Member:
    """Keeps the link up, takes part in rounds and tells the broker what the board is.

    config: the settings as a dict. local: local.Local. journal: starter.Journal.
    """

    def __init__(self, config, local, journal):
        federation, device = config["FEDERATION"], config["DEVICE"]
        seed = config.get("SEED", 1)
        key = bytes.fromhex(config["KEY"])
        self.local = local
        self._memory = Memory(journal.root)
        self.participant = Participant(
            federation, device, key, local, lambda number: Shuffle(seed * 65537 + number), self._memory
        )
        self.updater = Updater(federation, device, key, journal)
        self._updating = False
        self._board = config.get("BOARD", "unknown")
        self._status_topic = wire.topic(federation, "status", device)
        self._telemetry_topic = wire.topic(federation, "telemetry", device)
        self._link = _link(config, self._status_topic)
        self._link.on_message = self._message
        self._link.on_connected = self._connected
        self._link.on_lost = self.participant.disconnected
        self._topics = []
        self._role = None
        self._rest = None
        if any([key in config for key in _REST]):
            from .rest import Rest  # it takes no room where there is none

            now = port.ticks_ms()
            self._rest = Rest(config, self.participant, self._link, self._status_topic, self._memory, now)

    @property
    def state(self):
        """What the board does in the round, as told in telemetry."""
        return RESTING if self._away else self.participant.state

    @property
    def ready(self):
        """Whether a model of the federation is live, so that inference means something."""
        return self.local.version is not None

    @property
    def hurried(self):
        """Whether messages are on their way, so that the loop should not rest."""
        busy = self.participant.state in (FETCHING, SENDING) and not self._link.slow
        return not self._away and (self._updating or busy)

    @property
    def restart_wanted(self):
        """Whether an update waits for a restart, and nothing is lost by it now."""
        busy = self.participant.state in (TRAINING, EVALUATING, SENDING)
        return self.updater.restart_wanted and not busy

    @property
    def sleep_s(self):
        """For how many seconds the board is to be switched off now, 0 for not at all."""
        return self._rest.sleep_s if self._rest else 0

    def poll(self, now):
        """Move bytes; now: milliseconds of port.ticks_ms."""
        free = not (self._updating or self.updater.trial or self.updater.restart_wanted)
        if self._rest and self._rest.poll(now, free):
            return
        self._link.poll(now)
        if self._role is not None and self._role != self._present_role():
            self._connected()
        if self.updater.trial and self._link.connected:
            self.local.learner.model.invoke()  # after which the release has proved healthy
            self.updater.confirm()
            self._connected()
        self._updating = self.updater.step(now)
        self._listen()

    def step(self, now):
        """Do one slice of a round's work. Return True while there is more to do at once."""
        if not self._rest:
            return self.participant.step(now)
        if self._away or not self._rest.schedule.allows(now):
            return False
        more = self.participant.step(now)
        self._rest.schedule.spent(now, port.ticks_ms())
        return more

    def send(self):
        """Publish the next piece of an update, where there is one."""
        if not self._link.connected or (self._rest and not self._rest.schedule.allows(port.ticks_ms())):
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
        line["state"] = self.state
        line["up_bytes"], line["down_bytes"] = link.sent_bytes, link.received_bytes
        line["rssi"] = port.rssi()
        line["update"] = self.updater.state
        error = line.get("error") or participant.error or self.updater.error or self._memory.error
        line["error"] = error or (None if link.connected else link.error)
        participant.error = self.updater.error = self._memory.error = None

    @property
    def _away(self):
        return self._rest is not None and self._rest.away

    def _listen(self):
        """Follow the wishes for topics: what is no longer wanted first."""
        participant, updater = self.participant, self.updater
        wanted = (
            participant.round_topic,
            participant.command_topic,
            participant.model_filter,
            updater.offer_topic,
            updater.chunk_topic,
        )
        for topic in self._topics:
            if topic not in wanted:
                if self._link.unsubscribe(topic):
                    self._topics.remove(topic)
                return  # the list has changed, or the link is busy
        for topic in wanted:
            if topic is not None and topic not in self._topics:
                # A chunk with QoS 1 would cost a round trip more, and the pause of a delayed acknowledgement.
                if self._link.subscribe(topic, 0 if topic == updater.chunk_topic else 1):
                    self._topics.append(topic)

    def _message(self, topic, payload):
        now = port.ticks_ms()
        if not self.updater.received(topic, payload, now):
            self.participant.received(topic, payload, now)

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
            "protocol": wire.PROTOCOL,
            "version": local.version,
            "release": self.updater.installed,
            "rssi": port.rssi(),
        }
        if local.learner.part:
            status["tensors"] = len(local.learner.part_sizes)
        status = {key: value for key, value in status.items() if value is not None}
        self._link.publish(self._status_topic, serial.line_of(status).encode(), 1, True)


_REST = ("DUTY", "QUIET", "SLEEP_S")


def load_link(config):
    """Return the module of the link that the settings ask for; the other one takes no room."""
    if "LORA" in config:
        from .links import lorawan as link
    else:
        from .links import mqtt as link
    return link


def _link(config, status_topic):
    link = load_link(config)
    if "LORA" in config:
        return link.make(config, port.ticks_ms())
    return link.MqttLink(config, status_topic, b'{"state":"offline"}')
