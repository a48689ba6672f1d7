"""What ChirpStack v4 says and takes over MQTT: its events and its downlink command as JSON.

The messages are those of ChirpStack's integration.proto in the JSON mapping of Protocol Buffers, which leaves
out fields that are 0, empty or false. What comes from there is checked before it is used.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fedmote.federation.protocol import Outgoing

_EVENT_BYTES = 1 << 16
_EUI = re.compile("[0-9a-f]{16}")
_CODING = {"CR_4_5": 1, "CR_4_6": 2, "CR_4_7": 3, "CR_4_8": 4}


@dataclass(frozen=True)
class Radio:
    """How a frame was modulated. bandwidth: Hz. coding: 1 for 4/5 to 4 for 4/8."""

    spreading: int
    bandwidth: int
    coding: int


@dataclass(frozen=True)
class Uplink:
    """A frame of a device. identity: the same in every copy of it. gateways: how many heard it. rssi: dBm of
    the loudest, None where it is not told. radio: None where it was not LoRa."""

    eui: str
    identity: str
    port: int
    counter: int
    rate: int
    data: bytes
    gateways: int
    rssi: int | None
    radio: Radio | None


@dataclass(frozen=True)
class Transmitted:
    """A gateway has sent a downlink. identity: the one that the command gave it."""

    eui: str
    identity: str
    radio: Radio | None


@dataclass(frozen=True)
class Trouble:
    """The network server has something to say about a device. code: of ChirpStack's LogCode."""

    eui: str
    level: str
    code: str
    description: str


Event = Uplink | Transmitted | Trouble


def filters(application: str) -> list[tuple[str, int]]:
    """Return the (topic filter, QoS) of the events that matter. application: ChirpStack's id, a UUID."""
    return [(f"application/{application}/device/+/event/{kind}", 1) for kind in _READERS]


def parse(topic: str, payload: bytes) -> Event:
    """Return the event that a message is. Raises ValueError where it is none, or not of the device in its
    topic."""
    levels = topic.split("/")
    if len(levels) != 6 or levels[0] != "application" or levels[5] not in _READERS:
        raise ValueError(f"topic {topic!r}")
    eui = levels[3].lower()
    if not _EUI.fullmatch(eui) or len(payload) > _EVENT_BYTES:
        raise ValueError(f"device {eui!r}, {len(payload)} bytes")
    try:
        fields = json.loads(payload)
        if fields["deviceInfo"]["devEui"].lower() != eui:
            raise ValueError("another device than the topic's")
        return _READERS[levels[5]](eui, fields)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, binascii.Error) as error:
        raise ValueError(f"no event {levels[5]}: {error!r}") from None


def downlink(application: str, eui: str, identity: str, port: int, data: bytes) -> Outgoing:
    """Return the command that puts an unconfirmed downlink into a device's queue."""
    command = {
        "id": identity,
        "devEui": eui,
        "confirmed": False,
        "fPort": port,
        "data": base64.b64encode(data).decode(),
    }
    return Outgoing(f"application/{application}/device/{eui}/command/down", json.dumps(command).encode())


def _uplink(eui: str, fields: dict[str, Any]) -> Uplink:
    heard = fields.get("rxInfo", [])
    levels = [_whole(one.get("rssi")) for one in heard if one.get("rssi") is not None]
    return Uplink(
        eui,
        str(fields["deduplicationId"]),
        _whole(fields.get("fPort")),
        _whole(fields.get("fCnt")),
        _whole(fields.get("dr")),
        base64.b64decode(fields.get("data") or "", validate=True),
        len(heard),
        max(levels, default=None),
        _radio(fields.get("txInfo")),
    )


def _transmitted(eui: str, fields: dict[str, Any]) -> Transmitted:
    return Transmitted(eui, str(fields["queueItemId"]), _radio(fields.get("txInfo")))


def _trouble(eui: str, fields: dict[str, Any]) -> Trouble:
    return Trouble(eui, *(str(fields.get(key, ""))[:200] for key in ("level", "code", "description")))


_READERS: dict[str, Callable[[str, dict[str, Any]], Event]] = {
    "up": _uplink,
    "txack": _transmitted,
    "log": _trouble,
}


def _radio(info: dict[str, Any] | None) -> Radio | None:
    lora = ((info or {}).get("modulation") or {}).get("lora")
    if not lora:
        return None
    spreading, bandwidth = _whole(lora.get("spreadingFactor")), _whole(lora.get("bandwidth"))
    if not (5 <= spreading <= 12 and 7000 <= bandwidth <= 2_000_000):
        raise ValueError(f"spreading factor {spreading}, {bandwidth} Hz")
    return Radio(spreading, bandwidth, _CODING.get(lora.get("codeRate"), 1))


def _whole(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**32:
        raise ValueError(f"{value!r} where a whole number belongs")
    return value
