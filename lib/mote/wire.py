"""Names and bytes that board and aggregator share: topics, chunks, tags. No transport. docs/protocol.md."""

import struct

from .port import crc32, sha256

PROTOCOL = 1
MODEL = 1
UPDATE = 2
EVALUATION = 3

HEADER = "<2sBBIIHHI"  # the CRC-32 follows
HEADER_BYTES = 24
PIECE_BYTES = 1000
MESSAGE_BYTES = HEADER_BYTES + PIECE_BYTES
TAG_BYTES = 32
KEY_BYTES = 32

_MAGIC = b"fm"
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


class WireError(ValueError):
    """A message that breaks the protocol; its text is the reason, one or two words."""


def valid_name(name):
    """Tell whether ``name`` may name a federation or a device: 1 to 32 characters of ``a-z 0-9 _ -``."""
    return isinstance(name, str) and 0 < len(name) <= 32 and all(c in _NAME_CHARACTERS for c in name)


def topic(federation, *levels):
    """Return ``fedmote/<federation>/<level>/...``."""
    return "/".join(["fedmote", federation] + [str(level) for level in levels])


def piece_count(total):
    """Return the number of chunks that a body of ``total`` bytes takes."""
    return (total + PIECE_BYTES - 1) // PIECE_BYTES


def write_header(message, length, kind, number, counter, index, total):
    """Put the header before the ``length`` bytes of a piece that stand in ``message`` from HEADER_BYTES on.

    message: bytearray of at least HEADER_BYTES + length. number: the round, or the model's version for MODEL.
    """
    struct.pack_into(
        HEADER, message, 0, _MAGIC, PROTOCOL, kind, number, counter, index, piece_count(total), total
    )
    view = memoryview(message)
    crc = crc32(view[HEADER_BYTES : HEADER_BYTES + length], crc32(view[:20]))
    struct.pack_into("<I", message, 20, crc & 0xFFFFFFFF)


class Chunk:
    """A received chunk, checked against itself: ``kind number counter index count total`` and ``piece``, a
    memoryview.

    Raises WireError: ``malformed`` for a bad magic, version, length or index, ``crc`` for a damaged one.
    """

    def __init__(self, message):
        length = len(message)
        if not HEADER_BYTES < length <= MESSAGE_BYTES:
            raise WireError("malformed")
        magic, protocol, self.kind, self.number, self.counter, self.index, self.count, self.total = (
            struct.unpack_from(HEADER, message)
        )
        if bytes(magic) != _MAGIC or protocol != PROTOCOL:
            raise WireError("malformed")
        if self.count != piece_count(self.total) or self.index >= self.count:
            raise WireError("malformed")
        expected = self.total - self.index * PIECE_BYTES
        if length - HEADER_BYTES != (expected if expected < PIECE_BYTES else PIECE_BYTES):
            raise WireError("malformed")
        view = memoryview(message)
        self.piece = view[HEADER_BYTES:]
        if crc32(self.piece, crc32(view[:20])) & 0xFFFFFFFF != struct.unpack_from("<I", message, 20)[0]:
            raise WireError("crc")


class Tag:
    """HMAC-SHA-256 (RFC 2104) of a body, fed piece by piece, bound to federation, run, device, kind, round
    and counter.

    key: KEY_BYTES bytes, the device's own.
    """

    def __init__(self, key, federation, run, device, kind, number, counter):
        if len(key) != KEY_BYTES:
            raise ValueError("key has %d bytes, must have %d" % (len(key), KEY_BYTES))
        self._outer = bytes(0x5C ^ byte for byte in key) + b"\x5c" * (64 - KEY_BYTES)
        self._inner = sha256()
        self._inner.update(bytes(0x36 ^ byte for byte in key) + b"\x36" * (64 - KEY_BYTES))
        text = "fedmote/1\0" + federation + "\0" + run + "\0" + device + "\0"
        self._inner.update(text.encode() + struct.pack("<BII", kind, number, counter))

    def update(self, data):
        """Add the next bytes of the body."""
        self._inner.update(data)

    def digest(self):
        """Return the 32 bytes of the tag. The object is used up."""
        outer = sha256()
        outer.update(self._outer)
        outer.update(self._inner.digest())
        return outer.digest()


def same_tag(a, b):
    """Compare two tags in a time that does not depend on where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0
