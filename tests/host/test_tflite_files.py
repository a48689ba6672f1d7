"""What is read from a .tflite file is what TensorFlow Lite Micro reads, and what is written it runs alike."""

import os
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tflite_networks import accumulator, every_operator, operation

from fedmote.errors import FedmoteError
from fedmote.models.tflite import Network, Operator, Quantisation, Subgraph, Tensor, read, schema, write

runtime = pytest.importorskip("tflite_micro", reason="tflite-micro is for Linux x86-64 only").runtime
generated = pytest.importorskip("tflite_micro.tensorflow.lite.micro.python.schema_py_generated")

FOLDER = Path(os.environ.get("FEDMOTE_MODELS_DIR") or Path(__file__).parents[3] / "shared" / "models")
MODELS = sorted(FOLDER.glob("*.tflite"))

real_models = pytest.mark.parametrize(
    "path",
    MODELS
    or [pytest.param(None, marks=pytest.mark.skip(f"no .tflite files in {FOLDER}: set FEDMOTE_MODELS_DIR"))],
    ids=lambda path: path.stem if path else "none",
)


def same(ours: object, theirs: Any) -> None:
    """Compare a value of ours with that of the Object API, where absent, empty and numpy values abound."""
    if isinstance(theirs, bytes):
        theirs = theirs.decode()
    if theirs is None:
        assert not ours
    elif isinstance(ours, tuple):
        assert list(ours) == list(theirs)
    else:
        assert ours == theirs


