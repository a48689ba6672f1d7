"""What .tflite networks become: the ops, the memory, and words about what cannot be compiled."""

import os
from array import array
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tflite_networks import accumulator, operation

from fedmote.errors import FedmoteError
from fedmote.models import reference, tflite
from fedmote.models.compiler import Compiled, compile_network
from fedmote.models.graph import Code
from fedmote.models.loading import load
from fedmote.models.lowering import LOWERINGS
from fedmote.models.tflite import Network, Operator, Quantisation, Subgraph, Tensor
from mote import ops
from mote.model import Model
from mote.train import Learner

FOLDER = Path(os.environ.get("FEDMOTE_MODELS_DIR") or Path(__file__).parents[3] / "shared" / "models")
#: file -> bytes of the arena; TensorFlow Lite Micro's activations take no less
ARENAS = {
    "mlperf_ad01_int8": 768,
    "mlperf_kws_ref_model": 16_000,
    "mlperf_pretrainedResnet_quant": 49_152,
    "mlperf_vww_96_int8": 55_296,
    "tflm_hello_world_int8": 32,
    "tflm_micro_speech_quantized": 5_960,
    "tflm_person_detect": 55_296,
}
UNIT = Quantisation((1.0,), (0,))


def activation(shape: Sequence[int], quantisation: Quantisation | None = UNIT, kind: str = "INT8") -> Tensor:
    return Tensor("activation", tuple(shape), kind, None, quantisation)


def constant(values: object, kind: str = "int8", quantisation: Quantisation | None = UNIT) -> Tensor:
    array = np.array(values, kind)
    return Tensor("constant", array.shape, kind.upper(), array.tobytes(), quantisation)


def network(tensors: Sequence[Tensor], *operators: Operator, outputs: Sequence[int] = ()) -> Network:
    """Return a network from tensor 0 to the last operator's output, or ``outputs``."""
    last = tuple(outputs) or operators[-1].outputs
    return Network(3, "test", (Subgraph("main", tuple(tensors), operators, (0,), last),))


def run(compiled: Compiled, values: Sequence[int]) -> list[int]:
    model = Model(bytearray(compiled.mote), reference)
    model.input[:] = memoryview(np.array(values, np.int8))
    model.invoke()
    return list(model.output)


def codes(compiled: Compiled) -> list[str]:
    return [row.op for row in compiled.ops]


# --- files -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no .tflite files in {FOLDER}: set FEDMOTE_MODELS_DIR")
@pytest.mark.parametrize("name", ARENAS)
def test_arena_of_real_models_is_as_small_as_their_largest_moment(name: str) -> None:
    compiled = compile_network(tflite.read((FOLDER / f"{name}.tflite").read_bytes()), "viper")
    assert compiled.arena_bytes == compiled.peak_bytes == ARENAS[name]
    peak = [one.size for one in compiled.lifetimes if one.born <= compiled.peak_op <= one.dies]
    assert sum(peak) == compiled.peak_bytes


def test_device_and_compiler_number_the_ops_alike() -> None:
    assert {code.name.lower(): int(code) for code in Code} == {row[0]: code for code, row in ops.OPS.items()}


def test_weights_stand_at_the_end_of_the_file_and_need_not_be_loaded() -> None:
    weights = Tensor("w", (3, 40), "INT8", bytes(range(120)), UNIT)
    asked = network(
        [activation((1, 40)), weights, activation((1, 3))], operation("FULLY_CONNECTED", (0, 1), (2,))
    )
    compiled = compile_network(asked, "viper")
    assert compiled.weight_bytes == compiled.block_bytes == 120
    model = load(compiled.mote)
    resident = int.from_bytes(compiled.mote[56:60], "little")
    behind = [
        tensor
        for tensor in map(model.tensor, range(model.tensor_count))
        if not tensor.is_activation and tensor.offset >= resident
    ]
    assert [tensor.number for tensor in behind] == [model.ops[0].tensors[1].number]
    assert len(compiled.mote) - resident == 120
    small = Model(bytearray(compiled.mote[:resident]), reference, BytesIO(compiled.mote))
    whole = Model(bytearray(compiled.mote), reference)
    for board in (small, whole):
        board.input[:] = memoryview(np.arange(-20, 20, dtype=np.int8))
        board.invoke()
    assert list(small.output) == list(whole.output)


