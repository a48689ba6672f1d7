"""An update is written range by range, and read back on the host with the same layout."""

import struct
from array import array

import small_network

from mote import codec


def _vectors(count, seed=2):
    random = small_network.Random(seed)
    base = array("f", [random.below(2000) / 1000 - 1 for _ in range(count)])
    local = array("f", [value + (random.below(2000) - 1000) / 30000 for value in base])
    return local, base


def _body(encoder, step=1000):
    body = bytearray()
    while len(body) < encoder.total:
        piece = bytearray(step)
        body += piece[: encoder.read_into(memoryview(piece), len(body))]
    return bytes(body)


def test_report_comes_back():
    head = codec.Report(7, 200, 50, 0.5, 0.75, 0.25, [1.5, 2.5], 12.5).pack(codec.INT8, 4)
    report, kind, tensors, start = codec.unpack_report(head)
    assert (kind, tensors, start) == (codec.INT8, 4, len(head)) == (2, 4, 40)
    assert (report.version, report.samples, report.evaluated) == (7, 200, 50)
    assert (report.loss, report.accuracy, report.training_loss) == (0.5, 0.75, 0.25)
    assert list(report.ranges) == [1.5, 2.5] and report.train_ms == 12.5


def test_every_cut_of_a_body_gives_the_same_bytes():
    sizes = [96, 8, 16, 2]
    local, base = _vectors(sum(sizes))
    for kind in (codec.FLOAT32, codec.INT8):
        encoder = codec.Encoder(codec.Report(1, 5), kind, local, base, sizes)
        whole = _body(encoder)
        assert len(whole) == encoder.total == codec.REPORT_BYTES + codec.delta_bytes(kind, sizes)
        for step in (1, 3, 7, 100):
            assert _body(encoder, step) == whole


def test_float32_delta_is_exact():
    sizes = [10, 3]
    local, base = _vectors(13)
    body = _body(codec.Encoder(codec.Report(1), codec.FLOAT32, local, base, sizes))
    start = codec.unpack_report(body)[3]
    expected = array("f", [a - b for a, b in zip(local, base)])
    assert body[start:] == bytes(expected)


def test_int8_delta_is_within_half_a_step():
    sizes = [50, 4, 1]
    local, base = _vectors(55)
    local[54] = base[54]  # a tensor that did not change
    body = _body(codec.Encoder(codec.Report(1), codec.INT8, local, base, sizes))
    position = 0
    for scale_at, values_at, size in codec.sections(codec.INT8, sizes, codec.unpack_report(body)[3]):
        (scale,) = struct.unpack_from("<f", body, scale_at)
        for value in struct.unpack_from("<%db" % size, body, values_at):
            assert abs(value * scale - (local[position] - base[position])) <= 0.5001 * scale
            position += 1
    assert position == 55


def test_evaluation_body_has_no_delta():
    body = _body(codec.Encoder(codec.Report(3, 0, 20, 0.1, 0.9), codec.NONE))
    report, kind, tensors, start = codec.unpack_report(body)
    assert (report.evaluated, kind, tensors, start) == (20, codec.NONE, 0, len(body))
