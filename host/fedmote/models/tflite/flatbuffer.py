"""The bytes of flatbuffers: reads tables from a file that nobody has vouched for, and lays tables out."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedmote.errors import FedmoteError

#: Most tables that one vector may hold.
TABLES = 65_535

_TABLE_COST = 28  # bytes that a table counts for; an empty one takes 8 with the offset to it, which is 4 more
_WORK = 4  # bytes that may be decoded for each byte of the file: one that shares nothing needs no more
_WORK_FLOOR = 65_536


class Source:
    """A flatbuffer being read. Nothing outside its bytes is touched, whatever the offsets in it say.

    Tables and vectors may be shared in a flatbuffer, so a small file can describe a huge content; what is
    decoded from one Source is therefore limited to a few times its size. All methods, here and in Table,
    raise FedmoteError for a file that is cut, damaged or decodes to far more than it holds.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._work = _WORK_FLOOR + _WORK * len(data)

    def root(self) -> "Table":
        """The table that the file starts from."""
        return Table(self, self.target(0))

    def unpack(self, format: str, at: int, count: int = 1) -> tuple[int | float | bool, ...]:
        """Return `count` numbers of one struct format, little-endian, from byte `at` on."""
        size = count * _SIZES[format]
        if not 0 <= at <= len(self._data) - size:
            raise self._damaged(at)
        return struct.unpack_from(f"<{count}{format}", self._data, at)

    def integer(self, format: str, at: int) -> int:
        """Return one whole number."""
        return int(self.unpack(format, at)[0])

    def target(self, at: int) -> int:
        """Return the position that the offset at byte `at` leads to."""
        offset = self.integer("I", at)
        if not offset:
            raise self._damaged(at)
        return at + offset

    def vector(self, at: int, size: int, most: int | None = None) -> tuple[int, int]:
        """Return the position of the first element and the number of elements, of `size` bytes each.

        The elements lie within the file, and have been counted as work.
        """
        count = self.integer("I", at)
        if count * size > len(self._data) - (at + 4):
            raise self._damaged(at)
        if most is not None and count > most:
            raise FedmoteError(
                f"the .tflite file lists {count} entries at byte {at}, at most {most} are read"
            )
        self.charge(count * size)
        return at + 4, count

    def slice(self, at: int, count: int) -> bytes:
        """Return `count` bytes that vector() has found to be there."""
        return self._data[at : at + count]

    def charge(self, size: int) -> None:
        """Count `size` bytes as decoded."""
        self._work -= size
        if self._work < 0:
            raise FedmoteError(
                "the .tflite file uses the same bytes over and over, as no converter does: convert it again"
            )

    def _damaged(self, at: int) -> FedmoteError:
        return FedmoteError(
            f"the .tflite file is cut or damaged: what byte {at} should hold is not in its {len(self._data)} "
            "bytes; copy or convert it again"
        )


class Table:
    """A table of a Source. Fields are numbered as the schema has them; an absent one has its default."""

    __slots__ = ("_at", "_fields", "_source", "_vtable")

    def __init__(self, source: Source, at: int) -> None:
        self._source = source
        self._at = at
        self._vtable = at - source.integer("i", at)
        self._fields = max(0, source.integer("H", self._vtable) - 4) // 2
        source.charge(_TABLE_COST)

    def has(self, number: int) -> bool:
        """Whether the table holds a field."""
        return bool(self._offset(number))

    def fields(self) -> list[int]:
        """Return the numbers of all fields that the table holds."""
        self._source.charge(2 * self._fields)
        return [number for number in range(self._fields) if self.has(number)]

    def integer(self, number: int, format: str, default: int = 0) -> int:
        """Return a field that is a whole number, or a bool."""
        return int(self._scalar(number, format, default))

    def real(self, number: int, default: float = 0.0) -> float:
        """Return a field that is a float32."""
        return float(self._scalar(number, "f", default))

    def numbers(self, number: int, format: str) -> tuple[int | float | bool, ...]:
        """Return the numbers of a vector, () where it is absent."""
        at = self._target(number)
        if at is None:
            return ()
        start, count = self._source.vector(at, _SIZES[format])
        return self._source.unpack(format, start, count)

    def integers(self, number: int, format: str) -> tuple[int, ...]:
        """Return the whole numbers of a vector, () where it is absent."""
        return tuple(int(value) for value in self.numbers(number, format))

    def content(self, number: int) -> bytes:
        """Return a vector of bytes or a string, b"" where it is absent."""
        at = self._target(number)
        return b"" if at is None else self._source.slice(*self._source.vector(at, 1))

    def text(self, number: int) -> str:
        """Return a string, "" where it is absent; what is not UTF-8 in it is written as \\x.. ."""
        return self.content(number).decode("utf-8", "backslashreplace")

    def table(self, number: int) -> "Table | None":
        """Return a table, None where it is absent."""
        at = self._target(number)
        return None if at is None else Table(self._source, at)

    def tables(self, number: int) -> Iterator["Table"]:
        """Yield the tables of a vector, none where it is absent. A vector of over TABLES is refused."""
        at = self._target(number)
        if at is not None:
            start, count = self._source.vector(at, 4, TABLES)
            for place in range(start, start + 4 * count, 4):
                yield Table(self._source, self._source.target(place))

    def _offset(self, number: int) -> int:
        """Where a field starts in the table, 0 where it is absent."""
        return self._source.integer("H", self._vtable + 4 + 2 * number) if number < self._fields else 0

    def _scalar(self, number: int, format: str, default: float) -> int | float | bool:
        offset = self._offset(number)
        return self._source.unpack(format, self._at + offset)[0] if offset else default

    def _target(self, number: int) -> int | None:
        offset = self._offset(number)
        return self._source.target(self._at + offset) if offset else None


