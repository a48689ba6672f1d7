"""Sparse ternary updates: what a board sends is what the host reads, and what it does not send is not
lost."""

from array import array
from struct import pack, unpack

import small_network

from mote import codec, ternary


def _vector(count, seed=4):
    random = small_network.Random(seed)
    return array("f", [(random.below(20001) - 10000) / 7000 for _ in range(count)])


def _raises(function, *arguments):
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def _update(local, base, residual):
    sizes = [len(base) - 2, 2]
    encoder = codec.Encoder(codec.Report(1, 5), codec.TERNARY, local, base, sizes, residual)
    body = bytearray(encoder.total)
    assert encoder.read_into(memoryview(body), 0) == encoder.total
    assert len(body) == codec.REPORT_BYTES + codec.delta_bytes(codec.TERNARY, sizes)
    return bytes(body)


def test_places_come_back_wherever_they_are():
    random = small_network.Random(9)
    for count in (1, 2, 31, 850, 2410):
        places = ternary.places_of(count)
        everywhere = set()
        while len(everywhere) < places:
            everywhere.add(random.below(count))
        for positions in (list(range(places)), list(range(count - places, count)), sorted(everywhere)):
            negatives = [random.below(2) == 1 for _ in positions]
            data = ternary.pack(positions, negatives, count)
            assert len(data) == ternary.packed_bytes(count, places)
            assert ternary.unpack(data, places, count) == (positions, negatives)


def test_bytes_that_nobody_packed_are_refused():
    data = ternary.pack([3, 90], [False, True], 100)
    assert _raises(ternary.unpack, data[:-1], 2, 100)
    assert _raises(ternary.unpack, bytes([255] * len(data)), 2, 100)
    data[-1] |= 1
    assert _raises(ternary.unpack, data, 2, 100)


def test_the_largest_are_chosen_and_of_equal_ones_the_first():
    values = _vector(300)
    values[7] = -9.0
    chosen = ternary.largest(values, 20)
    assert 7 in chosen and chosen == sorted(chosen)
    assert min(abs(values[i]) for i in chosen) >= max(abs(values[i]) for i in range(300) if i not in chosen)
    assert ternary.largest(array("f", [1.0, -2.0, 2.0, -2.0, 0.5]), 2) == [1, 2]
    assert ternary.largest(array("f", [0.0] * 5), 2) == [0, 1]


def test_sums_are_those_of_float32():
    random = small_network.Random(3)
    for _ in range(300):
        a, b = array("f", [(random.below(20001) - 10000) / (1 << random.below(30)) for _ in range(2)])
        (expected,) = unpack("<I", pack("<f", a + b))
        bits = unpack("<II", pack("<ff", a, b))
        assert ternary.add_bits(bits[0], bits[1]) == expected


def test_an_update_carries_the_largest_changes_by_their_mean():
    base = _vector(320, 1)
    local = array("f", base)
    for i, change in ((5, 0.5), (100, -0.25), (319, 0.75)):
        local[i] = base[i] + change
    for i in range(10, 17):  # ten places in all
        local[i] = base[i] + 0.1
    body = _update(local, base, None)
    magnitude, positions, negatives = codec.unpack_ternary(body[codec.REPORT_BYTES :], 320)
    assert positions == [5] + list(range(10, 17)) + [100, 319]
    assert [i for i, negative in zip(positions, negatives) if negative] == [100]
    assert abs(magnitude - (1.5 + 0.7) / 10) < 1e-6


def test_what_is_not_sent_now_is_sent_later():
    base, residual = _vector(320, 1), array("f", bytes(4 * 320))
    local = array("f", [value + 0.01 for value in base])
    sent = [0.0] * 320
    for _ in range(32):
        body = _update(local, base, residual)
        magnitude, positions, negatives = codec.unpack_ternary(body[codec.REPORT_BYTES :], 320)
        for i, negative in zip(positions, negatives):
            sent[i] += -magnitude if negative else magnitude
    for i in range(320):  # 32 times 0.01 each, but for what is still here
        assert abs(sent[i] + residual[i] - 0.32) < 1e-4
    assert min(sent) > 0.0