def test_weights_that_a_board_trains_are_resident() -> None:
    weights = Tensor("w", (3, 40), "INT8", bytes(range(120)), UNIT)
    asked = network(
        [activation((1, 40)), weights, activation((1, 3))], operation("FULLY_CONNECTED", (0, 1), (2,))
    )
    compiled = compile_network(asked, "viper", trainable=1)
    assert compiled.weight_bytes == 0
    assert [row.name for row in load(compiled.mote).trainables] == ["dense0/weights", "dense0/bias"]


def test_scores_of_a_trained_network_have_the_scale_and_zero_point_that_it_has_now() -> None:
    scores = activation((1, 2), Quantisation((0.25,), (9,)))
    asked = network(
        [X, constant([[4, 3, 2, 1], [-1, 0, 0, 1]]), scores], operation("FULLY_CONNECTED", (0, 1), (2,))
    )
    model = Model(bytearray(compile_network(asked, "plain", trainable=1).mote), "plain")
    learner = Learner(model)
    learner.values[:] = array("f", (0.5, 0.25, 0, 0, -0.5, 0, 0, 0.25, 1, -1))
    learner.ranges[0] = 20.0
    learner.quantise()
    model.set_input([10.0, 20.0, 0.0, 8.0])
    model.invoke()
    assert model.probabilities() == pytest.approx([11.0, -4.0], abs=0.2)


# --- views and moves ---------------------------------------------------------------------------------------


def test_reshapes_and_parts_that_lie_side_by_side_are_not_copied() -> None:
    tensors = [
        activation((1, 2, 8)), constant([16], "int32"), activation((16,)), constant([0], "int32"),
        activation((8,)), activation((8,)), constant([0], "int32"), activation((1, 8)), activation((8,)),
    ]  # fmt: skip
    compiled = compile_network(
        network(
            [*tensors, activation((8,))],
            operation("RESHAPE", (0, 1), (2,)),
            operation("SPLIT", (3, 2), (4, 5), {"num_splits": 2}),
            operation("EXPAND_DIMS", (5, 3), (7,)),
            operation("SQUEEZE", (7,), (8,)),
            operation("ADD", (4, 8), (9,)),
        ),
        "plain",
    )
    assert codes(compiled) == ["ADD"]
    assert run(compiled, range(16)) == [i + i + 8 for i in range(8)]


def test_outputs_that_nobody_reads_cost_nothing() -> None:
    tensors = [activation((1, 6)), constant([1], "int32"), *[activation((1, 2))] * 3, activation((1, 2))]
    compiled = compile_network(
        network(
            tensors,
            operation("SPLIT", (1, 0), (2, 3, 4), {"num_splits": 3}),
            operation("RELU", (3,), (5,)),
        ),
        "plain",
    )
    assert codes(compiled) == ["MOVE", "LOOKUP"]
    assert run(compiled, [1, 2, 3, -4, 5, 6]) == [3, 0]


@pytest.mark.parametrize("axes", [(0, 3, 1, 2), (0, 2, 1, 3), (3, 2, 1, 0), (0, 1, 2, 3), (1, 0, 2, 3)])
def test_transpose_is_one_move_or_none(axes: tuple[int, ...]) -> None:
    shape = (1, 3, 4, 5)
    y = activation([shape[axis] for axis in axes])
    compiled = compile_network(
        network([activation(shape), constant(axes, "int32"), y], operation("TRANSPOSE", (0, 1), (2,))),
        "plain",
    )
    values = np.arange(60, dtype=np.int8).reshape(shape)
    assert len(compiled.ops) == 1
    assert run(compiled, values.reshape(-1)) == values.transpose(axes).reshape(-1).tolist()


def test_slices_may_go_backwards() -> None:
    begin, end, steps = ([0, 3, -1], [1, 0, -6], [1, -2, -1])
    tensors = [
        activation((1, 4, 5)),
        *(constant(one, "int32") for one in (begin, end, steps)),
        activation((2, 5)),
    ]
    compiled = compile_network(
        network(tensors, operation("STRIDED_SLICE", (0, 1, 2, 3), (4,), {"shrink_axis_mask": 1})), "plain"
    )
    values = np.arange(20, dtype=np.int8).reshape(1, 4, 5)
    assert run(compiled, values.reshape(-1)) == values[0, 3:0:-2, ::-1].reshape(-1).tolist()


