"""What a round of a federation takes over LoRaWAN, worked out beforehand: bytes, frames, airtime, days."""

import json
from dataclasses import dataclass

from fedmote.bridges import compact
from fedmote.bridges.chirpstack.accounts import airtime_ms
from fedmote.bridges.chirpstack.events import Radio
from fedmote.federation.bodies import Form
from mote import airtime, codec, frames, ternary, wire

_LOOKS = 2  # one that asks, one that tells that the manifest is there

#: manifest and receipt as they are on an ordinary day
_MANIFEST = {
    "protocol": 2, "run": "00" * 4, "round": 100, "version": 99, "phase": "train", "layout": "00" * 4,
    "size": 4000, "sha256": "00" * 32, "codec": "ternary", "epochs": 2,
    "batch": 8, "rate": 0.1, "decay": 0.001, "deadline_ms": 86400000, "edition": 100, "time": 43200,
    "pause_ms": 600000, "tag": "00" * 32,
}  # fmt: skip
_RECEIPT = {"receipt": 100, "counter": 100000, "result": "accepted", "tag": "00" * 32}


@dataclass(frozen=True)
class Figures:
    """One board's round without losses. body_bytes: of the update. up_frames: of the update, with the one
    after it that brings the receipt down. airtime_s: of these and two looks. duty_hours: how long that takes
    within the duty cycle. airtime_days, downlink_days: within a day's airtime and a day's downlinks."""

    codec: str
    rate: int
    body_bytes: int
    up_frames: int
    airtime_s: float
    duty_hours: float
    airtime_days: float
    down_frames: int
    downlink_days: float


def figures(
    sizes: tuple[int, ...],
    range_count: int,
    region: str = "EU868",
    duty: float = 1.0,
    day_s: float = 30.0,
    downlinks: int = 10,
) -> list[Figures]:
    """Return the figures of every codec at every data rate of up to 125 kHz that carries a look.

    sizes: values of each trainable tensor. range_count: activation ranges that boards report. duty: percent.
    day_s: seconds of airtime a day. downlinks: a day. With the codec ternary the model comes down in steps
    (federation/steps.py), else whole.
    """
    return [
        _figures(name, Form(name, sizes, range_count), rate, radio, limit, duty, day_s, downlinks)
        for name in codec.CODECS
        for rate, (radio, limit) in enumerate(_rates(region))
        if limit >= frames.LOOK_BYTES
    ]


def _figures(
    name: str, form: Form, rate: int, radio: Radio, limit: int, duty: float, day_s: float, downlinks: int
) -> Figures:
    body = form.length(wire.UPDATE)
    update = frames.Sending(wire.UPDATE, bytes(frames.UPLOAD_BYTES + body), limit)
    up_frames = update.count + 1
    air_s = up_frames * airtime_ms(update.frame_bytes, radio, crc=True)
    air_s = (air_s + _LOOKS * airtime_ms(frames.LOOK_BYTES, radio, crc=True)) / 1000
    count = sum(form.sizes)
    manifest = 2 + len(_compact(_MANIFEST))
    messages = [len(_compact(_RECEIPT))]
    if name == "ternary":
        messages.append(manifest + 4 + 6 + ternary.packed_bytes(count, ternary.places_of(count)))
    else:
        messages += [manifest, 4 * count]
    down_frames = sum(frames.Sending(frames.BODY, bytes(length), limit).count for length in messages)
    return Figures(
        name,
        rate,
        body,
        up_frames,
        air_s,
        air_s * 100 / duty / 3600,
        air_s / day_s,
        down_frames,
        down_frames / downlinks,
    )


def _rates(region: str) -> list[tuple[Radio, int]]:
    return [
        (Radio(spreading, bandwidth, 1), limit)
        for spreading, bandwidth, limit in airtime.REGIONS[region]
        if bandwidth == 125000
    ]


def _compact(fields: dict[str, object]) -> bytes:
    return compact.write(json.dumps(fields, separators=(",", ":")).encode())
