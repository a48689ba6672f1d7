"""Names and bytes that board and aggregator share: topics, chunks, tags. No transport. docs/protocol.md."""

import struct

from .port import crc32, sha256

PROTOCOL = 2
MODEL = 1
UPDATE = 2
EVALUATION = 3
RELEASE = 4

HEADER = "<2sBBIIHHI"  # the CRC-32 follows
HEADER_BYTES = 24
PIECE_BYTES = 1000
MESSAGE_BYTES = HEADER_BYTES + PIECE_BYTES
TAG_BYTES = 32
KEY_BYTES = 32

#: what a sealed message is for, part of its tag
MANIFEST_SEAL = "manifest"
RECEIPT_SEAL = "receipt"
OFFER_SEAL = "offer"

_SEAL = b',"tag":"'
_SEAL_BYTES = 74  # with the 64 digits, the quotes and the bracket
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

    message: bytearray of at least HEADER_BYTES + length. number: the round, the
    model's version for MODEL, the first 8 digits of its id for RELEASE.
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

    Raises WireError: ``malformed`` for a bad magic, length or index, ``protocol`` for another version of it,
    ``crc`` for a damaged one.
    """

    def __init__(self, message):
        length = len(message)
        if not HEADER_BYTES < length <= MESSAGE_BYTES:
            raise WireError("malformed")
        magic, protocol, self.kind, self.number, self.counter, self.index, self.count, self.total = (
            struct.unpack_from(HEADER, message)
        )
        if bytes(magic) != _MAGIC:
            raise WireError("malformed")
        if protocol != PROTOCOL:
            raise WireError("protocol")
        if self.count != piece_count(self.total) or self.index >= self.count:
            raise WireError("malformed")
        expected = self.total - self.index * PIECE_BYTES
        if length - HEADER_BYTES != (expected if expected < PIECE_BYTES else PIECE_BYTES):
            raise WireError("malformed")
        view = memoryview(message)
        self.piece = view[HEADER_BYTES:]
        if crc32(self.piece, crc32(view[:20])) & 0xFFFFFFFF != struct.unpack_from("<I", message, 20)[0]:
            raise WireError("crc")


class Mac:
    """HMAC-SHA-256 (RFC 2104), fed piece by piece. key: KEY_BYTES bytes."""

    def __init__(self, key):
        if len(key) != KEY_BYTES:
            raise ValueError("key has %d bytes, must have %d" % (len(key), KEY_BYTES))
        self._outer = bytes(0x5C ^ byte for byte in key) + b"\x5c" * (64 - KEY_BYTES)
        self._inner = sha256()
        self._inner.update(bytes(0x36 ^ byte for byte in key) + b"\x36" * (64 - KEY_BYTES))

    def update(self, data):
        """Add the next bytes."""
        self._inner.update(data)

    def digest(self):
        """Return the 32 bytes of the tag. The object is used up."""
        outer = sha256()
        outer.update(self._outer)
        outer.update(self._inner.digest())
        return outer.digest()


class Tag(Mac):
    """The tag of a body, bound to federation, run, device, kind, round and counter.

    key: KEY_BYTES bytes, the device's own.
    """

    def __init__(self, key, federation, run, device, kind, number, counter):
        super().__init__(key)
        text = "fedmote/%d\0%s\0%s\0%s\0" % (PROTOCOL, federation, run, device)
        self.update(text.encode() + struct.pack("<BII", kind, number, counter))


def seal(key, purpose, federation, device, payload):
    """Return a JSON object, bytes, with the last key ``tag`` that only who has the device's key can give it.

    purpose: MANIFEST_SEAL, RECEIPT_SEAL or OFFER_SEAL.
    """
    covered = bytes(payload)[:-1]
    return covered + _SEAL + _seal_digits(key, purpose, federation, device, covered) + b'"}'


def is_sealed(key, purpose, federation, device, payload):
    """Tell whether ``payload`` (bytes) is what ``seal`` gives for this purpose, federation and device."""
    covered, end = payload[:-_SEAL_BYTES], payload[-_SEAL_BYTES:]
    if len(end) < _SEAL_BYTES or bytes(end[:8]) != _SEAL or bytes(end[-2:]) != b'"}':
        return False
    return same_tag(end[8:-2], _seal_digits(key, purpose, federation, device, covered))


def _seal_digits(key, purpose, federation, device, covered):
    mac = Mac(key)
    mac.update(("fedmote/%d\0%s\0%s\0%s\0" % (PROTOCOL, purpose, federation, device)).encode())
    mac.update(covered)
    return "".join("%02x" % byte for byte in mac.digest()).encode()


def same_tag(a, b):
    """Compare two tags in a time that does not depend on where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0
