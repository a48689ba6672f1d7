"""What a board has learned goes back to .tflite, where TensorFlow Lite Micro gives what the board gives."""

import struct
import zlib
from array import array
from collections.abc import Sequence

import numpy as np
import pytest
from tflite_networks import operation

from fedmote.errors import FedmoteError
from fedmote.models import export, reference, tflite
from fedmote.models.compiler import Quantisation as Scale
from fedmote.models.compiler import (
    compile_dense,
    compile_mlp,
    compile_network,
    initial_values,
    quantise_dense,
)
from fedmote.models.tflite import Network, Quantisation, Subgraph, Tensor
from mote.model import Model
from mote.train import Learner

LAYERS = [12, 10, 8, 3]
FEATURES = {"kind": "raw", "channels": 12, "window": 1, "floor": 0.5}


def trained(kernel: str = "viper", frozen: int = 0) -> bytes:
    values = initial_values(LAYERS, 3)
    return compile_mlp(
        "test", LAYERS, ["a", "b", "c"], FEATURES, values, [3.0, 5.5, 9.25], 1 / 32, kernel, frozen
    )


def imported(pool: bool = True) -> Network:
    """Return a network of a frozen part and two dense layers, one without a bias, and a softmax."""
    random = np.random.default_rng(5)
    names = Quantisation((0.25,), (-3,))

    def weights(*shape: int) -> bytes:
        return random.integers(-127, 128, shape).astype(np.int8).tobytes()

    tensors = (
        Tensor("image", (1, 4, 4, 2), "INT8", None, Quantisation((0.5,), (7,))),
        Tensor("kernel", (3, 1, 1, 2), "INT8", weights(3, 1, 1, 2), Quantisation((0.1, 0.2, 0.3), (0, 0, 0))),
        Tensor("map", (1, 4, 4, 3), "INT8", None, names),
        Tensor("flat", (1, 48), "INT8", None, names),
        Tensor("w1", (6, 48), "INT8", weights(6, 48), Quantisation((0.01,), (0,))),
        Tensor("hidden", (1, 6), "INT8", None, Quantisation((0.5,), (-128,))),
        Tensor("w2", (4, 6), "INT8", weights(4, 6), Quantisation((0.02,), (0,))),
        Tensor("b2", (4,), "INT32", np.arange(4, dtype="<i4").tobytes(), Quantisation((0.01,), (0,))),
        Tensor("scores", (1, 4), "INT8", None, Quantisation((0.125,), (11,))),
        Tensor("classes", (1, 4), "INT8", None, Quantisation((1 / 256,), (-128,))),
    )
    operators = (
        operation("CONV_2D", (0, 1), (2,), {"stride_h": 1, "stride_w": 1}),
        operation("RESHAPE", (2,), (3,), {"new_shape": (1, 48)}),
        operation("FULLY_CONNECTED", (3, 4, -1), (5,), {"fused_activation_function": "RELU"}),
        operation("FULLY_CONNECTED", (5, 6, 7), (8,)),
        operation("SOFTMAX", (8,), (9,), {"beta": 1.0}),
    )
    return Network(3, "imported", (Subgraph("main", tensors, operators, (0,), (9,)),))


def learned(mote: bytes, seed: int = 1) -> bytes:
    """Return the file as a board leaves it that has learned something, with its checksum."""
    learner = Learner(Model(bytearray(mote), reference))
    random = np.random.default_rng(seed)
    learner.values[:] = array("f", random.normal(0, 0.2, len(learner.values)).astype(np.float32))
    learner.ranges[:] = array("f", [4.5, 7.0][-len(learner.ranges) :])
    learner.quantise()
    content = bytes(learner.model.buffer)
    return content[:12] + struct.pack("<I", zlib.crc32(content[16:])) + content[16:]


