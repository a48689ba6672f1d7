"""The global models that were published lately, and the steps between them that a board can take by itself.

A step is sparse ternary: some values go up or down by one magnitude. An aggregator that makes such steps
(federation/steps.py) is what makes a new model small enough for downlinks; other models go down whole.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mote import frames, ternary, wire

_KEPT = 8


class Models:
    """Model bodies by version. bodies: those that are known already."""

    def __init__(self, bodies: dict[int, bytes] | None = None) -> None:
        self.bodies = dict(bodies or {})
        self._pieces: dict[int, dict[int, bytes]] = {}

    def take(self, payload: bytes) -> None:
        """Take a message of a ``model`` topic; an empty one, which clears a version, is let go.

        Raises ValueError for a damaged one.
        """
        if not payload:
            return
        chunk: Any = wire.Chunk(payload)
        pieces = self._pieces.setdefault(chunk.number, {})
        pieces[chunk.index] = bytes(chunk.piece)
        if len(pieces) == chunk.count:
            del self._pieces[chunk.number]
            self.bodies[chunk.number] = b"".join(pieces[index] for index in range(chunk.count))
        for known in (self.bodies, self._pieces):
            for version in sorted(known)[:-_KEPT]:
                del known[version]

    def steps(self, start: int, version: int) -> bytes | None:
        """Return the steps that lead from the body with check sum ``start`` to ``version``, None where there
        are none or they would be longer than the model."""
        end = self.bodies.get(version, b"")
        first = next((known for known, body in self.bodies.items() if frames.sum_of(body) == start), version)
        steps = [self._step(known) for known in range(first, version)]
        whole = b"".join(step for step in steps if step is not None)
        return whole if steps and None not in steps and len(whole) < len(end) else None

    def _step(self, version: int) -> bytes | None:
        old, new = self.bodies.get(version), self.bodies.get(version + 1)
        return step_between(old, new) if old is not None and new is not None else None


def step_between(old: bytes, new: bytes) -> bytes | None:
    """Return the bytes with which mote.frames.apply_steps makes ``new`` of ``old``, None where no such step
    does."""
    a, b = np.frombuffer(old, "<f4"), np.frombuffer(new, "<f4")
    if len(a) != len(b):
        return None
    (positions,) = np.nonzero(a.view(np.uint32) != b.view(np.uint32))
    if not 0 < len(positions) <= len(a) // 2:
        return b"" if not len(positions) else None
    change = b[positions].astype(np.float64) - a[positions]
    for magnitude in _magnitudes(np.abs(change), b[positions]):
        coded = ternary.pack(positions.tolist(), (change < 0).tolist(), len(a))
        step = struct.pack("<Hf", len(positions), magnitude) + bytes(coded)
        body = bytearray(old)
        frames.apply_steps(body, step)
        if body == new:
            return step
    return None


def _magnitudes(changes: NDArray[np.float64], rounded: NDArray[np.float32]) -> list[float]:
    """Return the float32 numbers that may lie behind these changes of values that were then rounded."""
    slack = np.spacing(np.abs(rounded)).astype(np.float64) / 2
    low, high = float(np.max(changes - slack)), float(np.min(changes + slack))
    if low > high:
        return []
    middle = np.float32((low + high) / 2)
    around = [middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(np.inf))]
    return [float(value) for value in around]
