"""Manifests and receipts in few bytes: a flat JSON object, byte for byte as it was signed. It checks no tag.

Every entry is one byte, key * 8 + form, and its value; what is in no table travels as text. The host writes
it, fedmote.bridges.compact; a board only reads.
"""

#: the order is part of the protocol: new ones go to the end
KEYS = (
    "protocol", "run", "round", "version", "phase", "layout", "size", "sha256", "codec", "epochs", "batch",
    "rate", "decay", "deadline_ms", "tag", "receipt", "counter", "result", "reason", "edition", "time",
    "pause_ms",
)  # fmt: skip
VALUES = (
    "idle", "train", "evaluate", "float32", "int8", "ternary", "accepted", "refused", "round", "phase",
    "role", "length", "tag", "shape", "version", "not finite", "out of bounds", "quarantine", "counter",
)  # fmt: skip

#: key number of a key that stands as text, with its length before it
OTHER_KEY = 31

_LONGEST_NUMBER = 63  # bits

WORD = 0  # one byte, a place in VALUES
NUMBER = 1  # seven bits a byte, the lowest first, 128 added where more follow
HEXADECIMAL = 2  # length, bytes: lower-case digits
TEXT = 3  # length, UTF-8
JSON = 4  # length, JSON as it stands


def read(data):
    """Return the JSON, bytes. Raises ValueError where ``data`` is not what the host writes."""
    entries = []
    at = 0
    try:
        while at < len(data):
            key, form = data[at] >> 3, data[at] & 7
            at += 1
            if key == OTHER_KEY:
                name, at = _sized(data, at)
                name = name.decode()
            else:
                name = KEYS[key]
            value, at = _READERS[form](data, at)
            entries.append('"%s":%s' % (name, value))
    except (IndexError, KeyError):
        raise ValueError("a manifest or receipt that ends too early or is of a later version")
    return ("{" + ",".join(entries) + "}").encode()


def _sized(data, at):
    end = at + 1 + data[at]
    if end > len(data):
        raise IndexError
    return bytes(data[at + 1 : end]), end


def _word(data, at):
    return '"%s"' % VALUES[data[at]], at + 1


def _number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if shift > _LONGEST_NUMBER:
            raise IndexError
        if data[at - 1] < 128:
            return str(value), at


def _hexadecimal(data, at):
    value, at = _sized(data, at)
    return '"%s"' % "".join("%02x" % byte for byte in value), at


def _text(data, at):
    value, at = _sized(data, at)
    return '"%s"' % value.decode(), at


def _json(data, at):
    value, at = _sized(data, at)
    return value.decode(), at


_READERS = {WORD: _word, NUMBER: _number, HEXADECIMAL: _hexadecimal, TEXT: _text, JSON: _json}
