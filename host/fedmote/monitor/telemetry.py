"""A line of telemetry, checked and typed (docs/protocol.md). It comes from a board: not to be trusted."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

LINE_BYTES = 1000  # a longer line is no telemetry
CLASSES = 64  # and channels
TEXT_CHARACTERS = 64
UNIT_CHARACTERS = 16

_INTEGER_LIMIT = 1 << 53
_READING_LIMIT = 1e12
_T = TypeVar("_T")


@dataclass(frozen=True)
class Telemetry:
    """What a board says of itself; None where it does not. ``raw`` is the whole object, unknown keys too."""

    device: str
    time_ms: int  # the board's uptime
    label: str | None = None
    probabilities: tuple[float, ...] | None = None  # one per class
    truth: str | None = None  # replayed data only
    inference_ms: float | None = None
    free_bytes: int | None = None
    version: int | None = None  # of the live model
    round: int | None = None
    state: str | None = None
    samples: int | None = None  # in the ring buffer
    loss: float | None = None
    accuracy: float | None = None  # of the last global model, on held-out windows
    up_bytes: int | None = None
    down_bytes: int | None = None
    refused: int | None = None  # version of a global model that did not go live
    labels: tuple[str, ...] | None = None
    reading: tuple[float, ...] | None = None  # the sensor's latest values, one a channel, in ``unit``
    sensor: str | None = None
    unit: str | None = None
    rate_hz: float | None = None
    missed: int | None = None  # sensor readings lost since start
    rssi: int | None = None  # of the Wi-Fi, dBm
    battery: float | None = None  # volts
    update: str | None = None  # of an update over the air: how far it is
    error: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def wrong(self) -> bool:
        """Whether the label is known not to be the truth."""
        return self.truth is not None and self.truth != self.label


def parse(line: bytes) -> Telemetry | None:
    """Return the telemetry in a line; None where it is something else, too long, or a value is wrong."""
    if len(line) > LINE_BYTES or not line.lstrip().startswith(b"{"):
        return None
    try:
        return checked(decode(line))
    except (ValueError, RecursionError):
        return None


def checked(raw: Any) -> Telemetry | None:
    """Return decoded JSON as telemetry; None where it is something else, or a value is wrong."""
    if not isinstance(raw, dict) or raw.get("device") is None or raw.get("time_ms") is None:
        return None
    try:
        values = {key: check(raw[key]) for key, check in _KEYS.items() if raw.get(key) is not None}
    except ValueError:
        return None
    return Telemetry(**values, raw=raw)


def decode(text: bytes | str) -> Any:
    """Decode JSON, without the NaN and infinity that it does not have.

    Raises ValueError, or RecursionError where it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def printable(text: str, limit: int = LINE_BYTES) -> str:
    """Return text that is safe to print: at most ``limit`` characters, none of them a control character."""
    return "".join(character if character.isprintable() else "·" for character in text[:limit])


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is too large")
    return value


def _device(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[a-z0-9_-]{1,32}", value):
        raise ValueError("no device id")
    return value


def _text(limit: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit:
            raise ValueError("no text, or too long")
        return printable(value)

    return check


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _INTEGER_LIMIT:
        raise ValueError("no count")
    return value


def _number(highest: float, lowest: float = 0) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError("no number in range")
        return float(value)

    return check


def _strength(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -200 <= value <= 0:
        raise ValueError("no signal strength")
    return value


def _each(check: Callable[[Any], _T]) -> Callable[[Any], tuple[_T, ...]]:
    def check_all(value: Any) -> tuple[_T, ...]:
        if not isinstance(value, list) or not 0 < len(value) <= CLASSES:
            raise ValueError("no list, or too long")
        return tuple(map(check, value))

    return check_all


_KEYS: dict[str, Callable[[Any], Any]] = {
    "device": _device,
    "time_ms": _integer,
    "label": _text(TEXT_CHARACTERS),
    "probabilities": _each(_number(1.0)),
    "truth": _text(TEXT_CHARACTERS),
    "inference_ms": _number(1e9),
    "free_bytes": _integer,
    "version": _integer,
    "round": _integer,
    "state": _text(TEXT_CHARACTERS),
    "samples": _integer,
    "loss": _number(1e9),
    "accuracy": _number(1.0),
    "up_bytes": _integer,
    "down_bytes": _integer,
    "refused": _integer,
    "labels": _each(_text(TEXT_CHARACTERS)),
    "reading": _each(_number(_READING_LIMIT, -_READING_LIMIT)),
    "sensor": _text(TEXT_CHARACTERS),
    "unit": _text(UNIT_CHARACTERS),
    "rate_hz": _number(1e9),
    "missed": _integer,
    "rssi": _strength,
    "battery": _number(1e3),
    "update": _text(TEXT_CHARACTERS),
    "error": _text(LINE_BYTES),
}
