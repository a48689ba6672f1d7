"""A federation on the host without network or processes: the boards' learning code and bytes in a loop.

What it gives is what a fleet of boards with the same windows, seed and settings reach; it measures no time.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.datasets import Recording
from fedmote.errors import FedmoteError
from fedmote.federation.bodies import Form, Report
from fedmote.federation.rules import FederatedAveraging
from fedmote.models import reference
from fedmote.models.application import Application
from fedmote.models.compiler import compile_mlp, initial_values, sizes
from mote import codec as codecs
from mote import features, wire
from mote.local import Local, Shuffle
from mote.model import Model
from mote.train import Learner


@dataclass(frozen=True)
class Baselines:
    """What learning gives without a federation: accuracy (0 to 1, int8 inference) on all windows of the
    unseen clients.

    before: of the initial model. local: mean over learners that trained alone. centralised: of one model that
    trained on all learners' windows. own_local: of the learners' own models on their own held-out windows,
    mean.
    """

    before: float
    local: float
    centralised: float
    own_local: float


@dataclass(frozen=True)
class Result(Baselines):
    """What a federation reaches beside its baselines, and what it took.

    federated: of the last global model. rounds: of the global model after each round. own_federated: of the
    last one on the learners' own held-out windows, mean. unseen: names. uplink_bytes: of one update, see
    ``uplink_bytes``. values: the last global model, float32 [D]. ranges: largest activation of each layer
    that an unseen client saw under it.
    """

    federated: float
    rounds: tuple[float, ...]
    own_federated: float
    unseen: tuple[str, ...]
    uplink_bytes: int
    values: NDArray[np.float32] = field(repr=False)
    ranges: tuple[float, ...]


def simulate(
    application: Application,
    unseen: Sequence[str],
    rounds: int | None = None,
    seed: int = 1,
    codec: str | None = None,
) -> Result:
    """Train on every client but the ``unseen`` ones and measure on these.

    rounds, codec: those of the application when None. Raises FedmoteError for an unknown client, for one with
    too few windows, and where nobody is left to learn or to be measured.
    """
    rounds = application.training.rounds if rounds is None else rounds
    codec = codec or application.training.codec
    recordings = _split(application, unseen)
    learners, evaluators = _boards(application, *recordings, seed)
    form = _form(application, codec)

    history = []
    values = initial_values(application.layers, seed)
    for number in range(1, rounds + 1):
        rule = FederatedAveraging(len(values))
        for board in learners:
            report, delta = board.update(values, number, form)
            rule.add(delta, report.samples)
        values = (values + rule.result()).astype(np.float32)
        history.append(_accuracy(evaluators, values))
    ranges = np.max([board.evaluate(values).ranges for board in evaluators], axis=0)
    return Result(
        **vars(baselines(application, *recordings, rounds, seed)),
        federated=history[-1],
        rounds=tuple(history),
        own_federated=fmean(board.evaluate(values).accuracy for board in learners),
        unseen=tuple(unseen),
        uplink_bytes=uplink_bytes(application, codec, learners[0].name, rounds),
        values=values,
        ranges=tuple(float(largest) for largest in ranges),
    )


def baselines(
    application: Application,
    learners: Sequence[Recording],
    unseen: Sequence[Recording],
    rounds: int,
    seed: int,
) -> Baselines:
    """Train alone and on everything, for as many epochs as a federation of so many rounds does, from the same
    start.

    Raises FedmoteError for a client with too few windows.
    """
    boards, evaluators = _boards(application, learners, unseen, seed)
    initial = initial_values(application.layers, seed)
    epochs = rounds * application.training.epochs
    alone = [board.train_alone(initial, epochs) for board in boards]
    return Baselines(
        before=_accuracy(evaluators, initial),
        local=fmean(_accuracy(evaluators, values) for values in alone),
        centralised=_accuracy(evaluators, _train_together(application, boards, initial, epochs, seed)),
        own_local=fmean(board.evaluate(values).accuracy for board, values in zip(boards, alone, strict=True)),
    )


def uplink_bytes(application: Application, codec: str, device: str, number: int) -> int:
    """Return the bytes that one update takes in MQTT payloads and topics, chunk headers and tag included.

    number: the round.
    """
    total = _form(application, codec).length(wire.UPDATE)
    pieces = wire.piece_count(total)
    topics = (wire.topic(application.name, "update", device, number, index) for index in range(pieces))
    return total + pieces * wire.HEADER_BYTES + sum(map(len, topics))


class _Board:
    """One client with what its board would hold: model, ring buffer of windows, learning code.

    seed: the SEED of its settings.
    """

    def __init__(self, application: Application, recording: Recording, learns: bool, seed: int) -> None:
        self.name = recording.client
        self._training, self._seed = application.training, seed
        self._residual: array[float] | None = None  # what the codec ternary has not sent yet
        settings = application.board
        width = application.features.width
        self.ring = features.Ring(settings.ring, width)
        for row, label in _windows(application, recording):
            self.ring.add(row, label)
        self.normaliser = features.Normaliser(
            width, application.features.floor, application.network.input_scale
        )
        self.local = Local(
            _learner(application), self.normaliser, self.ring, settings.holdout, learns, settings.minimum
        )
        if not self.local.ready:
            raise FedmoteError(f"{self.name} has {len(self.ring)} windows, a board needs {settings.minimum}")

    def update(
        self, values: NDArray[np.float32], number: int, form: Form
    ) -> tuple[Report, NDArray[np.float32]]:
        """Take part in round ``number`` from these values; return what the aggregator reads out of the
        update's bytes."""
        self._train(values, number, self._training.epochs)
        local = self.local
        learner, kind = local.learner, codecs.CODECS[form.codec]
        if kind == codecs.TERNARY and self._residual is None:
            self._residual = array("f", bytes(4 * len(local.base)))
        encoder = codecs.Encoder(
            local.report, kind, learner.values, local.base, learner.sizes, self._residual
        )
        body = bytearray(encoder.total)
        encoder.read_into(body, 0)
        return form.decode(wire.UPDATE, bytes(body), number)

    def evaluate(self, values: NDArray[np.float32]) -> Any:
        """Return this board's report (mote.codec.Report) on a model: on all its windows, if it learns on the
        held-out ones."""
        self.local.base[:] = array("f", values)
        _drain(self.local.work(0, False, 0, 0, 0, 0, None))
        return self.local.report

    def train_alone(self, values: NDArray[np.float32], epochs: int) -> NDArray[np.float32]:
        """Return what the board makes of these values on its own."""
        self._train(values, 0, epochs)
        return np.array(self.local.learner.values, np.float32)

    def _train(self, values: NDArray[np.float32], number: int, epochs: int) -> None:
        settings = self._training
        self.local.base[:] = array("f", values)
        shuffle = Shuffle(self._seed * 65537 + number)
        _drain(self.local.work(number, True, epochs, settings.batch, settings.rate, settings.decay, shuffle))


