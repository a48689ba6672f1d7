"""JSON -> few bytes, the host's side of mote.compact: manifests and receipts for links that carry little."""

import json
import re
from typing import Any

from fedmote.errors import FedmoteError
from mote import compact

_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})+")
_SIZED_LIMIT = 255


def write(payload: bytes) -> bytes:
    """Return what mote.compact.read turns back into ``payload``, byte for byte.

    Raises FedmoteError where that cannot be: no JSON object without spaces, or values of more than 255 bytes.
    """
    try:
        fields = json.loads(payload)
        out = b"".join(_entry(key, value) for key, value in fields.items())
        if compact.read(out) == payload:
            return out
    except (ValueError, AttributeError, RecursionError):
        pass
    raise FedmoteError(f"a message to a board has no compact form: {payload[:80]!r}")


def _entry(key: str, value: Any) -> bytes:
    form, coded = _value(value)
    if key in compact.KEYS:
        return bytes([compact.KEYS.index(key) << 3 | form]) + coded
    return bytes([compact.OTHER_KEY << 3 | form]) + _sized(key.encode()) + coded


def _value(value: Any) -> tuple[int, bytes]:
    match value:
        case str() if value in compact.VALUES:
            return compact.WORD, bytes([compact.VALUES.index(value)])
        case str() if _HEXADECIMAL.fullmatch(value):
            return compact.HEXADECIMAL, _sized(bytes.fromhex(value))
        case str() if json.dumps(value) == f'"{value}"':
            return compact.TEXT, _sized(value.encode())
        case int() if not isinstance(value, bool) and value >= 0:
            return compact.NUMBER, _number(value)
        case _:
            return compact.JSON, _sized(json.dumps(value, separators=(",", ":")).encode())


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sized(data: bytes) -> bytes:
    if len(data) > _SIZED_LIMIT:
        raise ValueError("too long")
    return bytes([len(data)]) + data
