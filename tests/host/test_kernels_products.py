"""Convolutions and dense layers in machine code give the reference's bytes for any shape."""

import random

import numpy as np
import pytest
from native_kernels import KERNELS, cases, native
from product_cases import Case, arguments, results

from fedmote.models import reference


def check(name: str, case: Case, seed: int = 0) -> None:
    given = arguments(case, seed)
    kernel = native(name)
    found = results(kernel, given)
    assert kernel.memory.cycles > 0, "the machine code was not called"
    assert found == results(reference, given), case


@pytest.mark.parametrize(("kernel", "seed"), cases(40))
def test_any_convolution_is_exact(kernel: str, seed: int) -> None:
    choose = random.Random(seed)
    window = choose.choice([(1, 1), (1, 1), (3, 3), (1, 3), (3, 1), (5, 5), (2, 2), (10, 4)])
    dilation = choose.choice([(1, 1), (1, 1), (2, 2), (1, 3)])
    sizes = [
        choose.randint((count - 1) * step + 1, (count - 1) * step + 7)
        for count, step in zip(window, dilation, strict=True)
    ]
    case = Case(
        (*sizes, choose.choice([1, 2, 3, 4, 5, 8, 12])),
        choose.randint(1, 17),
        window,
        (choose.randint(1, 3), choose.randint(1, 3)),
        dilation,
        choose.random() < 0.5,
        choose.choice([(-10, -6), (-12, -3), (-31, -1), (-8, 2)]),
        (choose.randint(-128, 127), choose.randint(-128, 127)),
        extreme=choose.choice(["", "", "mixed", "lowest"]),
    )
    check(kernel, case, seed)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("window", "largest"), [(2, 127), (4, 63), (8, 31), (16, 15)])
@pytest.mark.parametrize("extreme", ["lowest", "mixed"])
def test_lanes_hold_the_largest_sums_of_their_window(
    kernel: str, window: int, largest: int, extreme: str
) -> None:
    for columns in (1, 7, 16, 33):
        case = Case((2, 2, columns), 8, window=window, largest=largest, extreme=extreme, shifts=(-12, -8))
        check(kernel, case, columns)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("columns", [1, 2, 3, 9, 10, 11, 64, 641])
def test_dense_layers_read_their_weights_in_place(kernel: str, columns: int) -> None:
    check(kernel, Case((1, 1, columns), 7, shifts=(-11, -8), zero_points=(5, -3)))
    check(kernel, Case((1, 2, columns), 12, shifts=(-11, -8), zero_points=(-128, 127)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("outputs", [9, 40])
def test_layer_larger_than_the_scratch_is_made_in_blocks(kernel: str, outputs: int) -> None:
    check(kernel, Case((4, 4, 128), outputs, (3, 3), padded=True, shifts=(-13, -10)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("block", [(0, 8), (8, 8), (16, 4)])
def test_block_of_streamed_weights_writes_its_own_outputs_only(kernel: str, block: tuple[int, int]) -> None:
    check(kernel, Case((3, 3, 8), 18, block=(block[0], min(block[1], 18 - block[0]))))


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_that_never_change_and_those_beyond_the_estimate_are_exact(kernel: str) -> None:
    check(kernel, Case((3, 3, 16), 16, shifts=(-31, -29)))
    check(kernel, Case((3, 3, 16), 16, shifts=(-2, 3), zero_points=(0, 11)))
    given = list(arguments(Case((3, 3, 4), 4), 0))
    given[1] = memoryview(bytes([128]) * len(given[1]))
    given[2] = memoryview(np.array([-1 << 31, 0, (1 << 31) - 1, 77], "<i4").tobytes())
    given[3] = memoryview(np.array([1 << 30, 0, 1 << 30, 1 << 30], "<i4").tobytes())
    given[4] = memoryview(np.array([-31, 0, -31, -31], "<i4").tobytes())
    assert results(native(kernel), tuple(given)) == results(reference, tuple(given))


@pytest.mark.parametrize("kernel", KERNELS)
def test_dead_channels_with_any_bias_keep_to_machine_code(kernel: str) -> None:
    given = list(arguments(Case((3, 3, 16), 12, zero_points=(-128, -5)), 0))
    for place, values in ((2, (1 << 30, 0, -1 << 30, 77)), (3, (1 << 30,) * 4), (4, (-31, -31, -25, -9))):
        given[place] = memoryview(np.array(values * 3, "<i4").tobytes())
    found = native(kernel)
    assert results(found, tuple(given)) == results(reference, tuple(given))
    assert found.memory.cycles > 0, "the machine code was not called"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(3, 3, 4), (1, 1, 7)])
def test_sums_that_fill_32_bits_are_rounded_exactly(kernel: str, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(shape[2])
    given = list(arguments(Case(shape, 24, zero_points=(3, -7)), 0))
    largest = (1 << 31) - 1 - (shape[2] << 14)  # with the products
    for place, values in (
        (2, (largest, -largest, 1 << 30, -1 << 30)),
        (3, ((1 << 31) - 1, 1 << 30)),
        (4, (-40, -31, -30, -29, -24, -23, -22, 0)),
    ):
        given[place] = memoryview(rng.choice(values, 24).astype("<i4").tobytes())
    found = native(kernel)
    assert results(found, tuple(given)) == results(reference, tuple(given))
    assert found.memory.cycles > 0, "the machine code was not called"


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_keep_to_narrower_bounds(kernel: str) -> None:
    for shape, bounds in (((3, 5, 8), (-100, 60)), ((1, 1, 9), (-128, 0))):
        given = arguments(Case(shape, 9, bounds=bounds), 0)
        assert results(native(kernel), given) == results(reference, given)