def test_only_the_shape_operators_that_matter_are_compiled() -> None:
    """Keras computes shapes at run time; boards know them."""
    tensors = [activation((1, 4)), activation((2,), None, "INT32"), activation((4,)), activation((4,))]
    compiled = compile_network(
        network(
            tensors,
            Operator("SHAPE", 1, (0,), (1,), {}),
            operation("RESHAPE", (0, 1), (2,)),
            operation("RELU", (2,), (3,)),
        ),
        "plain",
    )
    assert codes(compiled) == ["LOOKUP"]


def test_every_tensor_of_the_table_has_its_value_once_its_op_has_run() -> None:
    tensors = [
        activation((1, 2, 2, 1)),
        constant([[0, 0], [1, 1], [1, 0], [0, 0]], "int32"),
        activation((1, 4, 3, 1)),
    ]
    compiled = compile_network(network(tensors, operation("PAD", (0, 1), (2,))), "plain")
    assert [(row.op, row.operator, row.tensor) for row in compiled.ops] == [("FILL", 0, None), ("MOVE", 0, 2)]
    assert set(compiled.tensors) == {0, 2}
    shape = load(compiled.mote).tensor(compiled.tensors[2]).shape
    assert (compiled.input, compiled.output, shape) == (0, 2, (1, 4, 3, 1))


# --- state, types ------------------------------------------------------------------------------------------


def test_state_lasts_from_call_to_call_and_starts_anew_after_reset() -> None:
    compiled = compile_network(accumulator(), "plain")
    assert compiled.setup == 1
    model = Model(bytearray(compiled.mote), reference)
    for _ in range(2):
        for total in (8, 18):
            model.input[:] = memoryview(np.full(4, 10, np.int8))
            model.invoke()
            assert list(model.output) == [total] * 4
        model.reset()


def test_float_input_and_output_of_an_int8_network_become_int8_and_floats() -> None:
    given = Quantisation((0.5,), (-8,))
    tensors = [
        activation((1, 4), None, "FLOAT32"),
        activation((1, 4), given),
        activation((1, 4), None, "FLOAT32"),
    ]
    compiled = compile_network(
        network(tensors, operation("QUANTIZE", (0,), (1,)), operation("DEQUANTIZE", (1,), (2,))), "plain"
    )
    assert codes(compiled) == ["DEQUANTIZE"]
    assert (compiled.input, compiled.output) == (1, 2)
    assert "the float input is left to the caller" in compiled.notes[0]
    floats = np.array(run(compiled, [-8, 0, 1, 2]), np.int8).view("<f4")
    assert floats.tolist() == [0, 4, 4.5, 5]


def test_labels_and_features_reach_the_board() -> None:
    asked = network([activation((1, 2)), activation((1, 2))], operation("RELU", (0,), (1,)))
    info = load(compile_network(asked, "plain", "name", ["a", "ü"], {"kind": "raw"}).mote).info
    assert info == {"name": "name", "labels": ["a", "ü"], "features": {"kind": "raw"}}


# --- refusals ----------------------------------------------------------------------------------------------

