"""A round on the device, driven without a network: whatever the link does, one update arrives, whole and
once."""

import json
import struct
from array import array

import learning

from mote import codec, rounds, wire
from mote.local import Shuffle
from mote.memory import Memory
from mote.port import sha256

_KEY = bytes(range(32))


class Host:
    """The other side, by hand: makes manifests and model chunks, and puts an update's pieces together."""

    def __init__(self, participant, values=None):
        self.participant = participant
        local = participant.local
        if values is None:
            learning.start_values(local)
            values = array("f", local.base)
            local.base[:] = array("f", bytes(4 * len(values)))
        self.body = bytes(values)

    def manifest(self, now=0, key=_KEY, **changes):
        digest = sha256()
        digest.update(self.body)
        manifest = {
            "protocol": 2, "run": "0011aabb", "round": 4, "edition": 7, "version": 3, "phase": "train",
            "layout": self.participant.local.learner.layout, "size": len(self.body),
            "sha256": "".join("%02x" % byte for byte in digest.digest()),
            "codec": "int8", "epochs": 1, "batch": 8, "rate": 0.1, "decay": 0.0, "deadline_ms": 60000,
            "counter": 40, "time": 3600, "pause_ms": 0,
        }  # fmt: skip
        manifest.update(changes)
        self.tell("round", manifest, now, key)

    def tell(self, name, values, now=0, key=_KEY):
        participant = self.participant
        topic = participant.round_topic if name == "round" else participant.command_topic
        purpose = wire.MANIFEST_SEAL if name == "round" else wire.RECEIPT_SEAL
        payload = wire.seal(key, purpose, "ward", "board-1", json.dumps(values).encode())
        participant.received(topic, payload, now)

    def chunks(self, version=3):
        out = []
        for index in range(wire.piece_count(len(self.body))):
            piece = self.body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
            message = bytearray(wire.HEADER_BYTES) + piece
            wire.write_header(message, len(piece), wire.MODEL, version, 0, index, len(self.body))
            out.append(("fedmote/ward/model/%d/%d" % (version, index), bytes(message)))
        return out

    def model(self, order=None, now=0):
        chunks = self.chunks()
        for index in order or range(len(chunks)):
            self.participant.received(chunks[index][0], chunks[index][1], now)


def _participant(**changes):
    return rounds.Participant("ward", "board-1", _KEY, learning.local(**changes), lambda n: Shuffle(n))


def _work(participant, now=0):
    for _ in range(100000):
        if not participant.step(now):
            return
    raise AssertionError("the work does not end")


def _pieces(participant):
    """Take all that it offers; the broker acknowledges each."""
    taken = []
    while True:
        message = participant.next_message()
        if message is None:
            return taken
        taken.append((message[0], bytes(message[1])))
        participant.delivered(message[0], 0)


def _body(pieces):
    body = b""
    for topic, payload in sorted(pieces):
        chunk = wire.Chunk(payload)
        assert topic == "fedmote/ward/update/board-1/4/%d" % chunk.index
        body += bytes(chunk.piece)
    return chunk, body


def _authentic(chunk, body):
    tag = wire.Tag(_KEY, "ward", "0011aabb", "board-1", chunk.kind, chunk.number, chunk.counter)
    tag.update(body[: -wire.TAG_BYTES])
    return tag.digest() == body[-wire.TAG_BYTES :]


def _sending(**changes):
    participant = _participant(**changes)
    host = Host(participant)
    host.manifest(codec="float32")
    participant.step(0)
    host.model()
    _work(participant)
    assert participant.state == rounds.SENDING
    return participant, host


def test_round_goes_from_manifest_to_receipt():
    participant = _participant()
    host = Host(participant)
    host.manifest()
    assert participant.state == rounds.FETCHING
    assert participant.model_filter == "fedmote/ward/model/3/+"
    host.model()
    assert participant.model_filter is None
    _work(participant)
    chunk, body = _body(_pieces(participant))
    assert participant.state == rounds.WAITING
    assert chunk.kind == wire.UPDATE and len(body) == chunk.total and _authentic(chunk, body)
    report, kind, _, start = codec.unpack_report(body)
    assert report.version == 3 and report.samples == 48 and kind == codec.INT8
    assert (
        len(body) == start + codec.delta_bytes(codec.INT8, participant.local.learner.sizes) + wire.TAG_BYTES
    )
    host.tell("command", {"receipt": 4, "counter": chunk.counter, "result": "accepted"})
    assert participant.state == rounds.IDLE and participant.error is None


def test_update_is_the_difference_to_the_global_model():
    participant, host = _sending()
    _, body = _body(_pieces(participant))
    start = codec.unpack_report(body)[3]
    base = array("f", host.body)
    values = participant.local.learner.values
    expected = struct.pack("<%df" % len(base), *[a - b for a, b in zip(values, base)])
    assert body[start : -wire.TAG_BYTES] == expected


