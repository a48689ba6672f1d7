"""A board that loses its power amid a round goes on with it: the same body, the pieces that are missing."""

import json

import learning
from remembering import NOTHING, Drive, Mounted, ReadOnly, cuts

from mote import rounds, wire
from mote.local import Shuffle
from mote.memory import Memory
from mote.port import sha256

_KEY = bytes(range(32))
_DEVICE = "board-1"
_BIG = 1000  # bytes of a model whose pieces are kept


class _Aggregator:
    """The other side, by hand, with the model that its broker retains."""

    round, edition, version, counter = 4, 1, 3, 0

    def __init__(self):
        local = learning.local()
        learning.start_values(local)
        self.body = bytes(local.base)
        self.layout = local.learner.layout
        self.fetched = []

    def manifest(self, participant, **changes):
        digest = sha256()
        digest.update(self.body)
        manifest = {
            "protocol": wire.PROTOCOL, "run": "0011aabb", "round": self.round, "edition": self.edition,
            "version": self.version, "phase": "train", "layout": self.layout, "size": len(self.body),
            "sha256": "".join("%02x" % byte for byte in digest.digest()), "codec": "float32", "epochs": 1,
            "batch": 8, "rate": 0.1, "decay": 0.0, "deadline_ms": 60000, "counter": self.counter,
            "time": 43200, "pause_ms": 0,
        }  # fmt: skip
        manifest.update(changes)
        self._tell(participant, wire.MANIFEST_SEAL, participant.round_topic, manifest)

    def receipt(self, participant, payload, result="accepted"):
        receipt = {
            "receipt": self.round,
            "counter": wire.Chunk(payload).counter,
            "result": result,
            "reason": "length",
        }
        self._tell(participant, wire.RECEIPT_SEAL, participant.command_topic, receipt)

    def serve(self, participant, most=100):
        """Bring so many of the pieces that are asked for; return their indices."""
        brought = []
        while participant.model_filter is not None and len(brought) < most:
            topic = participant.model_filter
            last = topic[topic.rfind("/") + 1 :]
            for index in range(wire.piece_count(len(self.body))) if last == "+" else [int(last)]:
                if participant.state == rounds.FETCHING and len(brought) < most:
                    participant.received(topic, self._chunk(index), 0)
                    brought.append(index)
        return brought

    def _chunk(self, index):
        piece = self.body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
        message = bytearray(wire.HEADER_BYTES) + piece
        wire.write_header(message, len(piece), wire.MODEL, self.version, 0, index, len(self.body))
        return bytes(message)

    def _tell(self, participant, purpose, topic, values):
        text = json.dumps(values).replace(" ", "").encode()
        participant.received(topic, wire.seal(_KEY, purpose, "ward", _DEVICE, text), 0)


def _board():
    """A board that has just been switched on."""
    return rounds.Participant("ward", _DEVICE, _KEY, learning.local(count=20), Shuffle, Memory(""))


def _work(participant):
    """Let it work to the end; return the states that it was in."""
    states = []
    while participant.step(0):
        if participant.state not in states:
            states.append(participant.state)
    return states


def _pieces(participant, most=100):
    """Take so many of the pieces that it offers; the broker acknowledges each."""
    taken = []
    while len(taken) < most:
        message = participant.next_message()
        if message is None:
            break
        taken.append(bytes(message[1]))
        participant.delivered(message[0], 0)
    return taken


def _trained(aggregator, participant):
    aggregator.manifest(participant)
    aggregator.serve(participant)
    assert rounds.TRAINING in _work(participant) and participant.state == rounds.SENDING


def _sending():
    aggregator, participant = _Aggregator(), _board()
    _trained(aggregator, participant)
    return aggregator, participant


def test_board_that_lost_power_while_sending_sends_the_same_body_and_does_not_train():
    with Mounted(Drive()):
        aggregator, before = _sending()
        whole = _pieces(before)
        after = _board()
        aggregator.manifest(after)
        assert after.state == rounds.SENDING and _work(after) == []
        assert _pieces(after) == whole and after.state == rounds.WAITING


def test_resumed_board_goes_live_after_its_receipt_and_trains_in_the_next_round():
    with Mounted(Drive()):
        aggregator, _ = _sending()
        after = _board()
        aggregator.manifest(after)
        aggregator.receipt(after, _pieces(after)[0])
        assert after.state == rounds.FETCHING and after.local.version is None
        aggregator.serve(after)
        assert rounds.TRAINING not in _work(after)
        assert after.state == rounds.IDLE and after.local.version == 3
        aggregator.round, aggregator.version = 5, 4
        _trained(aggregator, after)


