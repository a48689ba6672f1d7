"""What a board knows of its rounds after a loss of power: counter, newest manifest, the body on its way, the
pieces of a big model. It knows no messages. See docs/protocol.md, "What a board keeps".
"""

from struct import pack, unpack

from .port import crc32, random_bytes, ticks_add, ticks_diff, ticks_ms
from .wire import piece_count

#: models of fewer bytes are fetched again
MODEL_BYTES = 16000
#: bodies that one write of the counter suffices for
COUNTERS = 256

#: pieces that one write stands for: so many may be fetched or sent a second time
BLOCK = 16

_RECORD_BYTES = 96  # always, so that a record finds room on a full drive: that of the one before the last
_WRITES = 8  # of a kind in a row, then one in this time: quick rounds must not wear out the flash
_WRITE_MS = 10 * 60 * 1000


class Memory:
    """A board's memory of its rounds.

    root: folder of its files, with its slash, or empty; None for a memory that ends with the power.
    ``newest``: (run, round, edition) of the last manifest that was taken, or None. ``error``: why nothing is
    kept from now on, text or None.
    """

    def __init__(self, root=None):
        self.newest = self.error = None
        self._root = root
        self._sequence = self._limit = 0
        self._kept = self._answered = 0  # counters of the body in the file, and of the last with a receipt
        self._sent = 0  # pieces of the former that the broker has, from the first on
        self._saved = True
        self._file = self._sum = None
        self._pieces = None
        self._manifests, self._bodies, self._models = _Allowance(), _Allowance(), _Allowance()
        if root is not None:
            self._read(0)
            self._read(1)
        self._counter = self._limit  # how many of them were used is not known

    # Small things: two files that are written in turn, so that a power cut spoils at most the newer one

    def take(self, run, number, edition):
        """Note that a manifest is about to be acted on."""
        self.newest = run, number, edition
        self._saved = False
        if self._root is not None and self._manifests.grants():
            self.save()

    def counter(self, beyond):
        """Return the counter of another body: larger than ``beyond`` and than all before."""
        if self._counter <= beyond:
            # How far an interrupted body of before the restart had counted is forgotten: pieces of two bodies
            # must not be mixed.
            self._counter = beyond + _anything()
        self._counter += 1
        if self._counter > self._limit:
            self._saved = False
            self.save()
        return self._counter

    def sent(self, counter, count):
        """Note how many pieces of a body, from the first on, the broker has."""
        if counter == self._kept and count >= self._sent + BLOCK:
            self._sent = count
            self._saved = False
            self.save()

    def answered(self, counter):
        """Note that a body has its receipt."""
        if counter == self._kept:
            self._answered = counter
            self._saved = False

    def save(self):
        """Write down what is only in RAM, where there is such a thing, as before a deep sleep."""
        if self._saved or self._root is None:
            return
        sequence, limit = self._sequence + 1, self._counter + COUNTERS
        run, number, edition = self.newest or ("-", 0, 0)
        fields = sequence, limit, number, edition, self._kept, self._sent, self._answered, run
        text = " ".join([str(field) for field in fields])
        line = "%08x %s" % (crc32(text.encode()) & 0xFFFFFFFF, text)
        try:
            with open(self._slot(sequence & 1), "wb") as file:
                file.write((line + " " * (_RECORD_BYTES - len(line))).encode())
        except OSError as error:
            self._give_up(error)
            return
        self._sequence, self._limit, self._saved = sequence, limit, True

    def _read(self, slot):
        try:
            with open(self._slot(slot), "rb") as file:
                checksum, _, text = file.read(_RECORD_BYTES).decode().rstrip().partition(" ")
            if checksum != "%08x" % (crc32(text.encode()) & 0xFFFFFFFF):
                return
            numbers, _, run = text.rpartition(" ")
            fields = [int(field) for field in numbers.split(" ")]
        except (OSError, ValueError):
            return
        if fields[0] > self._sequence:
            self._sequence, self._limit, number, edition, self._kept, self._sent, self._answered = fields
            self.newest = None if run == "-" else (run, number, edition)

    def _slot(self, number):
        return "%sround.%d" % (self._root, number)

    def _give_up(self, error):
        """Go on without files. Counters go on elsewhere: those that the files allow come again after a
        restart."""
        self.error = "rounds are not kept over a loss of power: %s" % error
        self._root = self._file = self._pieces = None
        self._counter += _anything()

    # The body on its way: round.body, written once

    def begin_body(self, identity, kind, counter, total):
        """Begin to write a body down, where that is not too often. identity: text that says what it is an
        answer to. total: bytes without the tag."""
        self.close()
        if self._root is None or not self._bodies.grants():
            return
        self._kept, self._sent = counter, 0
        self._sum = 0
        try:
            self._file = open(self._root + "round.body", "wb")
        except OSError as error:
            self._give_up(error)
            return
        self.add(_answering(identity) + pack("<BII", kind, counter, total))

    def add(self, data):
        """Write the next bytes of the body that was begun."""
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._give_up(error)
            return
        self._sum = crc32(data, self._sum)

    def end_body(self, tag):
        """Write the tag; from now on the body is kept."""
        self.add(tag)
        self.add(pack("<I", (self._sum or 0) & 0xFFFFFFFF))
        self.close()

    def close(self):
        """Leave a body that was begun as it is: it is none."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._give_up(error)
            self._file = None

    def body(self, identity):
        """Return the Body that is kept and answers to ``identity``, or None."""
        if self._root is None:
            return None
        path, head = self._root + "round.body", _answering(identity)
        try:
            with open(path, "rb") as file:
                if file.read(len(head)) != head:
                    return None
            from .kept import Body  # it takes no room before it is needed

            body = Body(path, head)
        except (OSError, ValueError):
            return None
        if body.counter != self._kept:  # the record is of an older one
            self._kept, self._sent = body.counter, 0
        body.sent, body.answered = self._sent, body.counter == self._answered
        return body

    def forget_body(self):
        """The body that is kept is worth nothing."""
        if self._root is not None and self._kept:
            try:
                open(self._root + "round.body", "wb").close()
            except OSError as error:
                self._give_up(error)
            self._kept = 0

    # The pieces of a big model: round.model, appended to in blocks

    def pieces(self, digest, body):
        """Fill ``body`` with what is kept of the model with this SHA-256 (64 hexadecimal digits).

        Return a bytearray, 1 for each piece that is there.
        """
        have = bytearray(piece_count(len(body)))
        self._pieces = None
        if self._root is not None and len(body) >= MODEL_BYTES:
            from .kept import Pieces

            pieces = Pieces(self._root + "round.model", digest, body, have, BLOCK)
            if pieces.begun or self._models.grants():
                self._pieces = pieces
        return have

    def got(self, index, body):
        """Note that a piece of that model, which was missing, is in ``body`` now."""
        if self._pieces is not None:
            try:
                self._pieces.got(index, body)
            except OSError as error:
                self._give_up(error)

    def forget_model(self):
        """The pieces that are there are not of that model: all of them are missing again."""
        if self._pieces is not None:
            self._pieces.forget()


class _Allowance:
    """Some writes in a row, then one in a while."""

    def __init__(self):
        self._left, self._at = _WRITES, ticks_ms()

    def grants(self):
        """Tell whether one may happen now, and count it."""
        now = ticks_ms()
        passed = ticks_diff(now, self._at)
        if passed < 0:  # ticks have wrapped: it was days
            passed = _WRITES * _WRITE_MS
        more = passed // _WRITE_MS
        self._left = min(_WRITES, self._left + more)
        self._at = now if self._left == _WRITES else ticks_add(self._at, more * _WRITE_MS)
        if not self._left:
            return False
        self._left -= 1
        return True


def _answering(identity):
    """Return the first bytes of a file with a body that is the answer to this."""
    return b"fmb1" + pack("<I", crc32(identity.encode()) & 0xFFFFFFFF)


def _anything():
    return unpack("<H", random_bytes(2))[0]