def test_model_chunks_may_come_twice_and_in_any_order():
    participant = _participant()
    big = array("f", [0.5] * len(participant.local.base))
    host = Host(participant, big)
    host.manifest()
    host.model([1, 1, 0])
    assert participant.state == rounds.COLLECTING and list(participant.local.base) == list(big)


def test_damaged_or_foreign_chunks_change_nothing():
    participant = _participant()
    host = Host(participant)
    host.manifest()
    topic, good = host.chunks()[0]
    bad = bytearray(good)
    bad[40] ^= 1
    participant.received(topic, bytes(bad), 0)
    participant.received(*host.chunks(version=2)[0], 0)
    participant.received(topic, b"", 0)
    assert participant.state == rounds.FETCHING
    host.model()
    assert participant.state == rounds.COLLECTING


def test_model_with_another_hash_is_not_used():
    participant = _participant()
    host = Host(participant)
    host.manifest(sha256="00" * 32)
    host.model()
    assert participant.state == rounds.FETCHING and "SHA-256" in participant.error
    assert max(participant.local.base) == 0.0


def test_missing_model_is_asked_for_again():
    participant = _participant()
    Host(participant).manifest()
    participant.step(4000)
    assert participant.model_filter is not None
    participant.step(5001)
    assert participant.model_filter is None
    participant.step(5002)
    assert participant.model_filter is not None


def test_model_is_fetched_in_memory_that_was_taken_at_the_start():
    participant = _participant()
    host = Host(participant)
    longest = []

    def watched(what):
        longest.append(what if isinstance(what, int) else len(what))
        return bytearray(what)

    rounds.bytearray = watched
    try:
        host.manifest(codec="int8")
        host.model()
        assert participant.state == rounds.COLLECTING
    finally:
        del rounds.bytearray
    assert all(count < len(host.body) for count in longest)
    _work(participant)
    assert participant.state == rounds.SENDING


def test_message_that_no_memory_is_left_for_is_taken_again_or_told():
    participant = _participant()
    host = Host(participant)
    taken = participant._memory.take
    failures = [2]

    def take(*values):
        if failures[0]:
            failures[0] -= 1
            raise MemoryError
        taken(*values)

    participant._memory.take = take
    host.manifest()
    assert participant.state == rounds.IDLE and "no memory" in participant.error
    failures[0] = 1
    host.manifest()
    assert participant.state == rounds.FETCHING and participant.model_filter is not None


def test_half_sent_update_resumes_after_reconnect():
    participant, _ = _sending()
    first = participant.next_message()
    topic, piece = first[0], bytes(first[1])
    participant.disconnected()
    again = participant.next_message()
    assert again[0] == topic and bytes(again[1]) == piece
    participant.delivered(topic, 0)
    participant.disconnected()
    chunk, body = _body([(topic, piece)] + _pieces(participant))
    assert len(body) == chunk.total and _authentic(chunk, body)


def test_update_without_receipt_is_sent_again_the_same():
    participant, _ = _sending()
    first = _pieces(participant)
    participant.step(3999)
    assert participant.next_message() is None
    participant.step(4001)
    assert _pieces(participant) == first
    participant.step(7999)  # the second pause is twice as long
    assert participant.next_message() is None


def test_refused_update_is_dropped_and_told():
    participant, host = _sending()
    chunk, _ = _body(_pieces(participant))
    host.tell("command", {"receipt": 4, "counter": chunk.counter, "result": "refused", "reason": "tag"})
    assert participant.state == rounds.IDLE and "tag" in participant.error


def test_receipt_for_something_else_is_ignored():
    participant, host = _sending()
    chunk, _ = _body(_pieces(participant))
    host.tell("command", {"receipt": 3, "counter": chunk.counter, "result": "accepted"})
    host.tell("command", {"receipt": 4, "counter": chunk.counter + 1, "result": "accepted"})
    assert participant.state == rounds.WAITING


def test_same_manifest_again_does_not_start_over():
    participant, host = _sending()
    host.manifest(codec="float32")
    assert participant.state == rounds.SENDING


def test_manifest_or_receipt_of_another_key_changes_nothing():
    participant = _participant()
    host = Host(participant)
    host.manifest(key=bytes(32))
    assert participant.state == rounds.IDLE and "tag" in participant.error
    participant, host = _sending()
    chunk, _ = _body(_pieces(participant))
    for result in ("accepted", "refused"):
        host.tell("command", {"receipt": 4, "counter": chunk.counter, "result": result}, key=bytes(32))
        assert participant.state == rounds.WAITING and "tag" in participant.error


