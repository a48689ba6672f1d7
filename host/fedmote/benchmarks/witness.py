"""Sees what passes between boards and broker, and computes what the aggregator should have made of it.

The arithmetic is written down here once more, apart from the aggregator's, so that a mistake in one shows.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fedmote.benchmarks.faulty_proxy import Passed
from mote import wire

_HEAD = struct.Struct("<BBHII")  # of a body: codec, ranges, tensors, version, samples
_REPORT_BYTES = 32
_DURATION = slice(28, 32)  # of a body: how long training took
_INT8 = 2


class Witness:
    """Takes every publication that a FaultyProxy passes on.

    told: (device, round) of every receipt that said ``accepted`` and reached its device as a whole.
    """

    def __init__(self, federation: str) -> None:
        self.told: set[tuple[str, int]] = set()
        self._updates = wire.topic(federation, "update", "")
        self._receipts = wire.topic(federation, "command", "")
        self._pieces: dict[tuple[str, int, int], dict[int, bytes]] = defaultdict(dict)

    def take(self, passed: Passed) -> None:
        """Note one publication."""
        if passed.upward and passed.topic.startswith(self._updates):
            chunk = wire.Chunk(passed.payload)
            if chunk.kind == wire.UPDATE:
                pieces = self._pieces[passed.client, chunk.number, chunk.counter]
                pieces[chunk.index] = bytes(chunk.piece)
        elif not passed.upward and passed.topic == self._receipts + passed.client:
            receipt = json.loads(passed.payload)
            if receipt.get("result") == "accepted":
                self.told.add((passed.client, receipt["receipt"]))

    def update(self, device: str, number: int, counter: int) -> bytes:
        """Return the body of an update for round ``number``, without its tag and with 0 for its duration.
        What never came of it is missing.
        """
        pieces = self._pieces.get((device, number, counter), {})
        body = bytearray().join(pieces[index] for index in sorted(pieces))[: -wire.TAG_BYTES]
        if len(body) >= _REPORT_BYTES:
            body[_DURATION] = bytes(4)
        return bytes(body)

    @property
    def updates(self) -> set[tuple[str, int, int]]:
        """(device, round, counter) of every update of which there was a piece."""
        return set(self._pieces)


def next_version(
    base: NDArray[np.float32], bodies: Iterable[bytes], sizes: Sequence[int]
) -> NDArray[np.float32]:
    """Return base plus the mean of int8 updates weighted by samples, float32 [D].

    bodies: without tags, in the order of the devices' names, each counted once. sizes: values of each tensor.
    Raises ValueError for a body that is not whole.
    """
    total, weight = np.zeros(len(base), np.float64), 0
    for body in bodies:
        if len(body) < _HEAD.size:
            raise ValueError(f"an update of {len(body)} bytes")
        codec, ranges, tensors, _, samples = _HEAD.unpack_from(body)
        at = _REPORT_BYTES + 4 * ranges
        if codec != _INT8 or tensors != len(sizes) or len(body) != at + sum(sizes) + 4 * len(sizes):
            raise ValueError(f"an update of {len(body)} bytes, codec {codec}, {tensors} tensors")
        parts = []
        for size in sizes:
            scale = np.float32(struct.unpack_from("<f", body, at)[0])
            parts.append(np.frombuffer(body, np.int8, size, at + 4).astype(np.float32) * scale)
            at += 4 + size
        total += np.concatenate(parts).astype(np.float64) * samples
        weight += samples
    return (base + total / weight).astype(np.float32)
