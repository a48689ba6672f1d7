"""Operators on single values give TensorFlow Lite Micro's result for each value, whatever the scale."""

from dataclasses import dataclass

import numpy as np
import pytest
from tflite_networks import operation

from fedmote.models import tflite
from fedmote.models.compiler import compile_network
from fedmote.models.graph import Code
from fedmote.models.loading import load
from fedmote.models.tflite import Network, OptionValue, Quantisation, Subgraph, Tensor

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
from fedmote.models.oracle import Oracle

SCALES = (1e-6, 0.001, 0.0078125, 0.0235294122248888, 0.0625, 0.1, 0.3, 1.0, 7.99, 8.0, 17.0, 1000.0)
ZERO_POINTS = (-128, -17, 0, 127)


@dataclass(frozen=True)
class Case:
    """An operator of one input and one output."""

    code: str
    output: tuple[float, int]
    options: dict[str, OptionValue]
    input_type: str = "INT8"
    output_type: str = "INT8"
    constant: tuple[float, int, int] | None = None  # scale, zero point and value of a second input
    first: bool = True  # whether the constant is the second of both


CASES = {
    "LOGISTIC": Case("LOGISTIC", (1 / 256, -128), {}),
    "TANH": Case("TANH", (1 / 128, 0), {}),
    "RELU": Case("RELU", (0.05, -100), {}),
    "RELU to the largest": Case("RELU", (0.7, 127), {}),
    "RELU6": Case("RELU6", (0.0235294122248888, -128), {}),
    "LEAKY_RELU": Case("LEAKY_RELU", (0.11, 5), {"alpha": 0.30000001192092896}),
    "LEAKY_RELU of 0": Case("LEAKY_RELU", (0.11, 5), {"alpha": 0.0}),
    "LEAKY_RELU above 1": Case("LEAKY_RELU", (0.25, -3), {"alpha": 1.75}),
    "QUANTIZE": Case("QUANTIZE", (0.031, 12), {}),
    "QUANTIZE to uint8": Case("QUANTIZE", (0.05, 200), {}, output_type="UINT8"),
    "QUANTIZE from uint8": Case("QUANTIZE", (0.05, -20), {}, input_type="UINT8"),
    "ADD a constant": Case("ADD", (0.4, 3), {}, constant=(0.2, -7, 93)),
    "ADD to a constant": Case(
        "ADD", (0.4, 3), {"fused_activation_function": "RELU6"}, constant=(0.2, -7, 93), first=False
    ),
    "SUB a constant": Case("SUB", (0.4, 3), {}, constant=(0.2, -7, 93)),
    "SUB from a constant": Case("SUB", (0.4, 3), {}, constant=(0.2, -7, 93), first=False),
    "MUL by a constant": Case("MUL", (0.9, 3), {}, constant=(0.02, 7, -93)),
    "MUL a constant": Case(
        "MUL", (0.9, 3), {"fused_activation_function": "RELU"}, constant=(0.02, 7, -93), first=False
    ),
}


def network(case: Case, scale: float, zero_point: int) -> Network:
    """Return the operator as a network of 256 inputs."""
    tensors = [
        Tensor(
            "x", (1, 256), case.input_type, None, Quantisation((float(np.float32(scale)),), (zero_point,))
        ),
        Tensor(
            "y",
            (1, 256),
            case.output_type,
            None,
            Quantisation((float(np.float32(case.output[0])),), case.output[1:]),
        ),
    ]
    inputs = [0]
    if case.constant:
        by, at, value = case.constant
        quantisation = Quantisation((float(np.float32(by)),), (at,))
        tensors.append(Tensor("c", (1,), "INT8", np.int8(value).tobytes(), quantisation))
        inputs = [0, 2] if case.first else [2, 0]
    operator = operation(case.code, inputs, (1,), case.options)
    return Network(3, case.code, (Subgraph("main", tuple(tensors), (operator,), (0,), (1,)),))


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
@pytest.mark.parametrize("name", CASES)
def test_every_entry_of_the_table_is_that_of_tflm(name: str, zero_point: int) -> None:
    case = CASES[name]
    for scale in SCALES:
        if case.constant and not 1e-3 <= scale <= 10:
            continue  # TensorFlow Lite Micro refuses sums of scales so far apart
        asked = network(case, scale, zero_point + (128 if case.input_type == "UINT8" else 0))
        values = np.arange(256).astype(np.uint8).reshape(1, 256)
        expected = Oracle(tflite.write(asked), asked).run(
            [values.view(np.int8) if case.input_type == "INT8" else values]
        )
        model = load(compile_network(asked, "plain").mote)
        [op] = model.ops
        assert op.code == Code.LOOKUP
        assert bytes(op.tensors[1].data) == expected.outputs[0].tobytes(), scale


def test_limits_of_activations_are_computed_in_float32() -> None:
    """6 / scale is a tie in float32 only, for scales next to 6 / (k + 1/2)."""
    for k in range(3, 250, 13):
        tie = np.float32(6 / (k + 0.5))
        for scale in (tie, np.nextafter(tie, np.float32(9)), np.nextafter(tie, np.float32(0))):
            asked = network(CASES["RELU6"], float(scale), -128)
            values = np.arange(256).astype(np.uint8).reshape(1, 256).view(np.int8)
            expected = Oracle(tflite.write(asked), asked).run([values])
            [op] = load(compile_network(asked, "plain").mote).ops
            assert bytes(op.tensors[1].data) == expected.outputs[0].tobytes(), scale
