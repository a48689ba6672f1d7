"""The files in which a board keeps a body that is on its way and the pieces of a big model: check sums tell
how far they are whole. memory.py writes the former, and knows which of them matters when.
"""

from struct import calcsize, pack, unpack

from .port import crc32
from .wire import PIECE_BYTES, TAG_BYTES

_BODY = "<BII"  # kind, counter, bytes without the tag; before it what the body is an answer to
_MODEL = "<4sI32s"  # magic, bytes, SHA-256
_MODEL_MAGIC = b"fmm1"
_READ_BYTES = 256


class Body:
    """A body in a file: a codec.Encoder's ``total`` and ``read_into``, and besides ``kind``, ``counter``,
    ``tag``, ``sent`` (pieces that the broker has), ``answered`` (whether it has its receipt).

    answering: the first bytes of the file. Raises ValueError where it is not whole or answers to something
    else, OSError where there is none.
    """

    def __init__(self, path, answering):
        self._path, self._start = path, len(answering) + calcsize(_BODY)
        self.sent, self.answered = 0, False
        with open(path, "rb") as file:
            head = file.read(self._start)
            if len(head) < self._start or not head.startswith(answering):
                raise ValueError("another body")
            self.kind, self.counter, self.total = unpack(_BODY, head[len(answering) :])
            total, left = crc32(head), self.total
            while left > 0:
                data = file.read(min(left, _READ_BYTES))
                if not data:
                    raise ValueError("half a body")
                total, left = crc32(data, total), left - len(data)
            self.tag = file.read(TAG_BYTES)
            if file.read(4) != pack("<I", crc32(self.tag, total) & 0xFFFFFFFF):
                raise ValueError("half a body")

    def read_into(self, target, offset):
        """Fill ``target`` with the body's bytes from ``offset`` on; return how many there were."""
        count = max(0, min(len(target), self.total - offset))
        with open(self._path, "rb") as file:
            file.seek(self._start + offset)
            file.readinto(memoryview(target)[:count])
        return count


class Pieces:
    """The pieces of one model in a file of blocks.

    digest: SHA-256 of the model, 64 hexadecimal digits. body: bytearray, to be filled with what is there.
    have: bytearray, 1 is put for each piece that is there. block: pieces that are written together, at most
    255. ``begun``: whether the file is of that model.
    """

    def __init__(self, path, digest, body, have, block):
        self._path, self._block = path, block
        self._head = pack(_MODEL, _MODEL_MAGIC, len(body), bytes.fromhex(digest))
        self._end = 0  # of what is whole
        self._fresh = []
        try:
            with open(path, "rb") as file:
                if file.read(len(self._head)) == self._head:
                    self._end = self._read(file, body, have)
        except OSError:
            pass
        self.begun = self._end > 0
        self._count = len(have)
        self._lacking = len(have) - sum(have)

    def got(self, index, body):
        """Note that a piece which was missing is in ``body`` now; write when a block is full. Raises OSError
        where the drive is full or read-only."""
        self._fresh.append(index)
        self._lacking -= 1
        if not self._lacking or len(self._fresh) == self._block:
            self._write(body)
            self._fresh = []

    def forget(self):
        """Begin anew with the next block."""
        self._end, self._fresh, self._lacking = 0, [], self._count

    def _write(self, body):
        view = memoryview(body)
        places = pack("<%dH" % (1 + len(self._fresh)), len(self._fresh), *self._fresh)
        total = crc32(places, crc32(self._head))
        # What follows the blocks that are whole was spoilt by a power cut: it is written over.
        with open(self._path, "r+b" if self._end else "wb") as file:
            if not self._end:
                file.write(self._head)
                self._end = len(self._head)
            file.seek(self._end)
            file.write(places)
            for index in self._fresh:
                piece = view[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
                file.write(piece)
                total = crc32(piece, total)
            file.write(pack("<I", total & 0xFFFFFFFF))
            self._end = file.tell()

    def _read(self, file, body, have):
        """Take the blocks that are whole; return where the last of them ends."""
        view, end = memoryview(body), len(self._head)
        while True:
            head = file.read(2)
            count = head[0] if len(head) == 2 and not head[1] else 0
            places = file.read(2 * count)
            if not count or len(places) < 2 * count:
                return end
            total = crc32(places, crc32(head, crc32(self._head)))
            indices = unpack("<%dH" % count, places)
            for index in indices:
                piece = view[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
                if not len(piece) or file.readinto(piece) < len(piece):
                    return end
                total = crc32(piece, total)
            if file.read(4) != pack("<I", total & 0xFFFFFFFF):
                return end
            for index in indices:
                have[index] = 1
            end = file.tell()
