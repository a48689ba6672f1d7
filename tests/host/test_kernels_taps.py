"""Depthwise convolutions in machine code give the plain kernel's bytes for any shape."""

import random
from array import array
from typing import NamedTuple

import numpy as np
import pytest
from native_kernels import KERNELS, cases, native

from mote.kernels.plain.taps import taps as plain_taps

_EDGE = 16
_SCRATCH = 24576


class Case(NamedTuple):
    """A TAPS op. shape: of x. multiplier: outputs of each channel. padding: top, left, bottom, right."""

    shape: tuple[int, int, int]
    kernel: tuple[int, int] = (3, 3)
    multiplier: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (1, 1, 1, 1)
    zero_points: tuple[int, int] = (-128, -128)
    shifts: tuple[int, int] = (-8, -5)
    extreme: bool = False
    bounds: tuple[int, int] = (-128, 127)

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of y."""
        top, left, bottom, right = self.padding
        height, width = (
            (size + around - (taps - 1) * apart - 1) // step + 1
            for size, around, taps, apart, step in zip(
                self.shape,
                (top + bottom, left + right),
                self.kernel,
                self.dilation,
                self.stride,
                strict=False,
            )
        )
        return height, width


def arguments(case: Case, seed: int) -> tuple:
    """Return what a kernel's taps takes; y is its sixth."""
    rng = np.random.default_rng(seed)
    outputs, taps = case.shape[2] * case.multiplier, case.kernel[0] * case.kernel[1]
    x = rng.choice([-128, 127], case.shape) if case.extreme else rng.integers(-128, 128, case.shape)
    weights = rng.normal(size=(outputs, taps))
    weights = np.rint(weights / np.abs(weights).max(1, keepdims=True) * 127)
    if case.extreme:
        weights = np.where(weights < 0, -127, 127)
    constants = [
        rng.integers(-3000, 3000, outputs) - case.zero_points[0] * weights.sum(1).astype(np.int64),
        rng.integers(1 << 30, 1 << 31, outputs),
        rng.integers(case.shifts[0], case.shifts[1] + 1, outputs),
    ]
    y = memoryview(array("b", bytes([85]) * (case.out[0] * case.out[1] * outputs + 2 * _EDGE)))
    return (
        memoryview(array("b", x.astype(np.int8).tobytes())),
        memoryview(bytearray(weights.astype(np.int8).tobytes())),
        *(memoryview(bytearray(values.astype("<i4").tobytes())) for values in constants),
        y[_EDGE:-_EDGE], *case.zero_points, *case.bounds, *case.stride, *case.dilation, *case.padding[:2],
        *case.kernel, 0, (1, *case.shape), (1, *case.out, outputs), array("H", [0]),
    )  # fmt: skip


def results(taps, given: tuple) -> bytes:
    """Return y and its surroundings after one run."""
    whole = memoryview(given[5].obj)
    whole[:] = memoryview(array("b", bytes([85]) * len(whole)))
    taps(*given)()
    return whole.tobytes()


def check(name: str, case: Case, seed: int = 0) -> None:
    given = arguments(case, seed)
    kernel = native(name)
    found = results(kernel.taps, given)
    assert kernel.memory.cycles > 0, "the machine code was not called"
    assert found == results(plain_taps, given), case


