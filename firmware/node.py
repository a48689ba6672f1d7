"""The loop of every board: sense, infer, tell, learn. main.py (MicroPython) and code.py (CircuitPython) only
call ``run``."""

from array import array

from mote import __version__, features, model, port, sensors, settings, wire
from mote.links import serial
from mote.links.mqtt import MqttLink
from mote.local import Local, Shuffle
from mote.rounds import FETCHING, SENDING, Participant
from mote.train import Learner

_SLICE_MS = 5
_BEAT_MS = 1000
_CHANGE_MS = 100
_LABELS_MS = 30000


class Node:
    """One board. config: the settings as a dict, see docs/settings.md."""

    def __init__(self, config):
        self.device = config["DEVICE"]
        self.model = model.load(config.get("MODEL", "model.mote"), config.get("KERNEL"))
        info = self.model.info["features"]
        self.sensor = sensors.make(config)
        if self.sensor.channels != info["channels"]:
            raise ValueError(
                "the sensor has %d channels, the model wants %d" % (self.sensor.channels, info["channels"])
            )
        self.features = features.make(info)
        ring = features.Ring(config.get("RING", 128), self.features.width)
        normaliser = features.Normaliser(
            self.features.width,
            info["floor"],
            self.model.scale_of(self.model.input_tensor),
            self.model.input_tensor.zero_point,
        )
        self.learns = config.get("ROLE", "learn") == "learn"
        self.local = Local(
            Learner(self.model),
            normaliser,
            ring,
            config.get("HOLDOUT", 5),
            self.learns,
            config.get("MINIMUM", 16),
        )
        seed = config.get("SEED", 1)
        federation = config["FEDERATION"]
        self.participant = Participant(
            federation,
            self.device,
            bytes.fromhex(config["KEY"]),
            self.local,
            lambda number: Shuffle(seed * 65537 + number),
        )
        self._status_topic = wire.topic(federation, "status", self.device)
        self._telemetry_topic = wire.topic(federation, "telemetry", self.device)
        self._board = config.get("BOARD", "unknown")
        self.link = MqttLink(
            config["BROKER"],
            self.device,
            self._status_topic,
            b'{"state":"offline"}',
            _text_of(config.get("CA")),
        )
        self.link.on_message = self._message
        self.link.on_connected = self._connected
        self.link.on_lost = self.participant.disconnected
        self.link.subscribe(self.participant.round_topic)
        self.link.subscribe(self.participant.command_topic)
        self._reading = array("f", [0.0] * self.sensor.channels)
        self._row = array("f", [0.0] * self.features.width)
        self._filter = None
        self._truth = None
        self._pending = False
        self._beat_at = self._labels_at = port.ticks_ms()
        self._told = None
        self._tell(labels=self.model.labels)

    def step(self):
        """One turn of the loop. Return True while there is more to do at once."""
        now = port.ticks_ms()
        self.link.poll(now)
        self._subscribe()
        busy = self._sense()
        if self._pending and not self.local.switching:
            self._infer()
        while self.participant.step(port.ticks_ms()):
            if port.ticks_diff(port.ticks_ms(), now) >= _SLICE_MS:
                busy = True
                break
        self._send()
        since = port.ticks_diff(now, self._beat_at)
        if port.ticks_diff(now, self._labels_at) >= _LABELS_MS:
            self._labels_at = now
            self._tell(labels=self.model.labels)  # for whoever has begun to watch since
        elif since >= _BEAT_MS or (since >= _CHANGE_MS and self.participant.state != self._told):
            self._tell()
        return busy or self.participant.state in (FETCHING, SENDING)

    def _sense(self):
        """Take what the sensor has, for at most a slice of time."""
        sensor, start = self.sensor, port.ticks_ms()
        while sensor.read_into(self._reading):
            if sensor.boundary:
                self.features.reset()
            if self.features.push(self._reading):
                self._row[:] = self.features.row
                self._truth = sensor.label
                if sensor.labelled:
                    self.local.ring.add(self._row, sensor.label)
                self._pending = self.local.version is not None
            if port.ticks_diff(port.ticks_ms(), start) >= _SLICE_MS:
                return True
        return False

    def _infer(self):
        self._pending = False
        self.local.normaliser.quantise_into(self._row, self.model.input)
        start = port.ticks_us()
        self.model.invoke()
        spent = port.ticks_diff(port.ticks_us(), start)
        probabilities = self.model.probabilities()
        best = max(range(len(probabilities)), key=lambda n: probabilities[n])
        self._tell(
            label=self.model.labels[best],
            probabilities=[round(p, 3) for p in probabilities],
            truth=self.model.labels[self._truth] if self._truth is not None else None,
            inference_ms=round(spent / 1000, 3),
        )

    def _tell(self, **values):
        """One line of telemetry on the console and over MQTT."""
        participant, local = self.participant, self.local
        self._beat_at = port.ticks_ms()
        line = {"device": self.device, "time_ms": self._beat_at}
        line.update(values)
        line["free_bytes"] = port.free_bytes()
        line["version"] = local.version
        line["round"] = participant.round
        line["state"] = self._told = participant.state
        line["samples"] = len(local.ring)
        if local.report is not None:
            line["loss"] = round(local.report.loss, 4)
            line["accuracy"] = round(local.report.accuracy, 4)
        line["up_bytes"], line["down_bytes"] = self.link.sent_bytes, self.link.received_bytes
        line["refused"] = local.refused
        line["error"] = participant.error or (None if self.link.connected else self.link.error)
        participant.error = None
        text = serial.line_of({key: value for key, value in line.items() if value is not None})
        serial.write(text)
        self.link.publish(self._telemetry_topic, text.encode())

    def _message(self, topic, payload):
        self.participant.received(topic, payload, port.ticks_ms())

    def _connected(self):
        status = {
            "state": "online",
            "role": "learn" if self.learns else "evaluate",
            "board": self._board,
            "runtime": port.runtime(),
            "firmware": __version__,
            "kernel": self.model.kernel.NAME,
            "layout": self.model.layout,
        }
        self.link.publish(self._status_topic, serial.line_of(status).encode(), 1, True)

    def _subscribe(self):
        """Follow the participant's wish for the topics of one model."""
        wanted = self.participant.model_filter
        if wanted != self._filter:
            if self._filter is not None:
                self.link.unsubscribe(self._filter)
            self._filter = wanted
            if wanted is not None:
                self.link.subscribe(wanted)

    def _send(self):
        if not self.link.connected:
            return
        message = self.participant.next_message()
        if message is not None and not self.link.publish(*message, 1, False, self._delivered):
            self.participant.disconnected()  # the queue is full: what is not acknowledged is offered again

    def _delivered(self, topic):
        self.participant.delivered(topic, port.ticks_ms())


def run(path="settings.toml"):
    """Read the settings, join the network and loop for ever; after an unforeseen error the board is reset."""
    try:
        config = settings.read(path)
        if "CIRCUITPY_WIFI_SSID" in config:
            port.join_wifi(config["CIRCUITPY_WIFI_SSID"], config.get("CIRCUITPY_WIFI_PASSWORD", ""))
        node = Node(config)
        while True:
            if not node.step():
                port.sleep_ms(2)
    except Exception as error:
        serial.write(serial.line_of({"error": "%s: %s" % (type(error).__name__, error)}))
        port.print_exception(error)
        port.sleep_ms(3000)
        port.restart()


def _text_of(path):
    if path is None:
        return None
    with open(path) as file:
        return file.read()
