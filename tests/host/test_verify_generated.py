"""Networks drawn at random give TensorFlow Lite Micro's bytes at every op, on every kernel.

200 single operators here; 2,000 and 200 graphs where FEDMOTE_NIGHTLY is set (``make nightly``).
"""

import os
from collections import Counter
from collections.abc import Callable

import generated
import pytest

from fedmote.models import tflite, verify

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")

NIGHTLY = bool(os.environ.get("FEDMOTE_NIGHTLY"))
INPUTS = 8
#: those whose processor needs no process for every call
EMULATED = ("armv6m", "armv8m", "rv32")
#: kind -> (function that draws one, how many, how many every night, how many of them under MicroPython)
KINDS: dict[str, tuple[Callable[[int], bytes], int, int, int]] = {
    "single operators": (generated.single_operator, 200, 2000, 96),
    "graphs": (generated.graph, 40, 200, 20),
    "streams": (generated.stream, 20, 100, 10),
    "factors near ties": (generated.product_of_doubles, 45, 300, 15),
}


def assert_same_bytes(draw: Callable[[int], bytes], seeds: range, kernel: str) -> None:
    """Run networks of all seeds, eight inputs each, in one process. No op's output may differ anywhere."""
    cases = [verify.prepare(draw(seed), kernel, inputs=INPUTS) for seed in seeds]
    reports = [
        verify.compare(case, ran) for case, ran in zip(cases, verify.run(cases, timeout=1800), strict=True)
    ]
    differences = [
        f"{case.network.description}: {report.difference}"
        for case, report in zip(cases, reports, strict=True)
        if report.difference is not None
    ]
    assert differences == []
    assert all(report.elements for report in reports)


@pytest.mark.timeout(1800 if NIGHTLY else 120)
@pytest.mark.parametrize("kind", KINDS)
def test_reference_kernel(kind: str) -> None:
    draw, few, many, _ = KINDS[kind]
    assert_same_bytes(draw, range(many if NIGHTLY else few), "reference")


@pytest.mark.timeout(3600 if NIGHTLY else 120)
@pytest.mark.parametrize("kernel", ["plain", "viper"])
@pytest.mark.parametrize("kind", KINDS)
def test_micropython(kind: str, kernel: str) -> None:
    draw, _, many, few = KINDS[kind]
    assert_same_bytes(draw, range(many if NIGHTLY else few), kernel)


@pytest.mark.timeout(3600 if NIGHTLY else 120)
@pytest.mark.parametrize("kernel", EMULATED)
@pytest.mark.parametrize("kind", KINDS)
def test_machine_code(kind: str, kernel: str) -> None:
    pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")
    draw, _, many, few = KINDS[kind]
    assert_same_bytes(draw, range(many if NIGHTLY else few // 2), kernel)


@pytest.mark.parametrize("kernel", ["plain", "viper"])
def test_no_operator_takes_heap_after_the_first_time(kernel: str) -> None:
    drawn = [generated.single_operator(seed) for seed in range(2 * len(generated.SINGLE))]
    drawn += [generated.stream(seed) for seed in range(4)]
    cases = [verify.prepare(data, kernel, inputs=1, per_op=False, repeats=1) for data in drawn]
    taken = [
        (case.network.description, ran.allocated)
        for case, ran in zip(cases, verify.run(cases), strict=True)
        if ran.allocated
    ]
    assert taken == []


def test_every_operator_is_drawn_with_its_options() -> None:
    codes: Counter[str] = Counter()
    for seed in range(200):
        codes.update(
            operator.code for operator in tflite.read(generated.single_operator(seed)).subgraphs[0].operators
        )
    assert set(generated.OPERATORS) | {"DEQUANTIZE"} == set(codes)
    assert min(codes.values()) >= 4


def test_the_same_seed_gives_the_same_network() -> None:
    for draw, *_ in KINDS.values():
        assert draw(7) == draw(7) != draw(8)
