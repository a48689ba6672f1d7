"""A .mote file is used as it is, and a damaged one is refused before it is run."""

import struct

import small_network
from raising import text_of

from mote.model import Model, ModelError
from mote.port import crc32


def test_model_tells_its_labels_features_and_layout():
    model = Model(small_network.build([4, 6, 3]))
    assert model.labels == ["class0", "class1", "class2"]
    assert model.info["features"]["channels"] == 4
    assert model.layout == Model(small_network.build([4, 6, 3], seed=99)).layout
    assert model.layout != Model(small_network.build([4, 5, 3])).layout


def test_probabilities_add_up_to_one():
    model = Model(small_network.build([4, 6, 3]))
    model.invoke()
    assert abs(sum(model.probabilities()) - 1) < 0.02


def test_every_truncation_is_refused():
    data = small_network.build([4, 3, 2])
    for length in range(len(data)):
        text_of(ModelError, Model, data[:length])


def test_every_flipped_byte_is_refused():
    data = small_network.build([4, 3, 2])
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x40
        text_of(ModelError, Model, damaged)


def test_nonsense_with_a_right_checksum_is_refused_or_harmless():
    data = small_network.build([4, 3, 2])
    random = small_network.Random(11)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(1 + random.below(4)):
            damaged[16 + random.below(len(data) - 16)] = random.below(256)
        struct.pack_into("<I", damaged, 12, crc32(memoryview(damaged)[16:]) & 0xFFFFFFFF)
        try:
            Model(damaged, "plain")
        except ValueError:
            refused += 1
    assert refused > 30
