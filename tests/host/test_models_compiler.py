"""What the compiler writes is what a board would have written, and what a board can read."""

from array import array

import numpy as np
import pytest

from fedmote.models import compiler, reference
from fedmote.models.compiler import (
    DenseLayer,
    Quantisation,
    compile_dense,
    compile_mlp,
    initial_values,
    sizes,
)
from mote import kernels
from mote.model import Model
from mote.train import Learner

plain = kernels.choose("plain")

LAYERS = [12, 10, 8, 3]
LABELS = ["a", "b", "ü"]
FEATURES = {"kind": "raw", "channels": 12, "window": 1, "floor": 0.5}
RANGES = [3.0, 5.5, 9.25]
CRC_END = 16  # a board that trains does not write the checksum anew


def compiled(kernel: str, values: np.ndarray | None = None, frozen: int = 0) -> bytes:
    ranges = None if values is None else RANGES
    return compile_mlp("test", LAYERS, LABELS, FEATURES, values, ranges, 1 / 32, kernel, frozen)


@pytest.mark.parametrize("kernel", compiler.FORMS)
def test_board_that_quantises_the_same_values_has_the_same_bytes(kernel: str) -> None:
    values = initial_values(LAYERS, 3)
    learner = Learner(Model(bytearray(compiled(kernel)), plain))
    learner.values[:] = array("f", values)
    learner.ranges[:] = array("f", RANGES)
    learner.quantise()
    assert bytes(learner.model.buffer)[CRC_END:] == compiled(kernel, values)[CRC_END:]


def test_info_and_labels_reach_the_board() -> None:
    model = Model(bytearray(compiled("viper")), plain)
    assert model.info == {"name": "test", "labels": LABELS, "features": FEATURES}


def test_layout_is_the_same_for_every_kernel_and_another_for_another_network() -> None:
    layouts = {Model(bytearray(compiled(kernel)), plain).layout for kernel in compiler.FORMS}
    assert len(layouts) == 1
    other = compile_mlp("test", [12, 9, 8, 3], LABELS, FEATURES)
    assert Model(bytearray(other), plain).layout not in layouts


def test_trainable_table_lists_weights_and_bias_layer_by_layer() -> None:
    model = Model(bytearray(compiled("viper")), plain)
    assert [t.count for t in model.trainables] == sizes(LAYERS)
    assert [t.name for t in model.trainables][:2] == ["dense0/weights", "dense0/bias"]
    assert model.trainables[0].shape == (10, 12)


def test_frozen_layers_are_not_in_the_trainable_table() -> None:
    model = Model(bytearray(compiled("viper", initial_values(LAYERS, 1), frozen=2)), plain)
    assert [(t.op, t.start, t.count) for t in model.trainables] == [(2, 0, 24), (2, 24, 3)]
    assert len(Learner(model).embedding.data) == 8


def test_activations_share_the_arena_but_never_while_both_are_needed() -> None:
    model = Model(bytearray(compiled("plain", initial_values(LAYERS, 1))), reference)
    assert len(model.arena) == 12 + 12  # the widest two neighbours, aligned
    for op in model.ops:
        addresses = [np.frombuffer(t.data, np.int8) for t in op.tensors if t.is_activation]
        assert not np.shares_memory(*addresses)


def test_initial_values_depend_on_the_seed_alone() -> None:
    values = initial_values([200, 100, 10], 1)
    assert np.array_equal(values, initial_values([200, 100, 10], 1))
    assert not np.array_equal(values, initial_values([200, 100, 10], 2))
    assert values[:20000].std() == pytest.approx(0.1, rel=0.05)
    assert not values[20000:20100].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": np.zeros(5, np.float32)}, "5 values"),
        ({"ranges": [1.0]}, "1 ranges for 3 layers"),
        ({"labels": ["a"]}, "1 labels for 3 outputs"),
        ({"labels": ["x" * 2000] * 3}, "at most 4096"),
        ({"kernel": "fast"}, "'fast' is unknown"),
        ({"input_scale": 0.0}, "not a positive normal float32"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], words: str) -> None:
    arguments = {"name": "test", "layers": LAYERS, "labels": LABELS, "features": FEATURES, **change}
    with pytest.raises(ValueError, match=words):
        compile_mlp(**arguments)  # type: ignore[arg-type]


def test_layers_that_no_board_can_compute_are_refused() -> None:
    given, output = Quantisation(0.1, -128), Quantisation(0.1, 0)
    bias, scales = np.zeros(2, np.int32), np.ones(1, np.float32)
    wide = DenseLayer(np.full((2, 3), 127, np.int8), bias + 0x7FFFFFFF, scales, output, relu=False)
    with pytest.raises(ValueError, match="exceeds 32 bits"):
        compile_dense("test", ["a", "b"], {}, given, [wide], "plain")
    several = DenseLayer(np.ones((2, 3), np.int8), bias, np.ones(2, np.float32), output, relu=False)
    with pytest.raises(ValueError, match="one weight scale, not 2"):
        compile_dense("test", ["a", "b"], {}, given, [several], "plain")
    unfit = DenseLayer(np.ones((2, 3), np.int8), np.zeros(3, np.int32), scales, output, relu=False)
    with pytest.raises(ValueError, match="weights 2 x 3, 3 biases"):
        compile_dense("test", ["a", "b"], {}, given, [unfit], "plain")
