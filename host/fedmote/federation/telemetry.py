"""Statuses and telemetry: JSON from boards that nobody vouches for,
reduced to known keys of bounded types and lengths."""

import json
from collections.abc import Callable
from typing import Any

from fedmote.federation.protocol import Reason, Refusal

LEARN = "learn"
EVALUATE = "evaluate"
INFER = "infer"
ONLINE = "online"
OFFLINE = "offline"

_JSON_BYTES = 1000
_LIST_ITEMS = 100
_ROLES = (LEARN, EVALUATE, INFER)
_LARGEST = 2.0**53
_HIGHEST_VOLTS = 1000
_WEEK_S = 7 * 24 * 3600  # the longest sleep that a board may be set to


def parse_status(payload: bytes) -> dict[str, Any]:
    """Return the keys of a status that docs/protocol.md names; ``state`` is always there: online or offline.

    Raises Refusal: OVERSIZE or MALFORMED.
    """
    status = _parse(payload, _STATUS)
    if status.get("state") not in (ONLINE, OFFLINE) or status.get("role", LEARN) not in _ROLES:
        raise Refusal(Reason.MALFORMED)
    return status


def parse_telemetry(payload: bytes) -> dict[str, Any]:
    """Return the keys of one telemetry line that docs/protocol.md
    names. Raises Refusal: OVERSIZE or MALFORMED."""
    return _parse(payload, _TELEMETRY)


def _parse(payload: bytes, keys: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    if len(payload) > _JSON_BYTES:
        raise Refusal(Reason.OVERSIZE)
    try:
        fields = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise Refusal(Reason.MALFORMED) from None
    if not isinstance(fields, dict):
        raise Refusal(Reason.MALFORMED)
    return {key: read(fields[key]) for key, read in keys.items() if fields.get(key) is not None}


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
        raise Refusal(Reason.MALFORMED)  # NaN and infinity fail the comparison too
    return value


def _whole(lowest: int, highest: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise Refusal(Reason.MALFORMED)
        return value

    return read


def _volts(value: Any) -> float:
    if not 0 <= _number(value) <= _HIGHEST_VOLTS:
        raise Refusal(Reason.MALFORMED)
    return float(value)


def _text(length: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Refusal(Reason.MALFORMED)
        # It will stand on somebody's terminal: nothing that could steer it.
        return "".join(character if character.isprintable() else "?" for character in value[:length])

    return read


def _list(read_item: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > _LIST_ITEMS:
            raise Refusal(Reason.MALFORMED)
        return [read_item(item) for item in value]

    return read


_WORD = _text(64)
_HEALTH: dict[str, Callable[[Any], Any]] = {"version": _whole(0, 2**32 - 1), "rssi": _whole(-200, 0)}
_STATUS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("state", "role", "board", "runtime", "firmware", "kernel", "layout", "release"), _WORD),
    **_HEALTH,
    "protocol": _whole(0, 255),
    "tensors": _whole(0, 2**16 - 1),
    "back_s": _whole(0, _WEEK_S),
}
_TELEMETRY: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("label", "truth", "state", "sensor", "unit", "update"), _WORD),
    "error": _text(240),
    "labels": _list(_WORD),
    **dict.fromkeys(("probabilities", "reading"), _list(_number)),
    **_HEALTH,
    "battery": _volts,
    **dict.fromkeys(
        (
            "time_ms", "inference_ms", "free_bytes", "round", "samples", "loss", "accuracy",
            "up_bytes", "down_bytes", "refused", "rate_hz", "missed",
        ),
        _number,
    ),
}  # fmt: skip
