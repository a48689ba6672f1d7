"""Average pools and sums in machine code give the plain kernel's bytes."""

import random
from array import array

import numpy as np
import pytest
from native_kernels import KERNELS, cases, native

from mote.kernels.plain.elementwise import add as plain_add
from mote.kernels.plain.pool import average_pool as plain_average_pool


def values(rng: np.random.Generator, count: int) -> memoryview:
    return memoryview(array("b", rng.integers(-128, 128, count).astype(np.int8).tobytes()))


def check_pool(name: str, x: memoryview, parameters: tuple) -> None:
    kernel = native(name)
    size = int(np.prod(parameters[-1]))
    found, expected = memoryview(array("b", bytes(size))), memoryview(array("b", bytes(size)))
    kernel.average_pool(x, found, *parameters)()
    plain_average_pool(x, expected, *parameters)()
    assert kernel.memory.cycles > 0, "the machine code was not called"
    assert found == expected, parameters


@pytest.mark.parametrize(("kernel", "seed"), cases(25))
def test_any_average_pool_is_exact(kernel: str, seed: int) -> None:
    choose = random.Random(seed)
    kernel_h, kernel_w = choose.randint(1, 5), choose.randint(1, 5)
    stride_h, stride_w = choose.randint(1, 3), choose.randint(1, 3)
    height, width, channels = choose.randint(1, 8), choose.randint(1, 8), choose.randint(1, 5)
    top, left = choose.randint(0, kernel_h - 1), choose.randint(0, kernel_w - 1)
    out = (height - 1 + top) // stride_h + 1, (width - 1 + left) // stride_w + 1
    window = kernel_h, kernel_w, stride_h, stride_w, top, left
    x = values(np.random.default_rng(seed), height * width * channels)
    shapes = (1, height, width, channels), (1, *out, channels)
    check_pool(kernel, x, (*choose.choice([(-128, 127), (-5, 40)]), *window, *shapes))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("value", [-128, -127, 126, 127])
def test_mean_of_a_whole_map_of_one_value_is_that_value(kernel: str, value: int) -> None:
    x = memoryview(array("b", [value] * (255 * 257)))
    shapes = (1, 255, 257, 1), (1, 1, 1, 1)
    check_pool(kernel, x, (-128, 127, 255, 257, 1, 1, 0, 0, *shapes))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("kernel", "seed"), cases(4))
def test_sum_of_any_two_values_is_exact(kernel: str, seed: int, sign: int) -> None:
    rng = np.random.default_rng(seed)
    smaller, factor = rng.integers(1 << 30, 1 << 31, 2).tolist()
    shift, zero_points = -int(rng.integers(0, 3)), rng.integers(-128, 128, 3).tolist()
    pair = ((1 << 30, 0), (smaller, shift))[:: 1 if seed % 2 else -1]
    steps = (0, 0, 256, 1)
    parameters = (
        *zero_points, *pair[0], *pair[1], factor, -int(rng.integers(17, 20)), sign, -128, 127, *steps, *steps,
        (1, 1, 256, 256),
    )  # fmt: skip
    every = np.arange(-128, 128, dtype=np.int8)
    a, b = (memoryview(array("b", side.tobytes())) for side in (np.repeat(every, 256), np.tile(every, 256)))
    found, expected = (memoryview(array("b", bytes(len(a)))) for _ in range(2))
    stand_in = native(kernel)
    stand_in.add(a, b, found, *parameters)()
    plain_add(a, b, expected, *parameters)()
    assert stand_in.memory.cycles > 0, "the machine code was not called"
    assert found == expected


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [1, 6, 7, 8])
@pytest.mark.parametrize("bounds", [(-128, 127), (-60, 100)])
def test_sum_of_any_length_writes_no_more(kernel: str, count: int, bounds: tuple[int, int]) -> None:
    rng = np.random.default_rng(count)
    steps = (0, 0, count, 1)
    scales = (1 << 30, 0, 3 << 29, -1, 1 << 30, -18)
    parameters = (3, -9, 5, *scales, 1, *bounds, *steps, *steps, (1, 1, 1, count))
    a, b = values(rng, count), values(rng, count)
    found, expected = memoryview(array("b", [85] * (count + 8))), memoryview(array("b", bytes(count)))
    native(kernel).add(a, b, found[4:-4], *parameters)()
    plain_add(a, b, expected, *parameters)()
    assert found[4:-4] == expected
    assert set(found[:4].tolist() + found[-4:].tolist()) == {85}