def test_manifest_of_before_is_refused_within_a_run():
    participant = _participant()
    host = Host(participant)
    host.manifest()
    host.manifest(round=3, edition=9)
    host.manifest(edition=6)
    assert participant.round == 4 and "older" in participant.error
    host.manifest(round=1, edition=1, run="22222222")  # the aggregator began anew
    assert participant.round == 1


def test_manifest_of_before_is_refused_after_a_restart_by_what_the_memory_holds():
    memory = Memory()
    memory.take("0011aabb", 4, 7)
    participant = rounds.Participant("ward", "board-1", _KEY, learning.local(), lambda n: Shuffle(n), memory)
    host = Host(participant)
    host.manifest(edition=6)
    assert participant.state == rounds.IDLE
    host.manifest(edition=7)
    assert participant.state == rounds.FETCHING


def test_pause_and_resume_of_a_round_rest_and_start_the_board_again():
    participant, host = _sending()
    host.manifest(codec="float32", phase="idle", edition=8, pause_ms=600000)
    assert participant.state == rounds.IDLE and participant.pause_ms == 600000
    host.manifest(codec="float32", edition=9)
    assert participant.state == rounds.FETCHING and participant.pause_ms == 0


def test_manifest_tells_a_board_without_a_clock_the_time():
    participant = _participant()
    host = Host(participant)
    assert participant.time is None
    host.manifest(now=500)
    assert (participant.time, participant.time_at) == (3600, 500)
    host.manifest(now=900, time=3601)  # the same again, of now
    assert (participant.time, participant.time_at) == (3601, 900) and participant.state == rounds.FETCHING


def test_counter_rises_above_what_the_aggregator_has_seen_and_with_each_body():
    participant, host = _sending()
    first = wire.Chunk(_pieces(participant)[0][1]).counter
    assert first > 40
    host.manifest(codec="float32", round=5, edition=8, counter=first + 1000)
    participant.step(0)
    host.model()
    _work(participant)
    assert wire.Chunk(_pieces(participant)[0][1]).counter > first + 1000


def test_board_that_trains_only_the_head_sends_only_the_head():
    participant, host = _sending(depth=1)
    chunk, body = _body(_pieces(participant))
    learner = participant.local.learner
    report, kind, tensors, start = codec.unpack_report(body)
    assert tensors == 2 and learner.sizes[-2:] == learner.part_sizes and report.train_ms >= 0
    assert len(body) == start + 4 * sum(learner.part_sizes) + wire.TAG_BYTES and _authentic(chunk, body)
    base = array("f", host.body)
    assert list(learner.values)[: learner.part] == list(base)[: learner.part]
    moved = [a - b for a, b in zip(learner.values, base)][learner.part :]
    assert body[start : -wire.TAG_BYTES] == struct.pack("<%df" % len(moved), *moved) and max(moved) > 0


def test_new_round_replaces_the_one_under_way():
    participant, host = _sending()
    host.manifest(round=5)
    assert participant.state == rounds.FETCHING and participant.round == 5
    assert participant.next_message() is None


def test_board_without_enough_windows_waits_for_them():
    participant = _participant(count=10)
    host = Host(participant)
    host.manifest()
    host.model()
    _work(participant)
    assert participant.state == rounds.COLLECTING
    for row, label in learning.rows(20):
        participant.local.ring.add(row, label)
    _work(participant)
    assert participant.state == rounds.SENDING


def test_board_without_labels_uses_the_new_model_and_sends_nothing():
    participant = _participant(count=0)
    for row, _ in learning.rows(20):
        participant.local.ring.add(row, None)
    host = Host(participant)
    host.manifest()
    host.model()
    _work(participant)
    assert participant.state == rounds.IDLE and participant.next_message() is None
    assert participant.local.version == 3 and participant.local.report is None


def test_evaluator_sends_an_evaluation_without_a_delta():
    participant, _ = _sending(learns=False)
    chunk, body = _body(_pieces(participant))
    assert chunk.kind == wire.EVALUATION and _authentic(chunk, body)
    report, kind, tensors, start = codec.unpack_report(body)
    assert (kind, tensors, start) == (codec.NONE, 0, len(body) - wire.TAG_BYTES) and report.evaluated == 60


def test_manifest_for_another_network_or_with_nonsense_is_refused():
    for change in (
        {"layout": "00000000"}, {"size": 8}, {"codec": "zip"}, {"protocol": 1}, {"protocol": 3},
        {"sha256": ""}, {"epochs": "many"}, {"rate": 1e9}, {"epochs": -1},
    ):  # fmt: skip
        participant = _participant()
        Host(participant).manifest(**change)
        assert participant.state == rounds.IDLE and participant.error, change
    participant.received(participant.round_topic, b"[", 0)
    participant.received(participant.round_topic, b"x" * 5000, 0)
    assert participant.state == rounds.IDLE
