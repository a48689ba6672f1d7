"""What an aggregator tells whoever looks on: small records, in the
order in which things happened. Nothing is decided by them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from fedmote.federation.bodies import Report


@dataclass(frozen=True)
class Score:
    """How good a version is by the boards that evaluated it, weighted by
    their samples. loss: mean, nats. accuracy: 0 to 1."""

    boards: int
    samples: int
    loss: float
    accuracy: float

    @classmethod
    def of(cls, reports: Iterable[Report]) -> Self | None:
        """Return the score of these reports, None where nobody evaluated anything."""
        counted = [report for report in reports if report.evaluated]
        samples = sum(report.evaluated for report in counted)
        if not samples:
            return None
        loss = sum(report.evaluated * report.loss for report in counted) / samples
        accuracy = sum(report.evaluated * report.accuracy for report in counted) / samples
        return cls(len(counted), samples, loss, accuracy)


@dataclass(frozen=True)
class RoundStarted:
    """A round was announced. version: the model it starts from.
    expected: boards that are online with its layout."""

    round: int
    phase: str
    version: int
    expected: tuple[str, ...]


@dataclass(frozen=True)
class UpdateAccepted:
    """A device's update is on disk. up_bytes: its messages, topics and headers included. late: it goes into
    the aggregate of a later round than its own."""

    device: str
    round: int
    up_bytes: int
    report: Report
    late: bool = False


@dataclass(frozen=True)
class EvaluationAccepted:
    """A device's evaluation is on disk."""

    device: str
    round: int
    up_bytes: int
    report: Report


@dataclass(frozen=True)
class Refused:
    """A message was refused. device: empty where it is not one of ours."""

    device: str
    reason: str


@dataclass(frozen=True)
class RoundExtended:
    """A deadline passed with too few answers: the round waits for
    another one. missing: expected boards without receipt."""

    round: int
    updates: int
    minimum: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class RoundClosed:
    """A round has ended. version: the one it started from, which ``learners`` and ``evaluators`` scored.

    new_version: the one made of its updates, the same where the
    round only evaluated. samples: behind the updates.
    """

    round: int
    phase: str
    version: int
    new_version: int
    updates: int
    samples: int
    learners: Score | None
    evaluators: Score | None


@dataclass(frozen=True)
class Finished:
    """All rounds are done; ``version`` is the final model."""

    version: int


@dataclass(frozen=True)
class Paused:
    """An operator has let all boards rest."""


@dataclass(frozen=True)
class Resumed:
    """An operator lets the federation go on."""


@dataclass(frozen=True)
class RolledBack:
    """An operator has made ``new_version`` with the values of ``version``."""

    version: int
    new_version: int


@dataclass(frozen=True)
class Quarantined:
    """Nothing is taken from a device any more, for what it has signed. reason: of the last refused body."""

    device: str
    reason: str


@dataclass(frozen=True)
class BoardSeen:
    """A device's status, see telemetry.parse_status."""

    device: str
    status: dict[str, Any]


@dataclass(frozen=True)
class Telemetry:
    """A device's telemetry line, see telemetry.parse_telemetry."""

    device: str
    line: dict[str, Any]


Event = (
    RoundStarted
    | UpdateAccepted
    | EvaluationAccepted
    | Refused
    | RoundExtended
    | RoundClosed
    | Finished
    | Paused
    | Resumed
    | RolledBack
    | Quarantined
    | BoardSeen
    | Telemetry
)
