"""The LoRaWAN link: what mqtt.py is over Wi-Fi, through a network server and `fedmote bridge chirpstack`.

It takes the same topics and payloads as the MQTT link and sends what matters of them in few small frames: the
pieces of an update, and looks (mote.frames) instead of statuses; telemetry stays on the board. What comes
down are manifests, receipts, and models as steps from the one that the board has.
"""

import json
import os
from struct import pack_into

from .. import airtime, compact, frames, wire
from ..port import sha256, ticks_add, ticks_diff, uart
from .rak3172 import Modem

_LOOK_MS = 15 * 60 * 1000
_LOOK_SHARE = 0.25  # of the airtime that may go to looks while nothing is awaited
_HURRY_MS = 30 * 1000  # between looks while something is awaited
_REST_MS = 5 * 1000  # between frames of an update, where the duty cycle is not the tighter bound
_REST_LIMIT_MS = 3600 * 1000


def make(settings, now):
    """Return the link that the settings ask for, see docs/lorawan.md. Raises ValueError for a region that is
    unknown."""
    keys = settings["LORA_DEV_EUI"], settings["LORA_JOIN_EUI"], settings["LORA_APP_KEY"]
    serial = uart(settings["LORA_TX"], settings["LORA_RX"], 115200)
    return LorawanLink(
        Modem(serial, settings.get("LORA_REGION", "EU868"), keys),
        now,
        settings.get("LORA_DUTY", 1.0),
        1000 * settings.get("LORA_AIRTIME_S", 30),
        60000 * settings.get("LORA_LOOK_MINUTES", 15),
    )


