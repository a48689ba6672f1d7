"""What boards send: the body of an update or an evaluation, checked and
turned into arrays. It knows no store and no rounds."""

import hmac
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from fedmote.federation.protocol import Reason, Refusal
from mote import codec, wire

SAMPLES_LIMIT = 1_000_000
#: beyond it a value cannot be a weight, a loss or an activation of a network that still learns
MAGNITUDE_LIMIT = 1e6
#: boards report no smaller range of activations: an int8 scale is made of it
RANGE_FLOOR = 1e-7


@dataclass(frozen=True)
class Report:
    """What a board says besides the delta. version: the model it evaluated and started from. loss in nats.
    train_ms: how long a sample took in each epoch, on the average."""

    version: int
    samples: int
    evaluated: int
    loss: float
    accuracy: float
    training_loss: float
    ranges: tuple[float, ...]
    train_ms: float = 0.0


@dataclass(frozen=True)
class Form:
    """The form that a round's bodies have. sizes: values of each trainable tensor, in order.

    An update holds all tensors or, of a board that trains only a part, the last ones.
    """

    codec: str
    sizes: tuple[int, ...]
    range_count: int

    @cached_property
    def lengths(self) -> dict[int, frozenset[int]]:
        """The bytes that a body of each kind may have."""
        updates = (self.length(wire.UPDATE, tensors) for tensors in range(1, len(self.sizes) + 1))
        return {
            wire.UPDATE: frozenset(updates),
            wire.EVALUATION: frozenset([self.length(wire.EVALUATION)]),
        }

    def length(self, kind: int, tensors: int | None = None) -> int:
        """Return the exact bytes of a body of this kind, tag included.

        tensors: of an update, all when None.
        """
        sizes = self.sizes if tensors is None else self.sizes[len(self.sizes) - tensors :]
        delta = codec.delta_bytes(self._codec(kind), sizes)
        return int(codec.REPORT_BYTES + 4 * self.range_count + delta + wire.TAG_BYTES)

    def decode(self, kind: int, body: bytes, version: int) -> tuple[Report, NDArray[np.float32]]:
        """Return report and delta of a body without its tag.

        The delta is float32 [D], of a board that trains only the last tensors as much of the end of it, empty
        for an evaluation. version: the model that the round starts from. Raises
        Refusal(answer=True): LENGTH, SHAPE, VERSION, NOT_FINITE, BOUNDS.
        """
        if len(body) + wire.TAG_BYTES not in self.lengths[kind]:
            raise Refusal(Reason.LENGTH, answer=True)
        try:
            head, used_codec, tensor_count, start = codec.unpack_report(body)
        except ValueError:  # more ranges than the body has room for
            raise Refusal(Reason.SHAPE, answer=True) from None
        tensors = tensor_count if 0 < tensor_count <= len(self.sizes) else None
        if (
            (used_codec, len(head.ranges)) != (self._codec(kind), self.range_count)
            or (tensors if kind == wire.UPDATE else 0) != tensor_count
            or len(body) + wire.TAG_BYTES != self.length(kind, tensors)
        ):
            raise Refusal(Reason.SHAPE, answer=True)
        report = Report(
            head.version,
            head.samples,
            head.evaluated,
            head.loss,
            head.accuracy,
            head.training_loss,
            tuple(head.ranges),
            head.train_ms,
        )
        _check(report, kind, version)
        sizes = self.sizes[len(self.sizes) - tensor_count :]
        delta = self._delta(body, start, sizes) if kind == wire.UPDATE else np.empty(0, np.float32)
        if delta.size:
            extremes = float(delta.min()), float(delta.max())  # NaN where there is one
            if not all(map(isfinite, extremes)):
                raise Refusal(Reason.NOT_FINITE, answer=True)
            if max(map(abs, extremes)) > MAGNITUDE_LIMIT:
                raise Refusal(Reason.BOUNDS, answer=True)
        return report, delta

    def _codec(self, kind: int) -> int:
        return int(codec.CODECS[self.codec]) if kind == wire.UPDATE else int(codec.NONE)

    def _delta(self, body: bytes, start: int, sizes: tuple[int, ...]) -> NDArray[np.float32]:
        if codec.CODECS[self.codec] == codec.TERNARY:
            return self._ternary(body[start:], sum(sizes))
        delta = np.empty(sum(sizes), np.float32)
        position = 0
        for scale_at, values_at, count in codec.sections(codec.CODECS[self.codec], sizes, start):
            target = delta[position : position + count]
            if scale_at is None:
                target[:] = np.frombuffer(body, "<f4", count, values_at)
            else:
                with np.errstate(
                    over="ignore", invalid="ignore"
                ):  # what is not finite is refused by the caller
                    scale = np.frombuffer(body, "<f4", 1, scale_at)
                    target[:] = scale * np.frombuffer(body, np.int8, count, values_at)
            position += count
        return delta

    def _ternary(self, coded: bytes, count: int) -> NDArray[np.float32]:
        delta = np.zeros(count, np.float32)
        try:
            magnitude, positions, negatives = codec.unpack_ternary(coded, len(delta))
        except ValueError:
            raise Refusal(Reason.SHAPE, answer=True) from None
        delta[positions] = np.where(negatives, -magnitude, magnitude)
        return delta


def is_authentic(
    body: bytes, key: bytes, federation: str, run: str, device: str, kind: int, number: int, counter: int
) -> bool:
    """Tell whether the last 32 bytes of a body are the tag that the device's key gives the rest."""
    tag = wire.Tag(key, federation, run, device, kind, number, counter)
    tag.update(body[: -wire.TAG_BYTES])
    return hmac.compare_digest(tag.digest(), body[-wire.TAG_BYTES :])


def _check(report: Report, kind: int, version: int) -> None:
    if report.version != version:
        raise Refusal(Reason.VERSION, answer=True)
    measures = (report.loss, report.accuracy, report.training_loss, report.train_ms, *report.ranges)
    if not all(isfinite(value) for value in measures):
        raise Refusal(Reason.NOT_FINITE, answer=True)
    lowest = 1 if kind == wire.UPDATE else 0
    highest = SAMPLES_LIMIT if kind == wire.UPDATE else 0
    if not (
        lowest <= report.samples <= highest
        and report.evaluated <= SAMPLES_LIMIT
        and 0 <= report.accuracy <= 1
        and all(0 <= value <= MAGNITUDE_LIMIT for value in measures)
        and all(value >= RANGE_FLOOR for value in report.ranges)
    ):
        raise Refusal(Reason.BOUNDS, answer=True)
