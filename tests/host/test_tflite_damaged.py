"""A damaged or hostile .tflite file raises FedmoteError, soon. FEDMOTE_FUZZ sets how many are tried."""

import os
import random
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from tflite_networks import accumulator, every_operator

from fedmote.errors import FedmoteError
from fedmote.models.tflite import flatbuffer, read, schema, write

COUNT = int(os.environ.get("FEDMOTE_FUZZ", "1000"))
SLOWEST_S = 1.0  # for a file of some kilobytes, which takes a millisecond or so
NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF0,
    0xFFFFFFFF,
)


def flip(data: bytearray, source: random.Random) -> None:
    """Change a byte."""
    data[source.randrange(len(data))] = source.randrange(256)


def overwrite(data: bytearray, source: random.Random) -> None:
    """Write a number at which checks tend to fail."""
    at = source.randrange(len(data) // 4) * 4
    data[at : at + 4] = struct.pack("<I", source.choice(NUMBERS))


def nudge(data: bytearray, source: random.Random) -> None:
    """Change a number a little."""
    at = source.randrange(len(data) // 4 - 1) * 4
    number = struct.unpack_from("<I", data, at)[0] + source.randint(-16, 16)
    struct.pack_into("<I", data, at, number % 2**32)


def copy(data: bytearray, source: random.Random) -> None:
    """Write a part of the file over another part."""
    size = source.randint(1, 64)
    start, at = (source.randrange(max(1, len(data) - size)) for _ in range(2))
    data[at : at + size] = data[start : start + size]


def cut(data: bytearray, source: random.Random) -> None:
    """Drop the end, or a part."""
    at = source.randrange(min(64, len(data) // 2), len(data))
    del data[at : at + source.choice((1, 4, len(data)))]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, overwrite, nudge, copy, cut)


@pytest.mark.timeout(60 + COUNT // 20)
def test_mutated_files_are_read_or_refused() -> None:
    originals = [write(every_operator()), write(accumulator())]
    outcomes = {"read": 0, "refused": 0}
    for seed in range(COUNT):
        source = random.Random(seed)
        data = bytearray(source.choice(originals))
        for _ in range(source.choice((1, 1, 2, 5))):
            source.choice(MUTATIONS)(data, source)
        began = time.perf_counter()
        outcomes[outcome(bytes(data), seed)] += 1
        assert time.perf_counter() - began < SLOWEST_S, f"seed {seed}"
    assert min(outcomes.values()) > COUNT // 20, f"the mutations test little: {outcomes}"


def outcome(data: bytes, seed: int) -> str:
    """Read a file; what is read must survive being written, where it can be written."""
    try:
        network = read(data)
    except FedmoteError as error:
        assert len(str(error)) < 400, f"seed {seed}"
        return "refused"
    try:
        again = write(network)
    except FedmoteError:
        return "read"
    assert read(again) == network, f"seed {seed}"
    return "read"


def test_every_cut_file_is_refused() -> None:
    data = write(accumulator())
    end = len(data.rstrip(b"\0"))  # what follows is the last string's end
    for size in range(end):
        with pytest.raises(FedmoteError):
            read(data[:size])


@pytest.mark.parametrize(
    ("count", "name", "words"),
    [
        (60_000, b"", "over and over"),
        (60_000, b"n" * 20, "over and over"),
        (5_000, b"n" * 100_000, "over and over"),
        (65_536, b"", "lists 65536 entries .* at most 65535"),
    ],
)
def test_file_that_lists_one_tensor_many_times_is_refused_soon(count: int, name: bytes, words: str) -> None:
    data = repetitive(count, name)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(FedmoteError, match=words):
        read(data)
    seconds, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 5  # memory is being traced
    assert peak < 60 * len(data) + 1_000_000


def repetitive(count: int, name: bytes) -> bytes:
    """Return a file whose only subgraph has one tensor, listed `count` times."""
    mark = 0x7EA5_0F1E  # in a field that readers pass over, the last of the tensor's three words
    tensor: flatbuffer.Fields = {3: flatbuffer.Content(name, string=True), 9: flatbuffer.Scalar("I", mark)}
    model: flatbuffer.Fields = {
        0: flatbuffer.Scalar("I", schema.VERSION),
        2: flatbuffer.Tables([{0: flatbuffer.Vector("I", [0] * count)}]),
        4: flatbuffer.Tables([{}]),
        7: flatbuffer.Tables([tensor]),  # metadata, which nobody reads
    }
    data = bytearray(flatbuffer.build(model, schema.IDENTIFIER))
    first = data.index(struct.pack("<I", count)) + 4
    target = data.index(struct.pack("<I", mark)) - 8
    struct.pack_into(f"<{count}I", data, first, *(target - at for at in range(first, first + 4 * count, 4)))
    return bytes(data)