def test_board_that_slept_while_sending_sends_only_what_the_broker_lacks():
    with Mounted(Drive(), block=1):
        aggregator, before = _sending()
        first = _pieces(before, 1)
        after = _board()
        aggregator.manifest(after)
        rest = _pieces(after)
        assert [wire.Chunk(piece).index for piece in first + rest] == [0, 1]
        # The last piece goes again also where the broker has all: it brings the receipt.
        last = _board()
        aggregator.manifest(last)
        assert _pieces(last) == rest


def test_body_that_was_accepted_before_the_power_was_lost_is_not_sent_again():
    with Mounted(Drive()):
        aggregator, before = _sending()
        aggregator.counter = wire.Chunk(_pieces(before)[0]).counter  # as a manifest of later says
        after = _board()
        aggregator.manifest(after)
        assert after.next_message() is None and after.state == rounds.FETCHING
        aggregator.serve(after)
        _work(after)
        assert after.state == rounds.IDLE and after.local.version == 3


def test_power_cut_at_any_write_of_a_round_ends_in_one_whole_body_with_a_counter_of_its_own():
    aggregator = _Aggregator()
    sent = []

    def work():
        participant = _board()
        _trained(aggregator, participant)
        sent.extend(_pieces(participant))

    resumed = 0
    for state in cuts(NOTHING, work, lambda length: (1, length // 2)):
        with Mounted(Drive(state)):
            after = _board()
            aggregator.manifest(after)
            if after.state == rounds.FETCHING:
                aggregator.serve(after)
                assert rounds.TRAINING in _work(after)
            else:
                resumed += 1
            pieces = _pieces(after)
            chunks = [wire.Chunk(piece) for piece in pieces]
            body = b"".join([bytes(chunk.piece) for chunk in chunks])
            tag = wire.Tag(_KEY, "ward", "0011aabb", _DEVICE, wire.UPDATE, 4, chunks[0].counter)
            tag.update(body[: -wire.TAG_BYTES])
            assert len(body) == chunks[0].total and tag.digest() == body[-wire.TAG_BYTES :]
            for piece in sent:  # pieces of two bodies under one counter would be mixed
                assert piece in pieces or wire.Chunk(piece).counter != chunks[0].counter
        sent.clear()
    assert resumed >= 2


def test_board_that_lost_power_while_fetching_asks_only_for_missing_pieces():
    with Mounted(Drive(), _BIG, 1):
        aggregator, before = _Aggregator(), _board()
        aggregator.manifest(before)
        assert before.model_filter.endswith("/+")
        assert aggregator.serve(before, 1) == [0]
        after = _board()
        aggregator.manifest(after)
        assert after.model_filter.endswith("/1") and aggregator.serve(after) == [1]
        assert rounds.TRAINING in _work(after)


def test_big_model_that_is_kept_whole_is_not_fetched_again():
    with Mounted(Drive(), _BIG):
        aggregator, before = _Aggregator(), _board()
        aggregator.manifest(before)
        aggregator.serve(before)
        after = _board()
        aggregator.manifest(after)
        assert after.state == rounds.COLLECTING and bytes(after.local.base) == aggregator.body


def test_piece_that_was_lost_on_the_way_is_asked_for_alone():
    with Mounted(Drive()):
        aggregator, participant = _Aggregator(), _board()
        aggregator.manifest(participant)
        aggregator.serve(participant, 1)
        participant.step(5001)
        participant.step(5002)
        assert participant.model_filter.endswith("/1")


def test_manifest_of_before_is_refused_also_after_a_loss_of_power():
    with Mounted(Drive()):
        aggregator, _ = _sending()
        after = _board()
        aggregator.round = 3
        aggregator.manifest(after)
        assert "older" in after.error and after.state == rounds.IDLE


def test_later_deadline_or_a_pause_does_not_cost_a_second_training():
    with Mounted(Drive()):
        aggregator, participant = _sending()
        whole = _pieces(participant, 1)
        aggregator.edition = 2
        aggregator.manifest(participant, deadline_ms=120000)
        assert participant.state == rounds.SENDING
        whole += _pieces(participant)
        aggregator.edition = 3
        aggregator.manifest(participant, phase="idle")
        assert participant.state == rounds.IDLE and participant.next_message() is None
        aggregator.edition = 4
        aggregator.manifest(participant)
        assert participant.state == rounds.SENDING and _pieces(participant) == whole
        aggregator.receipt(participant, whole[0])
        aggregator.edition = 5
        aggregator.manifest(participant)
        assert participant.state == rounds.IDLE


def test_refused_body_is_not_resumed():
    with Mounted(Drive()):
        aggregator, participant = _sending()
        aggregator.receipt(participant, _pieces(participant)[0], "refused")
        assert participant.state == rounds.IDLE and "refused" in participant.error
        after = _board()
        aggregator.manifest(after)
        assert after.state == rounds.FETCHING


def test_board_whose_drive_is_read_only_takes_part():
    with Mounted(ReadOnly()):
        _sending()
