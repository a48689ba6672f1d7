"""Weight delta <-> bytes: the body of an update, written on the board and taken apart on the host.

The layout is in docs/protocol.md. A board never holds a whole body: any range of it is computed when it is
asked for.
"""

import struct
from array import array

NONE = 0
FLOAT32 = 1
INT8 = 2
TERNARY = 3
CODECS = {"float32": FLOAT32, "int8": INT8, "ternary": TERNARY}

REPORT = "<BBHIIIffff"
REPORT_BYTES = 32


class Report:
    """What a board says besides the delta. Field by field as in docs/protocol.md, ``ranges`` a list of
    floats."""

    def __init__(
        self,
        version,
        samples=0,
        evaluated=0,
        loss=0.0,
        accuracy=0.0,
        training_loss=0.0,
        ranges=(),
        train_ms=0.0,
    ):
        self.version = version
        self.samples = samples
        self.evaluated = evaluated
        self.loss = loss
        self.accuracy = accuracy
        self.training_loss = training_loss
        self.ranges = ranges
        self.train_ms = train_ms

    def pack(self, codec, tensor_count):
        """Return the first bytes of a body, up to the delta."""
        return struct.pack(
            REPORT, codec, len(self.ranges), tensor_count, self.version, self.samples, self.evaluated,
            self.loss, self.accuracy, self.training_loss, self.train_ms,
        ) + struct.pack("<%df" % len(self.ranges), *self.ranges)  # fmt: skip


def unpack_report(body):
    """Return (report, codec, tensor count, offset of the delta). Raises ValueError where the body is too
    short."""
    if len(body) < REPORT_BYTES:
        raise ValueError("body has %d bytes, a report has %d" % (len(body), REPORT_BYTES))
    codec, range_count, tensor_count, version, samples, evaluated, loss, accuracy, training, train_ms = (
        struct.unpack_from(REPORT, body)
    )
    start = REPORT_BYTES + 4 * range_count
    if len(body) < start:
        raise ValueError("body has %d bytes, report and ranges have %d" % (len(body), start))
    ranges = struct.unpack_from("<%df" % range_count, body, REPORT_BYTES)
    report = Report(version, samples, evaluated, loss, accuracy, training, ranges, train_ms)
    return report, codec, tensor_count, start


def delta_bytes(codec, sizes):
    """Return the bytes of a delta whose tensors have ``sizes`` values each."""
    if codec == NONE:
        return 0
    count = sum(sizes)
    if codec == TERNARY:
        from . import ternary  # it takes no room on a board whose federation does not use it

        return 4 + ternary.packed_bytes(count, ternary.places_of(count))
    return 4 * count if codec == FLOAT32 else count + 4 * len(sizes)


def unpack_ternary(delta, count):
    """Return (magnitude, positions, negatives) of a TERNARY delta of ``count`` values, see ternary.unpack.

    Raises ValueError where the bytes are none.
    """
    from . import ternary

    places = ternary.unpack(memoryview(delta)[4:], ternary.places_of(count), count)
    return (struct.unpack_from("<f", delta)[0],) + places


def sections(codec, sizes, start):
    """Yield (offset of the scale or None, offset of the values, number of values) for each tensor of a body
    whose codec is FLOAT32 or INT8.

    The values are f32 (FLOAT32) or int8 to be multiplied by the f32 scale (INT8). start: offset of the delta.
    """
    for size in sizes:
        if codec == INT8:
            yield start, start + 4, size
            start += 4 + size
        else:
            yield None, start, size
            start += 4 * size


class Encoder:
    """The body of one update, any range of it on demand.

    report: Report. codec: one of CODECS or NONE. local, base: the values of the tensors that the board
    trains, array('f') or a view of one, flat. sizes: number of values of each of them, in order. Both arrays
    must stay as they are until the body is sent. residual: array('f') of as many values, zeros at first,
    where TERNARY keeps what it has not sent yet from one update to the next (error feedback); without it that
    is lost.
    """

    def __init__(self, report, codec, local=(), base=(), sizes=(), residual=None):
        self._head = report.pack(codec, len(sizes) if codec else 0)
        self._codec, self._local, self._base = codec, local, base
        self._sizes = sizes if codec else ()
        self._scales = (
            [_scale(local, base, start, size) for start, size in _spans(sizes)] if codec == INT8 else ()
        )
        self._ternary = _ternary(local, base, residual) if codec == TERNARY else b""
        #: bytes of the body without its tag
        self.total = len(self._head) + delta_bytes(codec, self._sizes)

    def read_into(self, target, offset):
        """Fill ``target`` (a writable buffer) with the body's bytes from ``offset`` on; return how many there
        were."""
        count = max(0, min(len(target), self.total - offset))
        if offset < len(self._head):
            part = self._head[offset : offset + count]
            target[: len(part)] = part
        if self._codec == TERNARY:
            _copy(target, offset, count, self._ternary, len(self._head))
            return count
        position = 0
        for number, (_, values, size) in enumerate(sections(self._codec, self._sizes, len(self._head))):
            if self._codec == INT8:
                _copy(target, offset, count, struct.pack("<f", self._scales[number]), values - 4)
                self._int8(target, offset, count, values, size, position, self._scales[number])
            else:
                self._float32(target, offset, count, values, size, position)
            position += size
        return count

    def _int8(self, target, offset, count, values, size, position, scale):
        first, last = max(0, offset - values), min(size, offset + count - values)
        for i in range(first, last):
            delta = self._local[position + i] - self._base[position + i]
            target[values + i - offset] = round(delta / scale) & 255

    def _float32(self, target, offset, count, values, size, position):
        first, last = max(0, (offset - values) // 4), min(size, (offset + count - values + 3) // 4)
        for i in range(first, last):
            delta = self._local[position + i] - self._base[position + i]
            _copy(target, offset, count, struct.pack("<f", delta), values + 4 * i)


def _spans(sizes):
    start = 0
    for size in sizes:
        yield start, size
        start += size


def _scale(local, base, start, size):
    largest = 0.0
    for i in range(start, start + size):
        delta = abs(local[i] - base[i])
        if delta > largest:
            largest = delta
    # The scale travels as float32; a step up keeps every quotient within 127 after its rounding.
    return largest * 1.0000002 / 127 if largest > 1e-30 else 1.0


def _ternary(local, base, residual):
    """Return the bytes of a TERNARY delta; what is left of it stays in ``residual``."""
    from . import ternary

    count = len(base)
    change = array("f", bytes(4 * count)) if residual is None else residual
    for i in range(count):
        change[i] += local[i] - base[i]
    chosen = ternary.largest(change, ternary.places_of(count))
    total = 0.0
    for i in chosen:
        total += abs(change[i])
    head = struct.pack("<f", total / len(chosen))
    (magnitude,) = struct.unpack("<f", head)
    negatives = [change[i] < 0 for i in chosen]
    for i, negative in zip(chosen, negatives):
        change[i] += magnitude if negative else -magnitude
    return head + ternary.pack(chosen, negatives, count)


def _copy(target, offset, count, data, at):
    """Put what of ``data``, which stands at ``at`` in the body, falls into the window [offset, offset +
    count)."""
    for i in range(len(data)):
        k = at + i - offset
        if 0 <= k < count:
            target[k] = data[i]
