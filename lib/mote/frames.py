"""What goes through the air over LoRaWAN: fragments of messages, and looks. docs/lorawan.md; no radio, no
topics."""

from struct import calcsize, pack, unpack, unpack_from

from . import ternary
from .erasure import FRAGMENTS, LARGEST_COUNT, Gathering, fragment_into
from .port import crc32

#: the application port that board and bridge use
PORT = 70

#: message kinds; an update and an evaluation have those of wire.py
MANIFEST = 16
RECEIPT = 17
BODY = 18
STEPS = 19

#: what stands before the body of an update: round, counter
UPLOAD = "<II"
UPLOAD_BYTES = 8

#: roles in a look
ROLES = ("learn", "evaluate", "infer")

FRAGMENT_HEADER_BYTES = 4
_PREFIX = "<BHI"
_PREFIX_BYTES = 7
_LONGEST = 0xFFFF
_LOOK = "<BBBBIII"
LOOK_BYTES = calcsize(_LOOK)
_LOOK_MARK = 0x40
_IDENTITY = 0x3FFF


class Sending:
    """Cuts one message into frames, as many as are asked for.

    payload: bytes-like. limit: the largest frame that the data rate takes. Raises ValueError for a message
    too long for it.
    """

    def __init__(self, kind, payload, limit):
        check = _check(kind, payload)
        message = pack(_PREFIX, kind, len(payload), check) + bytes(payload)
        largest = limit - FRAGMENT_HEADER_BYTES
        self.count = (len(message) + largest - 1) // largest
        if self.count > LARGEST_COUNT or len(payload) > _LONGEST:
            raise ValueError("%d bytes are too many for frames of %d" % (len(payload), limit))
        #: bytes of each fragment: the last one is not longer than it must be
        self.size = (len(message) + self.count - 1) // self.count
        self.kind = kind
        #: tells the message from others: the same for the same content
        self.identity = check & _IDENTITY
        #: how many frames were made
        self.made = 0
        self._message = memoryview(message)

    @property
    def frame_bytes(self):
        """Bytes of every frame."""
        return FRAGMENT_HEADER_BYTES + self.size

    @property
    def payload(self):
        """What is sent."""
        return self._message[_PREFIX_BYTES:]

    def frame(self):
        """Return the next frame: at first the message itself, then what makes good for losses."""
        index = self.made % FRAGMENTS
        self.made += 1
        fragment = bytearray(self.size)
        fragment_into(fragment, self._message, self.count, index)
        return bytes((self.identity >> 8, self.identity & 255, index, self.count)) + fragment


class Receiving:
    """Puts the messages of one sender together, the newest one at a time."""

    def __init__(self):
        self._key = self._gathering = self._done = None

    @property
    def progress(self):
        """(identity, fragments received) of the message that is incomplete, (0, 0) without one."""
        return (self._key[0], self._gathering.received) if self._gathering is not None else (0, 0)

    def take(self, frame):
        """Take a fragment's frame. Return (kind, payload) where it completes a message, (None, None) where it
        belongs to the last one that was complete, else None.

        Raises ValueError for what is no frame, or a message that was damaged.
        """
        if len(frame) <= FRAGMENT_HEADER_BYTES or frame[0] >= _LOOK_MARK:
            raise ValueError("no fragment: %d bytes" % len(frame))
        key = (frame[0] << 8 | frame[1], frame[3], len(frame) - FRAGMENT_HEADER_BYTES)
        if key == self._done:
            return None, None
        if key != self._key:
            self._gathering = Gathering(key[1], key[2])
            self._key, self._done = key, None
        message = self._gathering.add(frame[2], frame[FRAGMENT_HEADER_BYTES:])
        if message is None:
            return None
        self._key = self._gathering = None
        if len(message) < _PREFIX_BYTES:
            raise ValueError("a message of %d bytes" % len(message))
        kind, length, check = unpack_from(_PREFIX, message)
        payload = bytes(message[_PREFIX_BYTES : _PREFIX_BYTES + length])
        if len(payload) != length or check != _check(kind, payload):
            raise ValueError("fragments of two messages were mixed; it begins anew")
        self._done = key
        return kind, payload


class Look:
    """What a board tells when it asks: role, layout, and check sums of what it has (0: nothing).

    identity, received: the message from the bridge that is incomplete, see Receiving.progress.
    """

    def __init__(self, identity, received, role, manifest, model, layout):
        self.identity, self.received, self.role = identity, received, role
        self.manifest, self.model, self.layout = manifest, model, layout

    def frame(self):
        """Return the frame."""
        return pack(
            _LOOK, _LOOK_MARK | self.identity >> 8, self.identity & 255, self.received, self.role,
            self.manifest, self.model, self.layout,
        )  # fmt: skip


def look_of(frame):
    """Return the Look that a frame holds, None where it is something else."""
    if len(frame) != LOOK_BYTES or frame[0] >> 6 != 1:
        return None
    high, low, received, role, manifest, model, layout = unpack(_LOOK, frame)
    return Look((high << 8 | low) & _IDENTITY, received, role, manifest, model, layout)


def sum_of(data):
    """Return the check sum by which looks name a manifest or a model; 0 for nothing."""
    return crc32(data) & 0xFFFFFFFF if data else 0


def apply_steps(body, steps):
    """Take a model's body, a bytearray of float32, some steps further, in place.

    steps: of each the number of places (u16), the float32 that is added there or subtracted, the places as
    ternary.pack has them. Raises ValueError for anything else; then the body is of no more use.
    """
    at, count = 0, len(body) // 4
    while at < len(steps):
        if len(steps) - at < 6:
            raise ValueError("a step of %d bytes" % (len(steps) - at))
        places, magnitude = unpack_from("<HI", steps, at)
        if not 0 < places <= count:
            raise ValueError("a step of %d places among %d values" % (places, count))
        end = at + 6 + ternary.packed_bytes(count, places)
        positions, negatives = ternary.unpack(steps[at + 6 : end], places, count)
        for position, negative in zip(positions, negatives):
            (old,) = unpack_from("<I", body, 4 * position)
            new = ternary.add_bits(old, magnitude ^ (0x80000000 if negative else 0))
            body[4 * position : 4 * position + 4] = pack("<I", new)
        at = end


def _check(kind, payload):
    return crc32(payload, crc32(bytes((kind,)))) & 0xFFFFFFFF