X = activation((1, 4))
FLOAT = activation((1, 4), None, "FLOAT32")
WEIGHTS = constant([[1, 2, 3, 4]])
DENSE = operation("FULLY_CONNECTED", (0, 1), (2,))
IMAGE = activation((2, 3, 3, 1))
REFUSED = {
    "float": (
        network([FLOAT, WEIGHTS, activation((1, 1), None, "FLOAT32")], DENSE),
        r"operator 0 \(FULLY_CONNECTED\), tensor 0 \('activation'\): is float.*TFLITE_BUILTINS_INT8",
    ),
    "int16": (network([activation((1, 4), UNIT, "INT16"), WEIGHTS, activation((1, 1))], DENSE), "is int16"),
    "uint8": (
        network([activation((1, 4), UNIT, "UINT8"), WEIGHTS, activation((1, 1))], DENSE),
        "TensorFlow 1",
    ),
    "dynamic": (
        network([activation((0, 4)), WEIGHTS, activation((0, 1))], DENSE),
        "every dimension must be 1 to",
    ),
    "weights with a zero point": (
        network([X, constant([[1, 2, 3, 4]], "int8", Quantisation((1.0,), (3,))), activation((1, 1))], DENSE),
        "symmetrically",
    ),
    "computed weights": (network([X, activation((1, 4)), activation((1, 1))], DENSE), "must be a constant"),
    "weights of another size": (
        network([X, constant([[1, 2, 3]]), activation((1, 1))], DENSE),
        r"weights \[1, 3\] do not fit the input \[1, 4\]",
    ),
    "an output of another shape": (network([X, WEIGHTS, activation((1, 2))], DENSE), "not 1 x 1"),
    "no scale": (network([activation((1, 4), None), WEIGHTS, activation((1, 1))], DENSE), "has no scale"),
    "batch": (
        network(
            [IMAGE, activation((2, 3, 3, 1))],
            operation(
                "MAX_POOL_2D",
                (0,),
                (1,),
                {"stride_h": 1, "stride_w": 1, "filter_height": 1, "filter_width": 1},
            ),
        ),
        "a batch of 2",
    ),
    "unknown": (
        network([X, X], Operator("CUSTOM:magic", 1, (0,), (1,), {})),
        r"operator 0 \(CUSTOM:magic\) is not supported; replace it",
    ),
    "fused activation": (
        network(
            [X, WEIGHTS, activation((1, 1))],
            operation("FULLY_CONNECTED", (0, 1), (2,), {"fused_activation_function": "TANH"}),
        ),
        "the fused activation TANH is not supported",
    ),
    "two outputs": (
        network([X, X, X], operation("RELU", (0,), (1,)), operation("RELU", (0,), (2,)), outputs=(1, 2)),
        "2 outputs, boards take one",
    ),
    "softmax of another scale": (
        network([X, X], operation("SOFTMAX", (0,), (1,), {"beta": 1.0})),
        "scale 1/256",
    ),
    "written twice": (
        network([X, X], operation("RELU", (0,), (1,)), operation("RELU", (0,), (1,))),
        "is written twice",
    ),
    "used before it is written": (network([X, X, X], operation("ADD", (0, 1), (2,))), "is used before"),
    "an output that is not computed": (network([X, X], operation("RELU", (0,), (1,)), outputs=(0,)), None),
    "sums that may exceed 32 bits": (
        network([activation((1, 40000)), constant([[1] * 40000]), activation((1, 1))], DENSE),
        "boards refuse",
    ),
    "a bias that exceeds 32 bits": (
        network(
            [
                activation((1, 4), Quantisation((1.0,), (127,))),
                constant([[-127] * 4]),
                activation((1, 1)),
                constant([0x7FFFFFFF], "int32"),
            ],
            operation("FULLY_CONNECTED", (0, 1, 3), (2,)),
        ),
        "exceeds 32 bits",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_board_can_run_is_refused_with_what_to_do_instead(name: str) -> None:
    asked, words = REFUSED[name]
    if words is None:
        compiled = compile_network(asked, "plain")
        assert codes(compiled) == ["MOVE"]
        return
    with pytest.raises(FedmoteError, match=words):
        compile_network(asked, "plain")


def test_only_layers_that_a_board_can_train_are_made_trainable() -> None:
    def asked(scales: Sequence[float], activation_function: str = "NONE") -> Network:
        weights = constant(
            [[1, 2, 3, 4], [5, 6, 7, 8]], "int8", Quantisation(tuple(scales), (0,) * len(scales))
        )
        options = {"fused_activation_function": activation_function}
        return network([X, weights, activation((1, 2))], operation("FULLY_CONNECTED", (0, 1), (2,), options))

    assert len(load(compile_network(asked([1.0]), trainable=1).mote).trainables) == 2
    for words, arguments, count in (
        ("a scale per output", ([1.0, 2.0],), 1),
        ("neither none nor a ReLU", ([1.0], "RELU6"), 1),
        ("no negative values", ([1.0], "RELU"), 1),
        ("2 layers cannot be trainable", ([1.0],), 2),
    ):
        with pytest.raises(FedmoteError, match=words):
            compile_network(asked(*arguments), trainable=count)  # type: ignore[arg-type]


def test_labels_must_be_as_many_as_outputs() -> None:
    asked = network([activation((1, 2)), activation((1, 2))], operation("RELU", (0,), (1,)))
    with pytest.raises(FedmoteError, match="3 labels for the 2 values"):
        compile_network(asked, "plain", labels=["a", "b", "c"])
    with pytest.raises(FedmoteError, match="'fast' is unknown"):
        compile_network(asked, "fast")


def test_table_of_operators_is_in_order_and_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "inference.md").read_text()
    assert all(a < b for a, b in pairwise(LOWERINGS))
    assert [name for name in LOWERINGS if f"`{name}`" not in text] == []