@pytest.mark.parametrize(("kernel", "seed"), cases(60))
def test_any_depthwise_convolution_is_exact(kernel: str, seed: int) -> None:
    choose = random.Random(seed)
    window = choose.choice([(3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (3, 1), (1, 11), (2, 2), (4, 3), (1, 1)])
    dilation = choose.choice([(1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (1, 3)])
    reach = [(taps - 1) * apart for taps, apart in zip(window, dilation, strict=True)]
    case = Case(
        (choose.randint(reach[0] + 1, 9), choose.randint(reach[1] + 1, reach[1] + 9), choose.randint(1, 5)),
        window,
        choose.choice([1, 1, 2, 3]),
        choose.choice([(1, 1), (2, 2), (1, 2), (3, 1)]),
        dilation,
        tuple(choose.randint(0, reach[n % 2]) for n in range(4)),
        (choose.randint(-128, 127), choose.choice([-128, -128, 5, 127])),
        choose.choice([(-8, -5), (-11, -1), (-31, 3), (-4, 0)]),
        choose.random() < 0.2,
    )
    check(kernel, case, seed)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("height", [1, 2, 3])
@pytest.mark.parametrize("padding", [(2, 2, 2, 2), (0, 2, 2, 0), (2, 0, 0, 2)])
def test_small_maps_that_are_nearly_all_border_are_exact(
    kernel: str, height: int, padding: tuple[int, int, int, int]
) -> None:
    check(kernel, Case((height, 3, 4), padding=padding, zero_points=(7, -128)), height)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("stride", [1, 2])
def test_map_larger_than_the_scratch_is_made_in_bands_of_rows(kernel: str, stride: int) -> None:
    check(kernel, Case((66, 200, 1), stride=(stride, stride), zero_points=(-100, -128)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_window_wider_than_the_scratch_is_left_to_the_plain_kernel(kernel: str) -> None:
    given = arguments(Case((1, 6300, 1), (1, 3)), 0)
    assert results(native(kernel).taps, given) == results(plain_taps, given)


@pytest.mark.parametrize("rows", [1, 4, 5, 41])
def test_two_cores_make_the_same_bytes(rows: int) -> None:
    case = Case((rows, 70, 2), padding=(1, 1, 1, 1))
    given = arguments(case, rows)
    kernel = native("armv6m", cores=2)
    both = kernel.taps.__globals__["cores"]
    shared, begun = both.shared, []

    def watched(function, parts):
        begun.extend(words[1] for words in parts[1:])  # from the scratch memory's begin to the other's part
        return shared(function, parts)

    both.shared = watched
    assert results(kernel.taps, given) == results(plain_taps, given)
    assert all(0 < apart < _SCRATCH for apart in begun)
    assert rows == 1 or begun


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_keep_to_narrower_bounds(kernel: str) -> None:
    for shape, bounds in (((6, 5, 3), (-100, 60)), ((4, 4, 2), (-128, 0))):
        check(kernel, Case(shape, bounds=bounds))


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_beyond_every_estimate_are_exact(kernel: str) -> None:
    given = list(arguments(Case((5, 5, 4)), 3))
    given[2] = memoryview(np.array([-1 << 30, 0, (1 << 31) - 200_000, 77], "<i4").tobytes())
    given[3] = memoryview(np.array([1 << 30, 0, (1 << 31) - 1, 1 << 30], "<i4").tobytes())
    given[4] = memoryview(np.array([-31, 0, -23, 4], "<i4").tobytes())
    assert results(native(kernel).taps, tuple(given)) == results(plain_taps, tuple(given))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_sums_around_each_change_of_the_result_are_exact(kernel: str, zero_point: int) -> None:
    """One tap of weight 1 lets x choose the sum, and the bias carries it to where the bytes change."""
    count = 64
    rng = np.random.default_rng(zero_point + 128)
    shifts = rng.integers(-9, 0, count)
    multipliers = rng.integers(1 << 30, 1 << 31, count)
    biases = [
        int((step + 0.5) * 2.0 ** (31 - shift) / multiplier)
        for step, shift, multiplier in zip(rng.integers(-128, 128, count), shifts, multipliers, strict=True)
    ]
    given = list(arguments(Case((16, 16, count), (3, 3), zero_points=(0, zero_point)), 0))
    ramp = np.repeat(np.arange(-128, 128, dtype=np.int8), count)
    weights = np.zeros((count, 9), np.int8)
    weights[:, 4] = 1
    given[0], given[1] = memoryview(array("b", ramp.tobytes())), memoryview(bytearray(weights.tobytes()))
    for place, values in ((2, biases), (3, multipliers), (4, shifts)):
        given[place] = memoryview(np.array(values, "<i4").tobytes())
    assert results(native(kernel).taps, tuple(given)) == results(plain_taps, tuple(given))
