"""Windows become rows, rows become the int8 input, and a ring keeps the most recent ones."""

from array import array
from math import sqrt

import learning
import small_network
from raising import text_of

from mote import features


def test_statistics_are_those_of_the_window():
    extractor = features.make({"kind": "statistics", "channels": 2, "window": 50})
    random = small_network.Random(4)
    for _ in range(2):  # a second window is not tainted by the first
        readings = [(random.below(1000) / 10, 500 + random.below(10)) for _ in range(50)]
        done = [extractor.push(reading) for reading in readings]
        assert done == [False] * 49 + [True]
        for c in range(2):
            values = [reading[c] for reading in readings]
            mean = sum(values) / 50
            deviation = sqrt(sum((v - mean) ** 2 for v in values) / 50)
            expected = (mean, deviation, min(values), max(values))
            for k in range(4):
                assert abs(extractor.row[2 * k + c] - expected[k]) < 1e-3


def test_raw_window_is_the_readings_and_reset_drops_a_part():
    extractor = features.make({"kind": "raw", "channels": 2, "window": 2})
    assert not extractor.push((9, 9))
    extractor.reset()
    assert not extractor.push((1, 2)) and extractor.push((3, 4))
    assert list(extractor.row) == [1, 2, 3, 4]
    assert not extractor.push((5, 6)) and extractor.push((7, 8))
    assert list(extractor.row) == [5, 6, 7, 8]


def test_unknown_features_are_named_with_the_choices():
    assert "statistics" in text_of(ValueError, features.make, {"kind": "wavelet"})


def test_normalised_rows_have_mean_zero_and_deviation_one():
    ring = features.Ring(64, 6)
    for row, label in learning.rows(40):
        ring.add(row, label)
    normaliser = features.Normaliser(6, 0.0, 1 / 32)
    learning.drain(normaliser.fit(ring))
    target = [0] * 6
    columns = [[] for _ in range(6)]
    for number in range(40):
        normaliser.quantise_into(ring.row(number), target)
        for k in range(6):
            columns[k].append(target[k] / 32)
    for values in columns:
        mean = sum(values) / 40
        assert abs(mean) < 0.02 and abs(sqrt(sum((v - mean) ** 2 for v in values) / 40) - 1) < 0.02


def test_outliers_are_clamped_to_int8():
    normaliser = features.Normaliser(2, 0.0, 1.0)
    target = [0, 0]
    normaliser.quantise_into((1e6, -1e6), target)
    assert target == [127, -128]


def test_first_label_empties_the_ring_and_unlabelled_windows_are_kept_no_more():
    ring = features.Ring(3, 1)
    for n in range(2):
        ring.add(array("f", [n]), None)
    assert len(ring) == 2 and not ring.labelled
    ring.add(array("f", [7]), 0)
    ring.add(array("f", [8]), None)
    assert len(ring) == 1 and ring.labelled and ring.row(0)[0] == 7.0 and ring.added == 3


def test_full_ring_drops_the_oldest_window():
    ring = features.Ring(3, 1)
    for n in range(5):
        ring.add(array("f", [n]), n)
    assert len(ring) == 3 and sorted(ring.labels) == [2, 3, 4] and sorted(ring.values) == [2.0, 3.0, 4.0]