def assert_tflm_gives_the_same(network: Network, mote: bytes) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
    from fedmote.models.oracle import Oracle, inputs_for

    oracle = Oracle(tflite.write(network), network)
    board = Model(bytearray(mote), reference)
    for given in inputs_for(network, 20):
        board.input[:] = memoryview(given[0].reshape(-1))
        board.invoke()
        assert list(board.output) == oracle.run(given).outputs[0].reshape(-1).tolist()


@pytest.mark.parametrize("kernel", ["plain", "viper", "armv6m"])
def test_dense_networks_of_our_own(kernel: str) -> None:
    mote = trained(kernel)
    network = export.dense_network(mote)
    codes = [operator.code for operator in network.subgraphs[0].operators]
    assert codes == ["FULLY_CONNECTED"] * 3 + ["SOFTMAX"]
    assert tflite.read(tflite.write(network)) == network
    assert_tflm_gives_the_same(network, mote)


def test_a_scale_per_output_and_no_softmax() -> None:
    random = np.random.default_rng(2)
    given = Scale(0.1, -20)
    layer = quantise_dense(
        random.normal(size=(5, 7)).astype(np.float32),
        random.normal(size=5).astype(np.float32),
        4,
        given,
        False,
    )
    scales = np.linspace(0.01, 0.05, 5).astype(np.float32)
    layer = type(layer)(layer.weights, layer.bias, scales, layer.output, layer.relu)
    mote = compile_dense("test", list("abcde"), {}, given, [layer], "plain", softmax=False, frozen=1)
    network = export.dense_network(mote)
    assert network.subgraphs[0].tensors[1].quantisation == Quantisation(tuple(map(float, scales)), (0,) * 5)
    assert_tflm_gives_the_same(network, mote)


def test_an_imported_network_that_has_learned_nothing_is_the_original() -> None:
    original = imported()
    mote = compile_network(original, "viper", trainable=1).mote
    exported = export.into(mote, original)
    weights = [(one.name, one.data) for one in exported.subgraphs[0].tensors]
    assert weights == [(one.name, one.data) for one in original.subgraphs[0].tensors]


@pytest.mark.parametrize("trainable", [1, 2])
@pytest.mark.parametrize("kernel", ["plain", "viper", "armv6m"])
def test_trained_layers_go_back_into_the_original(kernel: str, trainable: int) -> None:
    original = imported()
    mote = learned(compile_network(original, kernel, trainable=trainable).mote)
    exported = export.into(mote, original)
    before, after = (network.subgraphs[0].tensors for network in (original, exported))
    changed = [b.name for b, a in zip(before, after, strict=False) if a != b]
    assert changed == ["w1", "hidden", "w2", "b2", "scores"][-1 - 2 * trainable if trainable == 2 else -3 :]
    assert_tflm_gives_the_same(exported, mote)


def refused(words: str, *arguments: bytes | Network) -> None:
    function = export.into if len(arguments) == 2 else export.dense_network
    with pytest.raises(FedmoteError, match=words):
        function(*arguments)  # type: ignore[operator]


def patched(mote: bytes, changes: Sequence[tuple[int, bytes]]) -> bytes:
    content = bytearray(mote)
    for offset, value in changes:
        content[offset : offset + len(value)] = value
    content[12:16] = struct.pack("<I", zlib.crc32(content[16:]))
    return bytes(content)


def test_what_cannot_be_exported_is_refused_with_the_reason() -> None:
    original = imported()
    mote = compile_network(original, "viper", trainable=1).mote
    refused("came from a .tflite file, name it with --like", mote)
    refused("was not compiled from this .tflite", trained(frozen=2), original)
    refused("CRC-32 does not match", mote[:-1] + bytes([mote[-1] ^ 1]), original)
    own = trained()
    op = Model(bytearray(own), reference).ops[0]
    other = own[op.tensors[3].offset] ^ 1
    refused(r"op 0 \(dense\) has factors", patched(own, [(op.tensors[3].offset, bytes([other]))]))
    refused(
        "no activation clamps to -128 to 100", patched(own, [(op.parameters_at + 8, struct.pack("<i", 100))])
    )
