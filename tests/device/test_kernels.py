"""Every kernel that this interpreter runs gives the same bytes as the plain one, at every op."""

import os
from array import array
from struct import pack

import small_network
from raising import text_of

from mote import kernels
from mote.model import Model

_FOLDER = "test-kernels.tmp"


def test_kernels_agree_on_every_byte():
    random = small_network.Random(7)
    compared = 0
    for name, kernel in _kernels():
        for form in kernel.WEIGHT_FORMS:
            for layers in ([24, 32, 7], [1, 1, 2], [9, 5, 3, 10], [64, 24, 10]):
                compared += _compare(layers, form, name, random)
    assert compared > 0


def test_kernels_agree_when_sums_are_at_their_limits():
    for name, kernel in _kernels():
        for form in kernel.WEIGHT_FORMS:
            for span in (0.01, 3000.0):  # saturates every output; then lets almost nothing through
                _compare([128, 16, 4], form, name, small_network.Random(3), [span, span])


def test_kernels_round_alike_next_to_every_step_of_the_output():
    random = small_network.Random(9)
    for shift in (-22, -18, -16, -15, -14, -9, -8, -3, -1, 0):
        multiplier = (1 << 30) + (random.below(1 << 15) << 15) + random.below(1 << 15)
        steps = [((2 * level - 1) << (30 - shift)) // multiplier for level in range(-255, 256)]
        for limit in (1 << 23, 1 << 25):
            sums = [total + near for total in steps for near in (-1, 0, 1) if abs(total) < limit - 1]
            for zero_point in (-128, 0, 127):
                _compare_requantised(sums, multiplier, shift, zero_point)


def test_kernels_round_alike_at_the_limits_of_the_arithmetic():
    limits = [(1 << bits) + near for bits in (12, 16, 22, 23, 24, 27) for near in (-1, 0, 1)]
    limits = [0] + limits + [-total for total in limits]
    for shift in (-31, -20, -16, -15, -14, -8, -1, 0, 2):
        for multiplier in (1 << 30, 1518500249, (1 << 31) - 1):
            for zero_point in (-128, 127):
                for count in range(1, len(limits) + 1, 6):
                    _compare_requantised(limits[:count], multiplier, shift, zero_point)


def test_kernels_add_up_long_rows_without_loss():
    random = small_network.Random(12)
    for columns in (512, 700, 1100):
        for weights in ([127] * columns, [-128] * columns, random.int8s(columns)):
            for x in ([-127] * columns, [127] * (columns - 1) + [126], random.int8s(columns)):
                # each sum ends where one more or less shows in the output
                total = sum(a * b for a, b in zip(x, weights))
                bias = [near - total for near in (0, 1)]
                _compare_dense(x, weights * 2, bias, (1 << 31) - 1, -1, 0)


def test_training_steps_agree_within_float_rounding():
    random = small_network.Random(6)
    for rows, columns in ((1, 1), (2, 7), (4, 300)):
        for name, kernel in _kernels():
            w, x, y, bias, slope = (
                _floats(random, count) for count in (rows * columns, columns, rows, rows, rows)
            )
            slope[0] = 0.0
            expected, got = array("f"), array("f")
            for module, results in ((kernels.choose("plain"), expected), (kernel, got)):
                out, values = array("f", y), array("f", w)
                module.affine(memoryview(w), bias, x, out)
                slopes = [array("f", of) for of in (w, bias, x)]
                views = [memoryview(of) for of in slopes]
                module.affine_backward(memoryview(w), x, slope, *views)
                module.affine_backward(memoryview(w), x, slope, views[0], views[1], None)
                module.descend(values, array("f", slopes[0]), 0.1, 0.0)
                module.descend(values, slopes[0], 0.1, 0.01)
                assert not any(slopes[0])
                for vector in (out, values, slopes[1], slopes[2]):
                    results.extend(vector)
            for a, b in zip(expected, got):
                assert abs(a - b) < 1e-4, (name, rows, columns)


def test_one_core_is_used_where_no_kernel_is_for_two():
    assert kernels.use_both_cores() == 1


def test_machine_code_of_other_processors_is_not_chosen():
    for name in ("armv6m", "armv8m", "rv32", "xtensa"):
        assert "cannot run on this interpreter" in text_of(ValueError, kernels.choose, name)
    try:
        from sys import implementation

        from mote.kernels.native.machine import needs

        loaded = implementation._mpy
    except (ImportError, AttributeError):
        return  # CPython
    os.mkdir(_FOLDER)
    try:
        for number, runs in ((loaded, True), (loaded ^ 0x400, False), (loaded ^ 0x100, False)):
            with open(_FOLDER + "/code.mpy", "wb") as file:
                file.write(bytes([ord("M"), number & 255, number >> 8 & 0x3F, 31]))
            if runs:
                needs(_FOLDER)
            else:
                assert "another version or architecture" in text_of(ImportError, needs, _FOLDER)
        os.remove(_FOLDER + "/code.mpy")
        assert "is missing" in text_of(ImportError, needs, _FOLDER)
    finally:
        os.rmdir(_FOLDER)


def test_unknown_kernel_is_named_with_the_choices():
    assert "viper, ulab, plain" in text_of(ValueError, kernels.choose, "fast")


def test_kernel_refuses_weights_of_another_form():
    for name, kernel in _kernels():
        for form in (0, 1):
            if form not in kernel.WEIGHT_FORMS:
                assert "weight form" in text_of(ValueError, Model, small_network.build([3, 2, 2], form), name)


def _kernels():
    """Return [(name, module)] of the kernels that run here."""
    found = []
    for name in kernels.KERNELS:
        try:
            found.append((name, kernels.choose(name)))
        except ValueError:
            continue
    return found


def _compare_requantised(sums, multiplier, shift, zero_point):
    """Compare outputs whose sums are these: they go in as biases."""
    if shift > 0:
        sums = [total for total in sums if abs(total) << shift < 1 << 31]
    _compare_dense([-128], [0] * len(sums), sums, multiplier, shift, zero_point)


def _compare_dense(x, weights, bias, multiplier, shift, zero_point):
    rows = len(bias)
    multipliers, shifts = (memoryview(pack("<%di" % rows, *[value] * rows)) for value in (multiplier, shift))
    expected = None
    for name, kernel in [("plain", kernels.choose("plain"))] + _kernels():
        for form in kernel.WEIGHT_FORMS:
            flip = 128 if form else 0
            stored = memoryview(bytes(weight + flip & 255 for weight in weights))
            columns = len(x)
            folded = [bias[r] - flip * sum(weights[r * columns : (r + 1) * columns]) for r in range(rows)]
            folded = memoryview(pack("<%di" % rows, *folded))
            y = memoryview(array("b", bytes(rows)))
            x_view = memoryview(array("b", x))
            kernel.dense(
                x_view,
                stored,
                folded,
                multipliers,
                shifts,
                y,
                zero_point,
                -128,
                127,
                form,
                rows,
                array("H", [0]),
            )()
            expected = expected or list(y)
            assert expected == list(y), (name, form, multiplier, shift, zero_point)


def _floats(random, count):
    values = array("f", bytes(4 * count))  # a list of that many floats would fragment a board's heap
    for i in range(count):
        values[i] = random.below(2000) / 1000 - 1
    return values


def _compare(layers, form, name, random, ranges=None):
    seed = random.below(1000)
    plain = Model(small_network.build(layers, form, seed, ranges=ranges), "plain")
    other = Model(small_network.build(layers, form, seed, ranges=ranges), name)
    inputs = [[-128] * layers[0], [127] * layers[0], [0] * layers[0]]
    inputs += [random.int8s(layers[0]) for _ in range(10)]
    for values in inputs:
        for k, value in enumerate(values):
            plain.input[k] = other.input[k] = value
        plain.invoke()
        other.invoke()
        for expected, got in zip(
            *([model.tensor(n) for n in range(plain.tensor_count)] for model in (plain, other))
        ):
            if expected.is_activation:
                assert list(expected.data) == list(got.data), (name, form, layers, expected.number)
    return len(inputs)
