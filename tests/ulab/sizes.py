"""Ops that the ulab kernel cuts into pieces, or computes in another
way from some size on, give the bytes of the plain one. See rules.py."""

from array import array
from struct import pack

import small_network

from mote import kernels

_ORIGIN = array("H", [0])


def test_dense_layers_of_many_rows_and_of_rows_too_long_for_one_sum():
    random = small_network.Random(31)
    for rows, columns, outputs in ((150, 3, 9), (1, 4, 600), (3, 1100, 2)):
        for weight in (None, 127):
            x = _signed(random, rows * columns)
            w = _bytes(random, outputs * columns, weight)
            views = (x, w) + _constants(random, outputs, -9)
            _compare("dense", views, rows * outputs, (3, -128, 127, 0, outputs, _ORIGIN))


def test_rows_of_a_convolution_longer_than_a_piece():
    random = small_network.Random(32)
    for width, channels, outputs in ((70, 2, 20), (24, 70, 3), (5, 1, 700)):
        x = _signed(random, 3 * width * channels)
        w = _bytes(random, outputs * 9 * channels)
        views = (x, w) + _constants(random, outputs, -8)
        shapes = (1, 3, width, channels), (outputs, 3, 3, channels), (1, 3, width, outputs), _ORIGIN
        _compare("conv", views, 3 * width * outputs, (-7, 4, -128, 127, 1, 1, 1, 1, 1, 1, 0) + shapes)


def test_rows_of_a_depthwise_convolution_longer_than_a_piece():
    random = small_network.Random(33)
    for width, channels, per_channel in ((50, 24, 1), (40, 11, 3), (150, 1, 8), (3, 600, 1)):
        outputs = channels * per_channel
        x = _signed(random, 3 * width * channels)
        for weight in (None, -128, 2):
            views = (x, _bytes(random, 6 * outputs, weight)) + _constants(random, outputs, -6)
            shapes = (1, 3, width, channels), (1, 2, 3, outputs), (1, 3, width, outputs), _ORIGIN
            _compare(
                "depthwise", views, 3 * width * outputs, (9, -4, -128, 127, 1, 1, 1, 1, 1, 1, 0) + shapes
            )