def camel(name: str) -> str:
    """Return the Object API's name of a field."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def compare(network: Network, data: bytes) -> None:
    """Assert that a network is what the Object API of tflite-micro finds in the file."""
    model = generated.ModelT.InitFromPackedBuf(data, 0)
    assert network.version == model.version
    same(network.description, model.description)
    assert len(network.subgraphs) == len(model.subgraphs)
    for ours, theirs in zip(network.subgraphs, model.subgraphs, strict=True):
        same(ours.name, theirs.name)
        same(ours.inputs, theirs.inputs)
        same(ours.outputs, theirs.outputs)
        for tensor, other in zip(ours.tensors, theirs.tensors or [], strict=True):
            compare_tensor(tensor, other, model.buffers[other.buffer].data)
        for operator, other in zip(ours.operators, theirs.operators or [], strict=True):
            compare_operator(operator, other, model.operatorCodes[other.opcodeIndex])


def compare_tensor(tensor: Tensor, other: Any, data: Any) -> None:
    same(tensor.name, other.name)
    same(tensor.shape, other.shape)
    same(tensor.signature, other.shapeSignature)
    assert tensor.type == schema.TENSOR_TYPES[other.type]
    assert tensor.variable == other.isVariable
    assert tensor.data == (None if data is None or not len(data) else bytes(data))
    quantisation = other.quantization
    if tensor.quantisation is None:
        assert quantisation is None or quantisation.scale is None
    else:
        same(tensor.quantisation.scales, quantisation.scale)
        same(tensor.quantisation.zero_points, quantisation.zeroPoint)
        same(tensor.quantisation.axis, quantisation.quantizedDimension)


def compare_operator(operator: Operator, other: Any, code: Any) -> None:
    assert operator.code == schema.OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    assert operator.version == code.version
    same(operator.inputs, other.inputs)
    same(operator.outputs, other.outputs)
    same(operator.intermediates, other.intermediates)
    known = schema.OPERATORS[operator.code]
    assert list(operator.options) == [option.name for option in known.options]
    if not other.builtinOptionsType:  # as RESHAPE often is
        assert operator.options == {option.name: option.default for option in known.options}
        return
    assert known.options_type == other.builtinOptionsType
    for option in known.options:
        value = operator.options[option.name]
        number = option.names.index(str(value)) if option.kind == schema.ENUM else value
        same(number, getattr(other.builtinOptions, camel(option.name)))


def inputs(tensor: Tensor, count: int) -> list[NDArray[np.int8]]:
    """Return the extremes, a ramp, and noise."""
    size = int(np.prod(tensor.shape))
    ramp = (np.arange(size) * 256 // size - 128).astype(np.int8)
    random = np.random.default_rng(4)
    noise = [random.integers(-128, 128, size, np.int8) for _ in range(count - 3)]
    fixed = [np.full(size, -128, np.int8), np.full(size, 127, np.int8), ramp]
    return [values.reshape(tensor.shape) for values in fixed + noise]


def outputs(data: bytes, given: list[NDArray[np.int8]]) -> list[bytes]:
    """Return what TensorFlow Lite Micro computes."""
    interpreter = runtime.Interpreter.from_bytes(data)
    results = []
    for values in given:
        interpreter.set_input(values, 0)
        interpreter.invoke()
        results.append(interpreter.get_output(0).tobytes())
    return results


@real_models
def test_reader_finds_what_the_schema_of_tflite_micro_finds(path: Path) -> None:
    data = path.read_bytes()
    compare(read(data), data)


@real_models
def test_real_model_that_is_read_and_written_computes_the_same(path: Path) -> None:
    data = path.read_bytes()
    network = read(data)
    written = write(network)
    assert read(written) == network
    compare(network, written)
    graph = network.subgraphs[0]
    given = inputs(graph.tensors[graph.inputs[0]], 6)
    assert outputs(written, given) == outputs(data, given)


def test_every_operator_option_and_type_survives() -> None:
    network = every_operator()
    data = write(network)
    assert read(data) == network
    compare(network, data)


def test_tables_name_all_numbers_of_the_schema() -> None:
    for names, numbers in (
        (schema.OPERATOR_NAMES, generated.BuiltinOperator),
        (schema.TENSOR_TYPES, generated.TensorType),
    ):
        assert {name: number for number, name in enumerate(names)} == {
            name: number for name, number in vars(numbers).items() if not name.startswith("_")
        }


def test_options_that_a_file_leaves_out_have_the_defaults_of_the_schema() -> None:
    classes = {number: name for name, number in vars(generated.BuiltinOptions).items() if name[0] != "_"}
    for known in schema.OPERATORS.values():
        table = getattr(generated, classes[known.options_type] + "T", SimpleNamespace)()
        for option in known.options:
            default = option.default
            number = option.names.index(str(default)) if option.kind == schema.ENUM else default
            same(number, getattr(table, camel(option.name)))
        assert len(vars(table)) - len(known.options) == ("quantSpec" in vars(table))


def test_old_file_without_the_wide_operator_code_is_read() -> None:
    data = bytearray(write(network_of(operation("SOFTMAX", (0,), (1,), {"beta": 1.0}))))
    model = generated.ModelT.InitFromPackedBuf(bytes(data), 0)
    assert model.operatorCodes[0].deprecatedBuiltinCode == model.operatorCodes[0].builtinCode == 25
    model.operatorCodes[0].builtinCode = 0
    assert read(packed(model)).subgraphs[0].operators[0].code == "SOFTMAX"


def test_operators_that_are_not_known_are_read_by_name() -> None:
    model = model_of(network_of(operation("ADD", (0, 0), (1,))))
    code = model.operatorCodes[0]
    for number, name in ((16, "LSTM"), (150, "GELU"), (209, "STABLEHLO_CASE"), (4000, "BUILTIN_4000")):
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        operator = read(packed(model)).subgraphs[0].operators[0]
        assert (operator.code, operator.options) == (name, {})
    code.builtinCode = code.deprecatedBuiltinCode = schema.CUSTOM
    code.customCode = "TFLite_Detection"
    assert read(packed(model)).subgraphs[0].operators[0].code == "CUSTOM:TFLite_Detection"


def test_one_zero_point_stands_for_all_channels() -> None:
    model = model_of(network_of())
    quantisation = model.subgraphs[0].tensors[0].quantization
    quantisation.scale, quantisation.zeroPoint = [0.5, 0.25], [7]
    assert read(packed(model)).subgraphs[0].tensors[0].quantisation == Quantisation((0.5, 0.25), (7, 7))
    quantisation.scale, quantisation.zeroPoint, quantisation.min = None, None, [1.0]
    assert read(packed(model)).subgraphs[0].tensors[0].quantisation is None


def test_constants_are_aligned_for_use_in_place_and_equal_ones_stored_once() -> None:
    content = bytes(range(1, 33))
    constants = [Tensor(f"c{number}", (32,), "INT8", content) for number in range(3)]
    data = write(Network(3, "", (Subgraph("", tuple(constants), (), (), ()),)))
    assert data.count(content) == 1
    assert data.index(content) % schema.CONTENT_ALIGNMENT == 0


def test_state_and_set_up_subgraph_run_under_tflm() -> None:
    given = [np.array([[1, 2, 3, 4]], np.int8)] * 3
    results = [np.frombuffer(result, np.int8) for result in outputs(write(accumulator()), given)]
    assert [list(result) for result in results] == [[-1, 0, 1, 2], [0, 2, 4, 6], [1, 4, 7, 10]]


def network_of(*operators: Operator) -> Network:
    """Return a network of two int8 tensors."""
    tensors = [Tensor(name, (1, 4), "INT8", None, Quantisation((0.5,), (0,))) for name in ("x", "y")]
    return Network(3, "", (Subgraph("main", tuple(tensors), operators, (0,), (1,)),))


def model_of(network: Network) -> Any:
    """Return a network as the Object API has it."""
    return generated.ModelT.InitFromPackedBuf(write(network), 0)


def packed(model: Any) -> bytes:
    """Return the file of a model of the Object API."""
    flatbuffers = pytest.importorskip("flatbuffers")
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=schema.IDENTIFIER)
    return bytes(builder.Output())


def blocks(tensor: Any) -> None:
    tensor.quantization.detailsType = generated.QuantizationDetails.BlockwiseQuantization
    tensor.quantization.details = generated.BlockwiseQuantizationT()


def sparse(tensor: Any) -> None:
    tensor.sparsity = generated.SparsityParametersT()


def infinite(tensor: Any) -> None:
    tensor.quantization.scale = [float("inf")]


def uneven(tensor: Any) -> None:
    tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0] * 3, [0] * 2


def dynamic(tensor: Any) -> None:
    tensor.shape = [1, -1]


def deep(tensor: Any) -> None:
    tensor.shape = [1] * 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (blocks, "tensor 0 .'x'. is quantised in blocks"),
        (sparse, "is sparse; convert the model without"),
        (infinite, "a scale that is not finite"),
        (uneven, "3 scales, but 2 zero points"),
        (dynamic, r"shape \(1, -1\); convert the model with fixed shapes"),
        (deep, "9 dimensions, at most 8"),
        (lambda tensor: setattr(tensor, "buffer", 9), "in buffer 9, there are 1"),
        (lambda tensor: setattr(tensor, "type", 99), "type 99 is unknown"),
        (lambda tensor: setattr(tensor, "externalBuffer", 2), "kept in another file"),
    ],
)
def test_tensor_that_cannot_be_used_is_named(change: Any, words: str) -> None:
    model = model_of(network_of())
    change(model.subgraphs[0].tensors[0])
    with pytest.raises(FedmoteError, match=words):
        read(packed(model))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: setattr(model, "version", 2), "format version 2, only 3"),
        (lambda model: setattr(model, "subgraphs", []), "holds no network"),
        (lambda model: setattr(model.buffers[0], "offset", 5), "buffer 0 .* lies behind its tables"),
        (
            lambda model: setattr(model.subgraphs[0], "inputs", [7]),
            "input of the subgraph is tensor 7, there are 2",
        ),
        (
            lambda model: setattr(operator_of(model), "outputs", [-1]),
            r"output of operator 0 \(ADD\) is tensor -1",
        ),
        (lambda model: setattr(operator_of(model), "opcodeIndex", 3), "has code 3, there are 1"),
        (
            lambda model: setattr(operator_of(model), "builtinOptionsType", 1),
            "options of another operator .type 1",
        ),
        (
            lambda model: setattr(operator_of(model).builtinOptions, "fusedActivationFunction", 9),
            "function 9 is unk",
        ),
    ],
)
def test_file_that_cannot_be_used_says_why(change: Any, words: str) -> None:
    model = model_of(network_of(operation("ADD", (0, 0), (1,))))
    change(model)
    with pytest.raises(FedmoteError, match=words):
        read(packed(model))


def operator_of(model: Any) -> Any:
    return model.subgraphs[0].operators[0]


def test_options_that_are_too_new_are_not_ignored() -> None:
    model = model_of(network_of(operation("FULLY_CONNECTED", (0, 1), (1,))))
    operator_of(model).builtinOptions.quantSpec = [1]
    with pytest.raises(
        FedmoteError, match=r"operator 0 \(FULLY_CONNECTED\) has options that are too new: field 5"
    ):
        read(packed(model))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "bytes 4 to 7 are b''"),
        (b"\x89HDF\r\n\x1a\n", "a Keras file"),
        (b"PK\x03\x04.....", "a zip archive"),
        (b"MOTE" + bytes(60), "a .mote file, which is compiled already"),
        (bytes(4) + b"TFL3", "cut or damaged"),
        (struct.pack("<I", 0xFFFFFFFF) + b"TFL3", "byte 4294967295 should hold is not in its 8 bytes"),
    ],
)
def test_other_files_are_recognised(data: bytes, words: str) -> None:
    with pytest.raises(FedmoteError, match=words):
        read(data)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (
            network_of(Operator("LSTM", 1, (0,), (1,), {})),
            "operator LSTM cannot be written, its options are unkn",
        ),
        (network_of(operation("ADD", (0, 0), (1,), {"stride_w": 1})), "ADD has no option stride_w"),
        (
            network_of(operation("MEAN", (0, 0), (1,), {"keep_dims": 1})),
            "option keep_dims, which cannot be 1",
        ),
        (
            network_of(operation("CONV_2D", (0,), (1,), {"padding": "FULL"})),
            "padding, which cannot be 'FULL'",
        ),
        (network_of(operation("SPLIT", (0,), (1,), {"num_splits": 2**31})), "cannot be a .tflite file"),
        (network_of(operation("SOFTMAX", (0,), (1,), {"beta": 1e300})), "cannot be a .tflite file"),
        (network_of(operation("ADD", (0, 5), (1,))), r"input of operator 0 \(ADD\) is tensor 5, there are 2"),
        (replace(network_of(), version=4), "format version 4"),
        (
            Network(3, "", (Subgraph("", (Tensor("t", (3,), "INT32", b"abc"),), (), (), ()),)),
            r"tensor 0 \('t'\) has 3 bytes, INT32 of shape \(3,\) takes 12",
        ),
        (
            Network(3, "", (Subgraph("", (Tensor("t", (3,), "INT9"),), (), (), ()),)),
            "'t' has the unknown type 'INT9'",
        ),
    ],
)
def test_network_that_is_no_file_is_refused(network: Network, words: str) -> None:
    with pytest.raises(FedmoteError, match=words):
        write(network)
