"""Every kernel that this interpreter runs gives the same bytes as the plain one, at every op."""

import network
from raising import text_of

from mote import kernels
from mote.model import Model


def test_kernels_agree_on_every_byte():
    random = network.Random(7)
    compared = 0
    for name in kernels.KERNELS:
        try:
            kernel = kernels.choose(name)
        except ValueError:
            continue
        for form in kernel.WEIGHT_FORMS:
            for layers in ([24, 32, 7], [1, 1, 2], [9, 5, 3, 10], [64, 24, 10]):
                compared += _compare(layers, form, name, random)
    assert compared > 0


def test_kernels_agree_when_sums_are_at_their_limits():
    for form in (0, 1):
        for name in kernels.KERNELS:
            try:
                kernels.choose(name, form)
            except ValueError:
                continue
            for span in (0.01, 3000.0):  # saturates every output; then lets almost nothing through
                _compare([128, 16, 4], form, name, network.Random(3), [span, span])


def test_unknown_kernel_is_named_with_the_choices():
    assert "viper, ulab, plain" in text_of(ValueError, kernels.choose, "fast")


def test_kernel_refuses_weights_of_another_form():
    for name in kernels.KERNELS:
        try:
            kernel = kernels.choose(name)
        except ValueError:
            continue
        for form in (0, 1):
            if form not in kernel.WEIGHT_FORMS:
                assert "weight form" in text_of(ValueError, Model, network.build([3, 2, 2], form), name)


def _compare(layers, form, name, random, ranges=None):
    seed = random.below(1000)
    plain = Model(network.build(layers, form, seed, ranges=ranges), "plain")
    other = Model(network.build(layers, form, seed, ranges=ranges), name)
    inputs = [[-128] * layers[0], [127] * layers[0], [0] * layers[0]]
    inputs += [random.int8s(layers[0]) for _ in range(10)]
    for values in inputs:
        for k, value in enumerate(values):
            plain.input[k] = other.input[k] = value
        plain.invoke()
        other.invoke()
        for expected, got in zip(plain.tensors, other.tensors):
            if expected.is_activation:
                assert list(expected.data) == list(got.data), (name, form, layers, expected.number)
    return len(inputs)
