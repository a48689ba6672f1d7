"""A compiled model gives the bytes that TensorFlow Lite Micro gives, whatever the kernel."""

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from fedmote.models import reference
from fedmote.models.compiler import DenseLayer, Quantisation, compile_dense
from mote import kernels
from mote.model import Model

plain = kernels.choose("plain")

tflite_micro = pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
import tflite_mlp  # noqa: E402 - it needs the package above

#: name -> kernel, and the kernel whose weight form the file gets
KERNELS = {
    "plain, signed": (plain, "plain"),
    "plain, offset": (plain, "viper"),
    "numpy, signed": (reference, "plain"),
    "numpy, offset": (reference, "viper"),
}
INPUTS = 12


def random_layers(
    random: np.random.Generator, per_channel: bool, softmax: bool
) -> tuple[Quantisation, list[DenseLayer]]:
    """Return a network of random shape, weights, scales and zero points; its activations use their range."""
    given = Quantisation(float(2 ** random.uniform(-9, 1)), int(random.integers(-128, 128)))
    first, layers = given, []
    units = [int(n) for n in random.integers(1, 70, random.integers(2, 5))]
    for number, (columns, rows) in enumerate(pairwise(units)):
        last = number == len(units) - 2
        weights = random.integers(-127, 128, (rows, columns)).astype(np.int8)
        bias = random.integers(-20000, 20001, rows).astype(np.int32)
        scales = (2 ** random.uniform(-9, -3, rows if per_channel else 1)).astype(np.float32)
        typical = 127 * 73 * np.sqrt(columns) * given.scale * float(scales.mean())
        scale = typical / 2 ** random.uniform(4, 9)
        output = Quantisation(scale, int(random.integers(-128, 128)))
        relu = bool(random.integers(2)) and not (last and softmax)
        layers.append(DenseLayer(weights, bias, scales, output, relu))
        given = output
    return first, layers


def assert_same_bytes(
    given: Quantisation, layers: Sequence[DenseLayer], softmax: bool, inputs: NDArray[np.int8]
) -> None:
    """Run every input through TFLM and through every kernel, on files compiled from the same constants."""
    oracle = tflite_micro.runtime.Interpreter.from_bytes(
        tflite_mlp.write(given, layers, softmax), arena_size=100_000
    )
    expected = []
    for x in inputs:
        oracle.set_input(x[None], 0)
        oracle.invoke()
        expected.append(oracle.get_output(0)[0].tolist())
    labels = [str(n) for n in range(len(layers[-1].bias))]
    for name, (kernel, target) in KERNELS.items():
        outputs = run(
            kernel, compile_dense("test", labels, {}, given, layers, target, softmax, len(layers)), inputs
        )
        assert outputs == expected, name


def run(kernel: ModuleType, file: bytes, inputs: NDArray[np.int8]) -> list[list[int]]:
    """Return the outputs of a .mote file."""
    model = Model(bytearray(file), kernel)
    outputs = []
    for x in inputs:
        model.input[:] = memoryview(x)
        model.invoke()
        outputs.append(list(model.output))
    return outputs


def random_inputs(random: np.random.Generator, width: int) -> NDArray[np.int8]:
    """Return noise, then the extremes and a slope."""
    noise = random.integers(-128, 128, (INPUTS, width)).astype(np.int8)
    return np.concatenate(
        [noise, np.full((1, width), -128, np.int8), np.full((1, width), 127, np.int8),
         np.linspace(-128, 127, width).astype(np.int8)[None]]
    )  # fmt: skip


@pytest.mark.parametrize("softmax", [False, True], ids=["scores", "softmax"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["one scale", "scale per output"])
def test_random_networks(per_channel: bool, softmax: bool) -> None:
    for seed in range(25):
        random = np.random.default_rng(seed)
        given, layers = random_layers(random, per_channel, softmax)
        assert_same_bytes(given, layers, softmax, random_inputs(random, layers[0].weights.shape[1]))


@pytest.mark.parametrize("weight", [-128, -127, 127])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_extreme_weights_and_zero_points(weight: int, zero_point: int) -> None:
    width = 300
    random = np.random.default_rng(1)
    for multiplier in (2**-14, 2**-7, 0.999, 1.5, 40.0):
        given, scales = Quantisation(0.5, zero_point), np.array([0.25], np.float32)
        output = Quantisation(0.125 / multiplier, -zero_point if zero_point > -128 else 127)
        layer = DenseLayer(
            np.full((3, width), weight, np.int8),
            np.array([0, 99999, -99999], np.int32),
            scales,
            output,
            relu=True,
        )
        assert_same_bytes(given, [layer], False, random_inputs(random, width))


def test_ties_of_both_roundings() -> None:
    """Multipliers that are powers of two put sums exactly between two results."""
    given, scales = Quantisation(1.0, 0), np.array([1.0], np.float32)
    weights = np.array([[1], [-1], [3], [-3], [5], [-5], [7], [-7]], np.int8)
    inputs = np.arange(-128, 128).astype(np.int8)[:, None]
    for exponent in range(-1, 9):
        layer = DenseLayer(
            weights, np.arange(8).astype(np.int32), scales, Quantisation(2.0**exponent, 0), relu=False
        )
        assert_same_bytes(given, [layer], False, inputs)


@pytest.mark.parametrize("scale", [2.0**-20, 1e-3, 0.0173, 0.0625, 0.1, 0.31, 1.0, 17.0, 1000.0])
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_softmax_of_any_scale(scale: float, count: int) -> None:
    random = np.random.default_rng(count)
    identity = np.eye(count, dtype=np.int8)
    bias, scales = np.zeros(count, np.int32), np.array([1.0], np.float32)
    layer = DenseLayer(identity, bias, scales, Quantisation(scale, 0), relu=False)
    close = random.integers(-3, 4, (INPUTS, count)).astype(np.int8)
    assert_same_bytes(
        Quantisation(scale, 0), [layer], True, np.concatenate([random_inputs(random, count), close])
    )