def _split(application: Application, unseen: Sequence[str]) -> tuple[list[Recording], list[Recording]]:
    """Return the recordings to learn from and those of the unseen clients."""
    recordings = application.recordings()
    clients = [recording.client for recording in recordings]
    for name in unseen:
        if name not in clients:
            raise FedmoteError(f"{application.name} has no client {name!r}, there are: {', '.join(clients)}")
    if not 0 < len(unseen) < len(clients):
        raise FedmoteError(
            f"{len(unseen)} of {len(clients)} clients unseen: at least one must be, and one must learn"
        )
    learners = [recording for recording in recordings if recording.client not in unseen]
    return learners, [recording for recording in recordings if recording.client in unseen]


def _boards(
    application: Application, learners: Sequence[Recording], unseen: Sequence[Recording], seed: int
) -> tuple[list[_Board], list[_Board]]:
    """Return a board for each recording, with the seeds that fedmote.fleet gives."""
    boards = [
        _Board(application, recording.shuffled(seed), number < len(learners), seed + number)
        for number, recording in enumerate([*learners, *unseen])
    ]
    return boards[: len(learners)], boards[len(learners) :]


def _train_together(
    application: Application, boards: Sequence[_Board], initial: NDArray[np.float32], epochs: int, seed: int
) -> NDArray[np.float32]:
    """Return the values after SGD on all windows that the boards train on, normalised as on each board."""
    settings = application.training
    learner = _learner(application)
    width = application.features.width
    rows, labels = array("b"), bytearray()
    row = array("b", bytes(width))
    for board in boards:
        for number in range(len(board.ring)):
            if number % application.board.holdout != application.board.holdout - 1:
                board.normaliser.quantise_into(board.ring.row(number), row)
                rows.extend(row)
                labels.append(board.ring.labels[number])
    learner.values[:] = array("f", initial)
    order = list(range(len(labels)))
    shuffle = Shuffle(seed * 65537)
    _drain(learner.train(rows, labels, order, epochs, settings.batch, settings.rate, settings.decay, shuffle))
    return np.array(learner.values, np.float32)


def _accuracy(boards: Sequence[_Board], values: NDArray[np.float32]) -> float:
    """Return the accuracy over the windows of all boards together."""
    reports = [board.evaluate(values) for board in boards]
    evaluated = sum(report.evaluated for report in reports)
    return float(sum(report.accuracy * report.evaluated for report in reports) / evaluated)


def _form(application: Application, codec: str) -> Form:
    return Form(codec, tuple(sizes(application.layers)), len(application.layers) - 1)


def _learner(application: Application) -> Learner:
    model = compile_mlp(
        application.name,
        application.layers,
        application.labels,
        vars(application.features),
        input_scale=application.network.input_scale,
        kernel=reference.NAME,
    )
    return Learner(Model(bytearray(model), reference))


def _windows(application: Application, recording: Recording) -> Iterator[tuple[Any, int]]:
    """Yield (row, label) as a board's sensor loop finds them. The row is overwritten by the next one."""
    extractor = features.make(vars(application.features))
    for label, series in zip(recording.labels, recording.series, strict=True):
        extractor.reset()
        for reading in series.tolist():
            if extractor.push(reading):
                yield extractor.row, int(label)


def _drain(work: Iterable[object]) -> None:
    for _ in work:
        pass
