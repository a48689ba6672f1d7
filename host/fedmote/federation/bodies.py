"""What boards send: the body of an update or an evaluation, checked and
turned into arrays. It knows no store and no rounds."""

import hmac
from dataclasses import dataclass
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
    """What a board says besides the delta. version: the model it evaluated and started from. loss in nats."""

    version: int
    samples: int
    evaluated: int
    loss: float
    accuracy: float
    training_loss: float
    ranges: tuple[float, ...]


@dataclass(frozen=True)
class Form:
    """The one form that a round's bodies may have. sizes: values of each trainable tensor, in order."""

    codec: str
    sizes: tuple[int, ...]
    range_count: int

    def length(self, kind: int) -> int:
        """Return the exact bytes of a body of this kind, tag included."""
        delta = codec.delta_bytes(self._codec(kind), self.sizes)
        return codec.REPORT_BYTES + 4 * self.range_count + delta + wire.TAG_BYTES

    def decode(self, kind: int, body: bytes, version: int) -> tuple[Report, NDArray[np.float32]]:
        """Return report and delta, float32 [D] (empty for an evaluation), of a body without its tag.

        version: the model that the round starts from. Raises
        Refusal(answer=True): LENGTH, SHAPE, VERSION, NOT_FINITE, BOUNDS.
        """
        if len(body) + wire.TAG_BYTES != self.length(kind):
            raise Refusal(Reason.LENGTH, answer=True)
        try:
            head, used_codec, tensor_count, start = codec.unpack_report(body)
        except ValueError:  # more ranges than the body has room for
            raise Refusal(Reason.SHAPE, answer=True) from None
        tensors = len(self.sizes) if kind == wire.UPDATE else 0
        if (used_codec, tensor_count, len(head.ranges)) != (self._codec(kind), tensors, self.range_count):
            raise Refusal(Reason.SHAPE, answer=True)
        report = Report(
            head.version,
            head.samples,
            head.evaluated,
            head.loss,
            head.accuracy,
            head.training_loss,
            tuple(head.ranges),
        )
        _check(report, kind, version)
        delta = self._delta(body, start) if kind == wire.UPDATE else np.empty(0, np.float32)
        if not np.isfinite(delta).all():
            raise Refusal(Reason.NOT_FINITE, answer=True)
        if delta.size and np.abs(delta).max() > MAGNITUDE_LIMIT:
            raise Refusal(Reason.BOUNDS, answer=True)
        return report, delta

    def _codec(self, kind: int) -> int:
        return int(codec.CODECS[self.codec]) if kind == wire.UPDATE else int(codec.NONE)

    def _delta(self, body: bytes, start: int) -> NDArray[np.float32]:
        delta = np.empty(sum(self.sizes), np.float32)
        position = 0
        for scale_at, values_at, count in codec.sections(codec.CODECS[self.codec], self.sizes, start):
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
    measures = (report.loss, report.accuracy, report.training_loss, *report.ranges)
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