def test_pools_of_large_windows():
    random = small_network.Random(34)
    for height, width in ((25, 5), (40, 30), (60, 40)):
        x = _signed(random, height * width * 3)
        # the whole image, then most of it, then windows that reach over its edges
        for window, out in (
            ((height, width, 1, 1, 0, 0), (1, 1)),
            ((height, width - 1, 1, 1, 0, 0), (1, 2)),
            ((9, width, 4, 1, 3, 0), (height // 4 - 1, 1)),
            ((9, width + 3, 4, 7, 3, 3), (height // 4 - 1, 1)),
        ):
            shapes = (1, height, width, 3), (1,) + out + (3,)
            for op in ("average_pool", "max_pool"):
                _compare(op, (x,), out[0] * out[1] * 3, (-128, 127) + window + shapes)
        parameters = (1, height * width, 3, -5, 7, 1 << 30, -10)
        _compare("mean", (x,), 3, parameters)


def test_average_pools_round_every_sum_alike():
    for count in (2, 3, 4, 6, 9, 25):
        sums = range(-128 * count, 127 * count + 1, 7 if count > 9 else 1)
        x = array("b")
        for total in sums:
            for n in range(count):
                x.append((total + n) // count)  # as even as they can be
        for op_width in (1, len(sums)):  # one window per call, or all in one row
            if op_width == 1:
                shapes = (1, len(sums), count, 1), (1, len(sums), 1, 1)
            else:
                shapes = (1, 1, len(sums) * count, 1), (1, 1, len(sums), 1)
            window = (1, count, 1, count, 0, 0)
            _compare("average_pool", (memoryview(x),), len(sums), (-128, 127) + window + shapes)


def test_sums_and_products_longer_than_a_piece():
    random = small_network.Random(35)
    rows, columns = 30, 40
    dense, last, one = (0, 1200, columns, 1), (0, 0, 0, 1), (0, 0, 0, 0)
    shape = (1, 1, rows, columns)
    half, any_factor = (1 << 30, 0), ((1 << 30) + 12345678, -1)
    for steps in ((dense, dense), (dense, last), (one, dense), (last, dense), (last, one)):
        a, b = (_signed(random, {dense: 1200, last: columns, one: 1}[of]) for of in steps)
        for factors in (half + half, half + any_factor):  # half of the first are ties
            for sign in (1, -1):
                parameters = (3, -4, 5) + factors + (1 << 30, -18, sign, -128, 127) + steps[0] + steps[1]
                _compare("add", (a, b), 1200, parameters + (shape,))
        parameters = (-128, 127, 5, (1 << 31) - 1, -7, -100, 100) + steps[0] + steps[1]
        _compare("mul", (a, b), 1200, parameters + (shape,))


def test_sums_agree_for_every_pair_of_values():
    for factors in (
        (1518500249, -1, 1 << 30, 0, 1518500249, -18),
        (1 << 30, 0, 1987654321, -3, (1 << 31) - 1, -19),
        (1 << 30, 0, 1 << 30, 0, 1 << 30, -17),
    ):
        for value in range(-128, 128, 5):
            a, b = array("b", [value]), array("b", range(-128, 128))
            parameters = (-128, -7, -3) + factors + (1, -128, 127, 0, 0, 0, 0, 0, 0, 0, 1, (1, 1, 1, 256))
            _compare("add", (memoryview(a), memoryview(b)), 256, parameters)


def test_moves_of_long_runs_and_across_short_ones():
    random = small_network.Random(36)
    x = _signed(random, 1600)
    for size, parameters in (
        (1800, (1, 1, 12, 12, 8, 0, 0, 0, 96, 8, 120, 0, 0, 112, 8)),  # into a frame
        (1600, (1, 1, 40, 40, 1, 0, 0, 0, 1, 40, 0, 0, 0, 40, 1)),  # transposed
        (1600, (1, 1, 20, 40, 2, 0, 0, 0, 2, 40, 0, 0, 0, 80, 2)),
        (1600, (1, 1, 1, 20, 40, 1560, 0, 0, 0, -40, 0, 0, 0, 0, 40)),  # rows in reverse
        (1600, (1, 1, 1, 20, 1, 1560, 0, 0, 0, -40, 0, 0, 0, 0, 40)),
        (1600, (1, 1, 20, 2, 40, 0, 0, 0, 40, 0, 0, 0, 0, 80, 40)),  # each row twice
        (1600, (1, 1, 20, 2, 40, 0, 0, 0, 80, 40, 1520, 0, 0, -80, 40)),
    ):
        _compare("move", (x,), size, parameters)
    for block in (1, 16):
        table = memoryview(pack("<50i", *[random.below(1600 - block) for _ in range(50)]))
        _compare("gather", (x, table), 50 * block, (block,))


def _compare(op, inputs, size, parameters):
    results = []
    for name in ("plain", "ulab"):
        y = memoryview(array("b", bytes(size)))
        run = getattr(kernels.choose(name), op)(*inputs, y, *parameters)
        run()
        run()
        results.append(list(y))
    assert results[0] == results[1], (op, size, parameters)


def _signed(random, count):
    return memoryview(array("b", random.int8s(count)))


def _bytes(random, count, value=None):
    return memoryview(bytes((random.below(256) if value is None else value & 255) for _ in range(count)))


def _constants(random, outputs, shift):
    """Return bias, multipliers and shifts; some of the factors are next to nothing."""
    bias = [random.below(2000) - 1000 for _ in range(outputs)]
    multipliers = [(1 << 30) + random.below(1 << 15) * 32768 for _ in range(outputs)]
    shifts = [shift - random.below(3) if random.below(9) else -19 for _ in range(outputs)]
    return tuple(memoryview(pack("<%di" % outputs, *values)) for values in (bias, multipliers, shifts))
