"""The simulation gives what a fleet of boards would: their code, their bytes, the same for the same seed."""

import hashlib
import json
from array import array
from dataclasses import replace

import numpy as np
import pytest

from fedmote.errors import FedmoteError
from fedmote.models.application import Application
from fedmote.models.compiler import compile_mlp, initial_values
from fedmote.simulation import Result, baselines, simulate, uplink_bytes
from mote import features, wire
from mote.local import Local, Shuffle
from mote.model import Model
from mote.rounds import SENDING, WAITING, Participant
from mote.train import Learner

CLIENTS = 5


@pytest.fixture(scope="module")
def digits() -> Application:
    """The smallest federation that still learns: the first writers, briefly."""
    application = Application.load("digits")
    reader = Few(application.reader)
    return replace(application, reader=reader, training=replace(application.training, rounds=3))


class Few:
    """Reads what another reader reads, and keeps the first clients."""

    def __init__(self, reader: object) -> None:
        self._reader = reader

    def read(self, content: bytes, rate_hz: float) -> list[object]:
        return self._reader.read(content, rate_hz)[:CLIENTS]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def result(digits: Application) -> Result:
    return simulate(digits, ["writer-05"])


def test_federation_beats_boards_that_learn_alone_on_an_unseen_client(result: Result) -> None:
    assert result.before < 0.3 < result.local < result.federated <= 1
    assert result.rounds[-1] == result.federated and len(result.rounds) == 3


def test_same_seed_gives_the_same_bytes_and_another_seed_others(digits: Application, result: Result) -> None:
    again = simulate(digits, ["writer-05"])
    assert again.values.tobytes() == result.values.tobytes() and again.rounds == result.rounds
    assert simulate(digits, ["writer-05"], rounds=1, seed=2).rounds[0] != result.rounds[0]


def test_int8_deltas_cost_hardly_any_accuracy(digits: Application, result: Result) -> None:
    exact = simulate(digits, ["writer-05"], codec="float32")
    assert abs(exact.federated - result.federated) < 0.05
    assert result.uplink_bytes < 0.3 * exact.uplink_bytes


def test_baselines_alone_are_those_of_the_whole_simulation(digits: Application, result: Result) -> None:
    recordings = digits.recordings()
    alone = baselines(digits, recordings[:4], recordings[4:], 3, 1)
    assert all(getattr(result, name) == value for name, value in vars(alone).items())


@pytest.mark.parametrize(
    ("unseen", "words"),
    [
        (["writer-99"], "no client 'writer-99', there are: writer-01"),
        ([], "0 of 5 clients unseen"),
        ([f"writer-{n:02d}" for n in range(1, 6)], "5 of 5 clients unseen"),
    ],
)
def test_impossible_choice_of_clients_is_answered(digits: Application, unseen: list[str], words: str) -> None:
    with pytest.raises(FedmoteError, match=words):
        simulate(digits, unseen)


@pytest.mark.parametrize("codec", ["int8", "float32"])
def test_uplink_bytes_are_those_that_a_board_sends(digits: Application, codec: str) -> None:
    settings = vars(digits.features)
    model = compile_mlp("digits", digits.layers, digits.labels, settings, kernel="plain")
    learner = Learner(Model(bytearray(model), "plain"))
    ring = features.Ring(8, 64)
    for label in range(8):
        ring.add(array("f", [float(label)] * 64), label)
    local = Local(learner, features.Normaliser(64, 1.0, 1 / 32), ring, minimum=8)
    board = Participant("digits", "writer-01", bytes(32), local, Shuffle)
    body = initial_values(digits.layers, 1).tobytes()
    manifest = {
        "protocol": 2, "run": "00000000", "round": 3, "edition": 1, "version": 2, "phase": "train",
        "layout": learner.layout, "size": len(body), "sha256": hashlib.sha256(body).hexdigest(),
        "codec": codec, "epochs": 1, "batch": 4, "rate": 0.1, "decay": 0.0, "deadline_ms": 1000,
        "counter": 0, "time": 0, "pause_ms": 0,
    }  # fmt: skip
    text = json.dumps(manifest).encode()
    sealed = wire.seal(bytes(32), wire.MANIFEST_SEAL, "digits", "writer-01", text)
    board.received(board.round_topic, sealed, 0)
    for index in range(wire.piece_count(len(body))):
        piece = body[index * wire.PIECE_BYTES :][: wire.PIECE_BYTES]
        message = bytearray(wire.HEADER_BYTES) + piece
        wire.write_header(message, len(piece), wire.MODEL, 2, 0, index, len(body))
        board.received(wire.topic("digits", "model", 2, index), message, 0)
    while board.state != SENDING:
        assert board.error is None
        board.step(0)
    sent = 0
    while board.state != WAITING:
        topic, payload = board.next_message()
        sent += len(topic) + len(payload)
        board.delivered(topic, 0)
    assert sent == uplink_bytes(digits, codec, "writer-01", 3)


def test_result_does_not_print_its_weights(result: Result) -> None:
    assert "array" not in repr(result) and isinstance(result.values, np.ndarray)