class LorawanLink:
    """Callbacks, to be set: ``on_message(topic, payload)``, ``on_connected()``, ``on_lost()``.

    radio: has ``region`` and ``rate`` (of airtime.REGIONS), ``joined``, ``ready`` (a frame may be sent now),
    ``error`` (text or None), ``poll(now)``, ``send(port, payload)``, ``receive()`` that returns (port,
    payload) or None. now: milliseconds. duty: percent of the time on the air. day_ms: airtime of a day, 0 for
    no other bound. look_ms: how often the board asks whether there is something, more rarely where that takes
    too much of the airtime. path: file of the newest global model, written after each new one. ``sent_bytes``
    and ``received_bytes`` count payloads on the air.
    """

    #: a message may take hours
    slow = True

    def __init__(self, radio, now, duty=1.0, day_ms=0, look_ms=_LOOK_MS, path="global.model"):
        self._radio = radio
        self.pace = airtime.Pace(now, duty, day_ms)
        self.on_message = self.on_connected = self.on_lost = None
        self.sent_bytes = self.received_bytes = 0
        self._problem = None
        self._look_ms, self._path = look_ms, path
        self._topics = {}
        self._role, self._layout = 0, 0
        self._joined = False
        self._receiving = frames.Receiving()
        self._manifest = None  # the last one's JSON
        self._digest = None  # the SHA-256 of the model that it wants
        self._model = _load(path)
        self._fits = False  # whether the model is that one
        self._offer = False  # whether the model is wanted and has not been handed over
        self._body = self._have = self._key = self._upload = None
        self._next_look = self._next_frame = now
        self._rest_ms = _REST_MS

    @property
    def connected(self):
        """Whether the board has joined a network."""
        return self._joined

    @property
    def error(self):
        """Text of the last thing that went wrong, or None."""
        return self._problem or self._radio.error

    def subscribe(self, topic_filter, qos=1):
        """Ask for ``round``, ``command`` or ``model`` topics. Return True."""
        branch = _branch(topic_filter)
        self._topics[branch] = topic_filter
        self._offer = self._offer or branch == "model"
        return True

    def unsubscribe(self, topic_filter):
        """Ask for them no longer. Return True."""
        branch = _branch(topic_filter)
        self._topics.pop(branch, None)
        self._offer = self._offer and branch != "model"
        return True

    def publish(self, topic, payload, qos=0, retain=False, on_delivered=None):
        """Take one message; return False when there is no network.

        on_delivered(topic): called at once, for from here on the link sees to it that it arrives.
        """
        if not self._joined:
            return False
        branch = _branch(topic)
        if branch == "update":
            self._take_piece(wire.Chunk(payload))
        elif branch == "status":
            status = json.loads(bytes(payload))
            if "role" in status:  # a board that leaves only falls silent
                self._role = frames.ROLES.index(status["role"])
                self._layout = int(status["layout"], 16)
        if on_delivered:
            on_delivered(topic)
        return True

    def poll(self, now):
        """Receive and send what is due. To be called often; now: milliseconds of port.ticks_ms."""
        radio = self._radio
        radio.poll(now)
        if radio.joined and not self._joined:
            self._joined = True
            self.on_connected()
        received = radio.receive()
        if received is not None and received[0] == frames.PORT:
            self._take_frame(received[1], now)
        if self._offer and self._fits:
            self._hand_over()
        if radio.joined and radio.ready:
            self._send(now)

    def close(self):
        """Nothing keeps a network waiting for a board that is not polled."""

    def open(self):
        """The board has stayed joined."""

    # Down

    def _take_frame(self, frame, now):
        self.received_bytes += len(frame)
        try:
            message = self._receiving.take(frame)
            if message is not None and message[0] is not None:
                self._take_message(message[0], message[1], now)
        except (ValueError, IndexError, KeyError) as error:
            self._problem = "message from the bridge ignored: %s" % error
        if self._awaiting():
            self._hurry(now)

    def _take_message(self, kind, payload, now):
        if kind == frames.MANIFEST:
            length = payload[0] | payload[1] << 8
            if len(payload) > 2 + length:
                self._step(payload[2 + length :])
            manifest = compact.read(payload[2 : 2 + length])
            self._digest = json.loads(manifest).get("sha256")
            self._compare()
            self._manifest = manifest
            self._drop_upload()  # the round has gone on; what still counts is offered again
            self._hurry(now)  # tells the bridge that it has arrived
            self.on_message(self._topics["round"], manifest)
        elif kind == frames.RECEIPT:
            self._drop_upload()
            self.on_message(self._topics["command"], compact.read(payload))
        elif kind == frames.BODY:
            self._keep(bytearray(payload))
        elif kind == frames.STEPS:
            self._step(payload)

    def _step(self, payload):
        """Apply steps, behind the check sum of the model that they start from."""
        start = payload[0] | payload[1] << 8 | payload[2] << 16 | payload[3] << 24
        if self._model is not None and start == frames.sum_of(self._model):
            body = bytearray(self._model)
            frames.apply_steps(body, payload[4:])
            self._keep(body)

    def _keep(self, body):
        self._model = body
        self._compare()
        try:
            _save(self._path, body)
        except OSError as error:
            self._problem = "%s is not kept over a restart: %s" % (self._path, error)

    def _compare(self):
        if self._model is not None:
            digest = sha256()
            digest.update(self._model)
            self._fits = "".join("%02x" % byte for byte in digest.digest()) == self._digest

    def _hand_over(self):
        """Give the model away as the chunks that a broker would bring."""
        self._offer = False
        topic = self._topics["model"]
        version = int(topic.split("/")[3])
        message = bytearray(wire.MESSAGE_BYTES)
        for start in range(0, len(self._model), wire.PIECE_BYTES):
            piece = self._model[start : start + wire.PIECE_BYTES]
            index = start // wire.PIECE_BYTES
            message[wire.HEADER_BYTES : wire.HEADER_BYTES + len(piece)] = piece
            wire.write_header(message, len(piece), wire.MODEL, version, 0, index, len(self._model))
            name = topic[:-1] + str(index)
            self.on_message(name, memoryview(message)[: wire.HEADER_BYTES + len(piece)])

    # Up

    def _take_piece(self, chunk):
        key = (chunk.kind, chunk.number, chunk.counter)
        if key != self._key:
            self._key, self._upload = key, None
            self._body = bytearray(frames.UPLOAD_BYTES + chunk.total)
            pack_into(frames.UPLOAD, self._body, 0, chunk.number, chunk.counter)
            self._have = bytearray(chunk.count)
        if self._body is None:
            return  # all of it is on its way
        start = frames.UPLOAD_BYTES + chunk.index * wire.PIECE_BYTES
        self._body[start : start + len(chunk.piece)] = chunk.piece
        self._have[chunk.index] = 1

    def _drop_upload(self):
        self._key = self._body = self._have = self._upload = None

    def _send(self, now):
        if self._body is not None and sum(self._have) == len(self._have):
            self._begin_upload(now, self._key[0], self._body)
            self._body = None
        upload = self._upload
        if upload is not None and upload.frame_bytes > self._rate()[2]:  # the data rate has fallen
            self._begin_upload(now, upload.kind, upload.payload)
            upload = self._upload
        if upload is not None:
            if ticks_diff(now, self._next_frame) >= 0 and self._allowed(now, upload.frame_bytes):
                self._transmit(now, upload.frame())
                if upload.made > 2 * upload.count + 4:  # nobody answers
                    self._rest_ms = min(2 * self._rest_ms, _REST_LIMIT_MS)
                self._next_frame = ticks_add(now, self._rest_ms)
        elif self._rate()[2] < frames.LOOK_BYTES:
            self._problem = "data rate %d is too slow for fedmote: set a higher one" % self._radio.rate
        elif ticks_diff(now, self._next_look) >= 0 and self._allowed(now, frames.LOOK_BYTES):
            self._transmit(now, self._look().frame())
            self._next_look = ticks_add(now, self._look_pause_ms())

    def _begin_upload(self, now, kind, payload):
        try:
            self._upload = frames.Sending(kind, payload, self._rate()[2])
        except ValueError as error:
            self._upload, self._problem = None, str(error)
        self._next_frame, self._rest_ms = now, _REST_MS

    def _look_pause_ms(self):
        if self._awaiting():
            return _HURRY_MS
        return max(
            self._look_ms, round(self._airtime_ms(frames.LOOK_BYTES) / (_LOOK_SHARE * self.pace.share))
        )

    def _look(self):
        identity, received = self._receiving.progress
        manifest, model = frames.sum_of(self._manifest), frames.sum_of(self._model)
        return frames.Look(identity, received, self._role, manifest, model, self._layout)

    def _awaiting(self):
        return self._offer or self._receiving.progress[1] > 0

    def _hurry(self, now):
        if ticks_diff(self._next_look, now) > _HURRY_MS:
            self._next_look = ticks_add(now, _HURRY_MS)

    def _rate(self):
        rates = airtime.REGIONS[self._radio.region]
        return rates[min(self._radio.rate, len(rates) - 1)]

    def _airtime_ms(self, length):
        spreading, bandwidth, _ = self._rate()
        return (airtime.airtime_us(length, spreading, bandwidth) + 999) // 1000

    def _allowed(self, now, length):
        return self.pace.allows(now, self._airtime_ms(length))

    def _transmit(self, now, frame):
        self.pace.spend(now, self._airtime_ms(len(frame)))
        self.sent_bytes += len(frame)
        self._radio.send(frames.PORT, frame)


def _branch(topic):
    return topic.split("/")[2]


def _load(path):
    for name in (path, path + ".new"):
        try:
            with open(name, "rb") as file:
                return bytearray(file.read())
        except OSError:
            pass
    return None


def _save(path, body):
    """Replace the file so that one of the two is whole whenever power fails."""
    with open(path + ".new", "wb") as file:
        file.write(body)
    try:
        os.remove(path)  # FAT renames over nothing
    except OSError:
        pass
    os.rename(path + ".new", path)
