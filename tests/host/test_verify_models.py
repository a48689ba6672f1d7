"""Seven models that others trained give TensorFlow Lite Micro's bytes at every op, on every kernel.

They lie in FEDMOTE_MODELS_DIR, else in ../shared/models beside the checkout.
"""

import os
from pathlib import Path

import pytest

from fedmote.models import tflite, verify
from fedmote.models.compiler import compile_network
from fedmote.models.oracle import Oracle, inputs_for

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")

NIGHTLY = bool(os.environ.get("FEDMOTE_NIGHTLY"))
FOLDER = Path(os.environ.get("FEDMOTE_MODELS_DIR") or Path(__file__).parents[3] / "shared" / "models")
MODELS = (
    "tflm_hello_world_int8", "tflm_micro_speech_quantized", "tflm_person_detect", "mlperf_kws_ref_model",
    "mlperf_vww_96_int8", "mlperf_pretrainedResnet_quant", "mlperf_ad01_int8",
)  # fmt: skip
INPUTS = 20
#: kernel -> inputs under MicroPython in CI; the reference kernel, and all every night, get INPUTS
FEWER = {"reference": INPUTS, "viper": INPUTS, "plain": 3, "armv6m": 2}


def model(name: str) -> bytes:
    """Return the .tflite file, or skip the test."""
    path = FOLDER / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path} is missing: FEDMOTE_MODELS_DIR names the folder that has it")
    return path.read_bytes()


@pytest.mark.timeout(1800 if NIGHTLY else 120)
@pytest.mark.parametrize("kernel", FEWER)
@pytest.mark.parametrize("name", MODELS)
def test_every_op_gives_the_bytes_of_tflm(name: str, kernel: str) -> None:
    report = verify.verify(model(name), kernel, inputs=INPUTS if NIGHTLY else FEWER[kernel], per_op=True)
    assert report.difference is None
    assert report.absent == ()


@pytest.mark.parametrize("kernel", ["viper", "plain", "armv6m"])
@pytest.mark.parametrize("name", ["tflm_person_detect", "mlperf_vww_96_int8"])
def test_300_kb_run_within_the_heap_of_a_pico(name: str, kernel: str) -> None:
    data = model(name)
    assert len(data) > verify.PICO_HEAP_BYTES
    report = verify.verify(data, kernel, inputs=INPUTS if NIGHTLY else 2, per_op=True, streamed=True)
    assert report.difference is None


@pytest.mark.parametrize("name", MODELS)
def test_arena_is_never_larger_than_that_of_tflm(name: str) -> None:
    data = model(name)
    network = tflite.read(data)
    oracle = Oracle(data, network)
    oracle.run(inputs_for(network, 1)[0])
    assert compile_network(network).arena_bytes <= oracle.arena_bytes()["head"]


@pytest.mark.parametrize("kernel", ["viper", "plain"])
@pytest.mark.parametrize("name", ["tflm_micro_speech_quantized", "mlperf_kws_ref_model"])
def test_invoke_takes_no_heap_after_the_first_time(name: str, kernel: str) -> None:
    [ran] = verify.run([verify.prepare(model(name), kernel, inputs=1, per_op=False, repeats=1)])
    assert ran.allocated == 0
