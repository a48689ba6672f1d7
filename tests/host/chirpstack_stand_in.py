"""Stands where ChirpStack v4, its gateways and the boards' radios would: its MQTT topics on a real broker,
its JSON, and an air that loses, repeats and reorders frames."""

import base64
import json
import random
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt

from fedmote.federation.broker import BrokerAddress
from mote import airtime

APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"
REGION = "EU868"
_PATIENCE_S = 15


@dataclass
class Radio:
    """The modem of one board, as mote.links.lorawan wants it. rate: data rate."""

    air: "ChirpStack"
    eui: str
    rate: int = 5
    region: str = REGION
    joined: bool = True
    ready: bool = True
    error: str | None = None
    inbox: deque[tuple[int, bytes]] = field(default_factory=deque)
    sent: list[int] = field(default_factory=list)  # bytes of each frame

    def poll(self, now: int) -> None:
        pass

    def send(self, port: int, payload: bytes) -> None:
        self.sent.append(len(payload))
        self.air.uplink(self, port, payload)

    def receive(self) -> tuple[int, bytes] | None:
        return self.inbox.popleft() if self.inbox else None


@dataclass
class Device:
    """What the network server knows of a device."""

    counter: int = -1
    queue: deque[dict[str, Any]] = field(default_factory=deque)
    down: int = 0


class ChirpStack:
    """A network server with one application on the broker at ``address``. loss_up, loss_down: of frames, 0 to
    1. A context manager. ``events``: how many uplink events it has published, copies left out."""

    def __init__(
        self, address: BrokerAddress, loss_up: float = 0.0, loss_down: float = 0.0, seed: int = 1
    ) -> None:
        self._address, self._random = address, random.Random(seed)
        self.loss_up, self.loss_down = loss_up, loss_down
        self.devices: dict[str, Device] = {}
        self.events = self.downlinks = 0
        self._held: tuple[str, bytes] | None = None
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._command

    def __enter__(self) -> "ChirpStack":
        self._client.connect(self._address.host, self._address.port)
        self._client.loop_start()
        self._client.subscribe(f"application/{APPLICATION}/device/+/command/down", 1)
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def radio(self, eui: str, rate: int = 5) -> Radio:
        """Return the radio of a new device."""
        self.devices[eui] = Device()
        return Radio(self, eui, rate)

    def uplink(self, radio: Radio, port: int, payload: bytes) -> None:
        """A board sends; what is in its queue goes down in the window after it."""
        device = self.devices[radio.eui]
        spreading, bandwidth, limit = airtime.REGIONS[REGION][radio.rate]
        assert 0 < len(payload) <= limit, f"{len(payload)} bytes at data rate {radio.rate}"
        device.counter += 1
        if self._random.random() < self.loss_up:
            return
        modulation = {"lora": {"bandwidth": bandwidth, "spreadingFactor": spreading, "codeRate": "CR_4_5"}}
        event = {
            "deduplicationId": self._uuid(),
            "time": "2022-07-18T09:34:15.775023242+00:00",
            "deviceInfo": self._info(radio.eui),
            "devAddr": "00189440",
            "adr": True,
            "dr": radio.rate,
            "fCnt": device.counter,
            "fPort": port,
            "confirmed": False,
            "data": base64.b64encode(payload).decode(),
            "rxInfo": [
                {
                    "gatewayId": f"0016c001f153a1{number:02x}",
                    "uplinkId": self._random.getrandbits(32),
                    "rssi": -100 + number,
                    "snr": 10.5,
                    "context": "E3OWOQ==",
                    "metadata": {"region_name": "eu868", "region_common_name": "EU868"},
                }
                for number in range(self._random.randint(1, 3))
            ],
            "txInfo": {"frequency": 867100000, "modulation": modulation},
        }
        # The JSON mapping of Protocol Buffers leaves out what is 0, empty or false.
        text = json.dumps({key: value for key, value in event.items() if value}).encode()
        message = f"application/{APPLICATION}/device/{radio.eui}/event/up", text
        self.events += 1
        if self._held is None and self._random.random() < 0.1:
            self._held = message  # a later one overtakes it
        else:
            for again in [message] * self._random.choice([1, 1, 2]) + [self._held] * bool(self._held):
                self._publish(*again)
            self._held = None
        self._window(radio, device)

    def _window(self, radio: Radio, device: Device) -> None:
        """The receive window after an uplink: one downlink at most."""
        if not device.queue:
            return
        item = device.queue.popleft()
        data = base64.b64decode(item["data"], validate=True)
        spreading, bandwidth, limit = airtime.REGIONS[REGION][radio.rate]
        if len(data) > limit:
            trouble = {
                "time": "2022-07-18T09:39:57.311414029+00:00",
                "deviceInfo": self._info(radio.eui),
                "level": "ERROR",
                "code": "DOWNLINK_PAYLOAD_SIZE",
                "description": "Device queue-item discarded because it exceeds the max. payload size",
                "context": {"item_id": item["id"]},
            }
            self._publish(
                f"application/{APPLICATION}/device/{radio.eui}/event/log", json.dumps(trouble).encode()
            )
            return
        modulation = {
            "lora": {
                "bandwidth": bandwidth,
                "spreadingFactor": spreading,
                "codeRate": "CR_4_5",
                "polarizationInversion": True,
            }
        }
        sent = {
            "downlinkId": self._random.getrandbits(32),
            "time": "2022-07-18T09:37:48.929184085+00:00",
            "deviceInfo": self._info(radio.eui),
            "queueItemId": item["id"],
            "fCntDown": device.down,
            "gatewayId": "0016c001f153a14c",
            "txInfo": {
                "frequency": 867900000,
                "power": 14,
                "modulation": modulation,
                "timing": {"delay": {"delay": "1s"}},
                "context": "ICYVGw==",
            },
        }
        device.down += 1
        self.downlinks += 1
        self._publish(f"application/{APPLICATION}/device/{radio.eui}/event/txack", json.dumps(sent).encode())
        if self._random.random() >= self.loss_down:
            radio.inbox.append((item["fPort"], data))

    def _command(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        item = json.loads(message.payload)
        eui = message.topic.split("/")[3]
        assert item["devEui"] == eui and 0 < item["fPort"] < 224 and item["confirmed"] is False
        self.devices[eui].queue.append(item)

    def _publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, 1).wait_for_publish(_PATIENCE_S)

    def _info(self, eui: str) -> dict[str, Any]:
        return {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "ChirpStack",
            "applicationId": APPLICATION,
            "applicationName": "Test application",
            "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
            "deviceProfileName": "Test device-profile",
            "deviceName": "Test device",
            "devEui": eui,
            "tags": {"key": "value"},
        }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
