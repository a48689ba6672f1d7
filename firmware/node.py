"""The loop of every board: sense, infer, tell, learn. starter.py calls ``run``."""

import gc
from array import array

import starter

from mote import features, kernels, model, port, sensors, settings
from mote.links import serial
from mote.local import Local
from mote.train import Learner

_SLICE_MS = 5
_BEAT_MS = 1000
_CHANGE_MS = 100
_LABELS_MS = 30000
_TOLD_CHANNELS = 16  # of an image or a wave, more would not fit into one message


class Node:
    """One board. config: the settings as a dict, see docs/settings.md."""

    def __init__(self, config):
        self.device = config["DEVICE"]
        make_life = _life(config)  # first, as code that comes later lies between pieces of data
        if config.get("CORES", 1) > 1:
            kernels.use_both_cores()
        self.model = model.load(config.get("MODEL", "model.mote"), config.get("KERNEL"))
        info = self.model.info["features"]
        self._sensor_name = config.get("SENSOR", "replay")
        self.sensor = sensors.make(config)
        if self.sensor.channels != info["channels"]:
            raise ValueError(
                "the sensor has %d channels, the model wants %d" % (self.sensor.channels, info["channels"])
            )
        if abs(self.sensor.rate_hz - info["rate_hz"]) > 0.1 * info["rate_hz"]:
            raise ValueError(
                "the sensor gives %s readings a second, the model wants %s: set RATE_HZ"
                % (self.sensor.rate_hz, info["rate_hz"])
            )
        self.features = features.make(info)
        ring = features.Ring(config.get("RING", 128), self.features.width)
        normaliser = features.Normaliser(
            self.features.width,
            info["floor"],
            self.model.scale_of(self.model.input_tensor),
            self.model.input_tensor.zero_point,
        )
        self.local = Local(
            Learner(self.model, config.get("TRAIN_LAYERS", 0)),
            normaliser,
            ring,
            config.get("HOLDOUT", 5),
            config.get("ROLE", "learn") == "learn",
            config.get("MINIMUM", 16),
        )
        self.life = make_life(self.local)
        self._reading = array("f", [0.0] * self.sensor.channels)
        self._row = array("f", [0.0] * self.features.width)
        self._label = None
        self._truth = None
        self._pending = False
        self._trace_ms = config.get("TRACE_MS", 250)
        self._beat_at = self._labels_at = self._trace_at = self._looked_at = port.ticks_ms()
        self._uptime_ms = 0
        self._told = None
        self._commands = serial.Commands()
        self._introduce()

    def step(self):
        """One turn of the loop. Return True while there is more to do at once."""
        now = port.ticks_ms()
        starter.feed()
        self.life.poll(now)
        command = self._commands.read()
        if command is not None:
            self._obey(command)
        busy = self._sense()
        if self._pending and not self.local.switching:
            self._infer()
        while self.life.step(port.ticks_ms()):
            if port.ticks_diff(port.ticks_ms(), now) >= _SLICE_MS:
                busy = True
                break
        self.life.send()
        self._beat(now)
        if self.life.restart_wanted:
            self._tell()
            starter.restart()
        if self.life.sleep_s:
            self._tell()
            port.deep_sleep(self.life.sleep_s)
            starter.restart()
        return busy or self.life.hurried

    def _sense(self):
        """Take what the sensor has, for at most a slice of time."""
        sensor, start = self.sensor, port.ticks_ms()
        while sensor.read_into(self._reading):
            if sensor.boundary:
                self.features.reset()
            if self.features.push(self._reading):
                self._row[:] = self.features.row
                label = self._label if sensor.label is None else sensor.label
                self._truth = label
                if sensor.labelled or sensor.label is None:
                    self.local.ring.add(self._row, label)
                self._pending = self.life.ready
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

    def _obey(self, command):
        """Take a command: ``{"label": name}`` tells what the sensor sees, null that nobody knows."""
        name = command.get("label")
        if "label" in command and (name is None or name in self.model.labels):
            self._label = None if name is None else self.model.labels.index(name)
            self.features.reset()  # no window of two minds
            self._tell(truth=name, told=True)  # which is the answer
        else:
            self._tell(error="command not understood: %r" % command)

    def _beat(self, now):
        """Tell what is due: who the board is, that it lives, what its sensor reads."""
        since = port.ticks_diff(now, self._beat_at)
        if port.ticks_diff(now, self._labels_at) >= _LABELS_MS:
            self._introduce()  # for whoever has begun to watch since
        elif since >= _BEAT_MS or (since >= _CHANGE_MS and self.life.state != self._told):
            self._tell()
        elif self._trace_ms and port.ticks_diff(now, self._trace_at) >= self._trace_ms:
            self._trace_at = now
            line = self._line()
            line["reading"] = self._values()
            serial.write(serial.line_of(line))

    def _introduce(self):
        self._labels_at = port.ticks_ms()
        sensor = self.sensor
        self._tell(
            labels=self.model.labels,
            sensor=self._sensor_name,
            unit=sensor.unit,
            rate_hz=sensor.rate_hz,
        )

    def _tell(self, **values):
        """One line of telemetry on the console and over MQTT."""
        local = self.local
        self._beat_at = port.ticks_ms()
        line = self._line()
        line.update(values)
        line["reading"] = self._values()
        line["free_bytes"] = port.free_bytes()
        line["version"] = local.version
        line["samples"] = len(local.ring)
        line["missed"] = self.sensor.missed
        if local.report is not None:
            line["loss"] = round(local.report.loss, 4)
            line["accuracy"] = round(local.report.accuracy, 4)
        line["refused"] = local.refused
        self.life.describe(line)
        self._told = line["state"]
        text = serial.line_of({key: value for key, value in line.items() if value is not None})
        serial.write(text)
        self.life.tell(text)

    def _line(self):
        now = port.ticks_ms()  # which begin anew after some days
        self._uptime_ms += port.ticks_diff(now, self._looked_at)
        self._looked_at = now
        return {"device": self.device, "time_ms": self._uptime_ms}

    def _values(self):
        return [
            round(x, 3) if x - x == 0.0 else 0.0 for x in self._reading[:_TOLD_CHANNELS]
        ]  # JSON has no nan


def run(path="settings.toml"):
    """Read the settings, join the network and loop for ever; after an unforeseen error starter.py resets the
    board."""
    device = "unknown"
    try:
        config = settings.read(path)
        device = config["DEVICE"]
        if "CIRCUITPY_WIFI_SSID" in config:
            ssid, password = config["CIRCUITPY_WIFI_SSID"], config.get("CIRCUITPY_WIFI_PASSWORD", "")
            port.join_wifi(ssid, password, starter.feed)
        node = Node(config)
        if hasattr(gc, "threshold"):
            gc.threshold(-1)  # starter.py has set it
        while True:
            if not node.step():
                port.sleep_ms(2)
    except Exception as error:
        text = "%s: %s" % (type(error).__name__, error)
        serial.write(serial.line_of({"device": device, "time_ms": 0, "error": text}))
        raise


def _life(config):
    """Return make(local) of the board's part in a federation, or of one alone, as the settings say."""
    if "BROKER" in config or "LORA" in config:
        from mote import member

        member.load_link(config)

        def make(local):
            gc.collect()  # what is to come takes long pieces of the heap
            return member.Member(config, local, starter.journal)

        return make
    from mote.alone import Alone  # MQTT takes no room on a board that has none

    return Alone
