"""The ternary codec on the host, against sparse ternary compression written down in numpy."""

from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from federation_boards import PLAN, Home
from numpy.typing import NDArray

from fedmote.federation import aggregation
from fedmote.federation.bodies import Form
from fedmote.federation.protocol import Reason, Refusal
from fedmote.federation.steps import ternary_step
from fedmote.federation.store import Store
from mote import codec, ternary, wire

SIZES = (700, 24, 120, 6)
COUNT = sum(SIZES)
FORM = Form("ternary", SIZES, 2)


def reference(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the largest magnitudes as the sign times their mean (Sattler et al. 2019, algorithm 1)."""
    places = np.argsort(-np.abs(values), kind="stable")[: len(values) // ternary.SPARSITY]
    out = np.zeros_like(values)
    out[places] = np.sign(values[places]) * np.float32(np.abs(values[places].astype(np.float64)).mean())
    return out


def body(local: NDArray[np.float32], residual: array | None = None) -> bytes:
    """Return what a board sends that has moved from zeros to ``local``, without a tag."""
    report = codec.Report(3, 10, 20, 0.5, 0.75, 0.4, (1.0, 2.0))
    base = array("f", bytes(4 * COUNT))
    encoder = codec.Encoder(report, codec.TERNARY, array("f", local.tobytes()), base, SIZES, residual)
    out = bytearray(encoder.total)
    for start in range(0, encoder.total, 7):  # in pieces, as boards send
        encoder.read_into(memoryview(out)[start : start + 7], start)
    return bytes(out)


def test_updates_are_those_of_the_reference_round_after_round() -> None:
    random = np.random.default_rng(1)
    residual, rest = array("f", bytes(4 * COUNT)), np.zeros(COUNT, np.float32)
    for _ in range(20):
        local = random.standard_normal(COUNT).astype(np.float32)
        report, delta = FORM.decode(wire.UPDATE, body(local, residual), 3)
        rest += local
        expected = reference(rest)
        rest -= expected
        np.testing.assert_allclose(delta, expected, rtol=1e-6)
        np.testing.assert_allclose(residual, rest, atol=1e-5)
        assert report.samples == 10


def test_an_update_of_850_values_is_small() -> None:
    assert len(body(np.ones(COUNT, np.float32))) == codec.REPORT_BYTES + 2 * 4 + 30
    assert FORM.length(wire.UPDATE) == codec.REPORT_BYTES + 2 * 4 + 30 + 32


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (slice(36, 40), np.float32(np.nan).tobytes(), Reason.NOT_FINITE),
        (slice(36, 40), np.float32(1e9).tobytes(), Reason.BOUNDS),
        (slice(40, 66), bytes([255] * 26), Reason.SHAPE),
        (slice(65, 66), b"\x01", Reason.SHAPE),
        (slice(0, 1), b"\x02", Reason.SHAPE),
    ],
)
def test_a_body_that_no_board_makes_is_refused(at: slice, value: bytes, reason: Reason) -> None:
    coded = bytearray(body(np.ones(COUNT, np.float32)))
    coded[at] = value
    with pytest.raises(Refusal) as refusal:
        FORM.decode(wire.UPDATE, bytes(coded), 3)
    assert refusal.value.reason is reason


def test_steps_of_the_model_lose_nothing_over_rounds() -> None:
    random = np.random.default_rng(2)
    start = random.standard_normal(COUNT).astype(np.float32)
    base, rest, total = start, np.zeros(COUNT), np.zeros(COUNT)
    for _ in range(10):
        change = random.standard_normal(COUNT) * 0.01
        total += change
        new, rest = ternary_step(base, rest + change)
        assert np.count_nonzero(new != base) == COUNT // ternary.SPARSITY
        base = new
    np.testing.assert_allclose(base + rest, start + total, atol=1e-6)


def test_a_ternary_federation_makes_sparse_steps_and_what_they_leave_outlives_a_kill(tmp_path: Path) -> None:
    plan = replace(PLAN, sizes=SIZES, codec="ternary", rounds=4, minimum=2)
    home = Home(tmp_path / "aggregator.db", plan)
    home.aggregator.start()
    for board in home.boards.values():
        board.sizes = SIZES
    home.aggregator.handle([board.status() for board in home.boards.values()])
    random = np.random.default_rng(3)
    start = home.store.model().values
    total = np.zeros(COUNT)
    for number in range(1, 5):
        before = home.store.model().values
        changes = random.standard_normal((2, COUNT)).astype(np.float32)
        for change, board in zip(changes, home.boards.values(), strict=True):
            total += reference(change).astype(np.float64) / 2
            for message in board.update(change, 10, number, number - 1):
                home.aggregator.handle([message])
        after = home.store.model()
        assert after.version == number
        assert np.count_nonzero(after.values != before) == COUNT // ternary.SPARSITY
        home.kill_and_start()
    values = home.store.model().values
    left = aggregation._rest(home.store, values)
    assert np.count_nonzero(left) > COUNT // ternary.SPARSITY
    np.testing.assert_allclose(values + left, start + total, atol=1e-5)  # nothing was forgotten
    home.store.close()


def test_what_is_left_does_not_belong_to_another_model(tmp_path: Path) -> None:
    with Store(tmp_path / "aggregator.db") as store:
        store.set_meta(aggregation._REST, "00000000 AAAA")
        assert not aggregation._rest(store, np.ones(COUNT, np.float32)).any()