_SIZES = {format: struct.calcsize(f"<{format}") for format in "?bBHiIqQf"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number within a table, of a struct format of at most 4 bytes."""

    format: str
    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """Numbers of one struct format."""

    format: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Content:
    """A vector of bytes that starts on a multiple of `alignment`. A string also has a 0 behind it."""

    data: bytes
    alignment: int = 1
    string: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables, each as a mapping from field numbers to what they hold."""

    rows: Sequence["Fields"]


Fields = Mapping[int, "Scalar | Vector | Content | Tables | Fields"]


def text(value: str) -> Content:
    """A string."""
    return Content(value.encode(), string=True)


def build(root: Fields, identifier: bytes) -> bytes:
    """Return the flatbuffer of a table and all that it holds.

    Raises struct.error or OverflowError for a number that its format cannot hold.
    """
    target = _Target()
    target.data += bytes(4) + identifier
    target.refer(0, root)
    return bytes(target.data)


class _Target:
    """A flatbuffer being written from front to back: every table lies before what it refers to."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._vtables: dict[bytes, int] = {}

    def refer(self, place: int, what: "Vector | Content | Tables | Fields") -> None:
        """Append something, and store its offset at `place`."""
        at = self._append(what)
        struct.pack_into("<I", self.data, place, at - place)

    def _append(self, what: "Vector | Content | Tables | Fields") -> int:
        """Append something; return its position."""
        match what:
            case Vector(format, values):
                at = self._start_vector(len(values), _SIZES[format])
                self.data += struct.pack(f"<{len(values)}{format}", *values)
            case Content(data, alignment, string):
                at = self._start_vector(len(data), alignment)
                self.data += data + bytes(string)
            case Tables(rows):
                at = self._start_vector(len(rows), 4)
                self.data += bytes(4 * len(rows))
                for number, row in enumerate(rows):
                    self.refer(at + 4 + 4 * number, row)
            case _:
                at = self._append_table(what)
        return at

    def _append_table(self, fields: Fields) -> int:
        """Append a table, after its vtable unless another table has had the same; return its position."""
        # Four bytes for every field keep them all aligned.
        places = {number: 4 + 4 * place for place, number in enumerate(sorted(fields))}
        offsets = [places.get(number, 0) for number in range(max(places, default=-1) + 1)]
        size = 4 + 4 * len(places)
        vtable = struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), size, *offsets)
        if vtable not in self._vtables:
            self._align(2)
            self._vtables[vtable] = len(self.data)
            self.data += vtable
        self._align(4)
        at = len(self.data)
        self.data += struct.pack("<i", at - self._vtables[vtable]) + bytes(4 * len(places))
        for number, what in sorted(fields.items()):
            place = at + places[number]
            if isinstance(what, Scalar):
                struct.pack_into(f"<{what.format}", self.data, place, what.value)
            else:
                self.refer(place, what)
        return at

    def _start_vector(self, count: int, alignment: int) -> int:
        """Append the number of elements so that they start on a multiple of `alignment`."""
        self._align(max(alignment, 4), 4)
        self.data += struct.pack("<I", count)
        return len(self.data) - 4

    def _align(self, alignment: int, more: int = 0) -> None:
        """Append zeros until the position `more` bytes ahead is a multiple of `alignment`."""
        self.data += bytes(-(len(self.data) + more) % alignment)
