"""What a board remembers of its rounds after its power was cut, at any write and at any byte of it."""

from remembering import NOTHING, Drive, Mounted, ReadOnly, cuts

from mote import memory
from mote.memory import COUNTERS, Memory
from mote.port import sha256

_IDENTITY = "0011aabb 4 3"
_BODY = bytes(n * 7 & 255 for n in range(2500))
_TAG = bytes(range(32))
_MODEL = bytes(n * 13 & 255 for n in range(10500))


def _keep(board, counter=1, body=_BODY, identity=_IDENTITY):
    board.begin_body(identity, 2, counter, len(body))
    for start in range(0, len(body), 1000):
        board.add(body[start : start + 1000])
    board.end_body(_TAG)


def _read(body):
    out = b""
    piece = bytearray(1000)
    while len(out) < body.total:
        out += bytes(piece[: body.read_into(piece, len(out))])
    return out


def _fetch(board, have, model=_MODEL, indices=None):
    """Take missing pieces as they come."""
    body = bytearray(len(model))
    digest = _digest(model)
    flags = board.pieces(digest, body)
    for index in indices or range(len(flags)):
        if not flags[index]:
            body[index * 1000 : (index + 1) * 1000] = model[index * 1000 : (index + 1) * 1000]
            flags[index] = 1
            have.append(index)
            board.got(index, body)
    return body


def _digest(data):
    digest = sha256()
    digest.update(data)
    return "".join("%02x" % byte for byte in digest.digest())


def test_counter_and_newest_manifest_survive_any_power_cut():
    with Mounted(Drive()) as drive:
        board = Memory("")
        board.take("0011aabb", 4, 1)
        highest = board.counter(0)
    seen, given = set(), []

    def work(board):
        given[:] = [highest]
        board.take("0011aabb", 5, 2)
        for _ in range(2 * COUNTERS):
            given.append(board.counter(0))

    for state in cuts(drive.state(), lambda: work(Memory(""))):
        with Mounted(Drive(state)):
            board = Memory("")
            seen.add(board.newest)
            assert board.counter(0) > given[-1]
    assert seen == {("0011aabb", 4, 1), ("0011aabb", 5, 2)}


def test_counter_starts_anywhere_where_nothing_is_known_and_beyond_what_was_accepted():
    starts = {Memory().counter(0) for _ in range(5)}
    assert len(starts) > 1
    assert Memory().counter(1000000) > 1000000


def test_one_write_suffices_for_256_bodies():
    with Mounted(Drive()) as drive:
        board = Memory("")
        board.take("0011aabb", 1, 1)
        assert drive.writes == 1
        for _ in range(COUNTERS):
            board.counter(0)
        assert drive.writes <= 2


def test_a_round_costs_two_writes_and_quick_rounds_cost_none_after_some():
    now = [0]
    memory.ticks_ms, real = lambda: now[0], memory.ticks_ms
    try:
        with Mounted(Drive()) as drive:
            board = Memory("")
            for number in range(1, 100):
                board.take("0011aabb", number, 1)
                _keep(board, board.counter(0))
                assert drive.writes <= 2 * number + 1  # the very first counter
                now[0] += 1000
            assert drive.writes <= 2 * 8 + 1
            writes = drive.writes
            now[0] += 10 * 60 * 1000
            board.take("0011aabb", 100, 1)
            _keep(board, board.counter(0))
            assert drive.writes == writes + 2
    finally:
        memory.ticks_ms = real


def test_what_was_not_written_at_once_is_before_a_sleep():
    with Mounted(Drive()) as drive:
        board = Memory("")
        for number in range(1, 20):
            board.take("0011aabb", number, 1)
        assert Memory("").newest[1] < 19
        board.save()
        writes = drive.writes
        board.save()
        assert drive.writes == writes and Memory("").newest == ("0011aabb", 19, 1)


def test_body_is_whole_or_none_after_any_power_cut():
    whole = 0
    for state in cuts(NOTHING, lambda: _keep(Memory(""))):
        with Mounted(Drive(state)):
            body = Memory("").body(_IDENTITY)
            if body is not None:
                whole += 1
                assert (body.kind, body.counter, body.total, bytes(body.tag)) == (2, 1, len(_BODY), _TAG)
                assert _read(body) == _BODY
    assert 0 < whole < 5


def test_body_of_another_round_is_none():
    with Mounted(Drive()):
        _keep(Memory(""))
        assert Memory("").body("0011aabb 5 3") is None
        assert Memory("").body(_IDENTITY) is not None
        board = Memory("")
        board.body(_IDENTITY)
        board.forget_body()
        assert Memory("").body(_IDENTITY) is None


def test_body_that_was_left_half_written_is_none():
    with Mounted(Drive()):
        board = Memory("")
        board.begin_body(_IDENTITY, 2, 1, len(_BODY))
        board.add(_BODY[:1000])
        board.close()
        assert board.body(_IDENTITY) is None
        _keep(board, 2)
        assert board.body(_IDENTITY).counter == 2


def test_pieces_that_the_broker_has_are_known_in_blocks_and_of_this_body_only():
    big = bytes(10000)
    with Mounted(Drive()) as drive:
        board = Memory("")
        _keep(board, 7, big)
        writes = drive.writes
        for count in range(11):
            board.sent(7, count)
        assert drive.writes == writes + 2
        assert Memory("").body(_IDENTITY).sent == 8
        _keep(board, 8, big)
        assert Memory("").body(_IDENTITY).sent == 0


def test_receipt_is_known_after_a_sleep():
    with Mounted(Drive()):
        board = Memory("")
        _keep(board, 7)
        board.answered(6)
        board.save()
        assert not Memory("").body(_IDENTITY).answered
        board.answered(7)
        board.save()
        assert Memory("").body(_IDENTITY).answered


def test_only_missing_pieces_are_fetched_after_any_power_cut():
    def half(board):
        _fetch(board, [], indices=[9, 8, 2, 3, 4, 10])

    counts = set()
    for state in cuts(NOTHING, lambda: half(Memory(""))):
        with Mounted(Drive(state, True)):
            again, third = [], []
            assert _fetch(Memory(""), again) == _MODEL
            counts.add(len(again))
            assert _fetch(Memory(""), third) == _MODEL
            assert third == []  # also what was written over a spoilt block
    assert counts == {11, 7}


def test_pieces_of_another_model_or_of_a_small_one_are_not_kept():
    other = bytes(len(_MODEL))
    with Mounted(Drive()) as drive:
        _fetch(Memory(""), [])
        again = []
        assert _fetch(Memory(""), again, other) == other
        assert len(again) == 11
        writes = drive.writes
        _fetch(Memory(""), [], _MODEL[:9000])
        assert drive.writes == writes


def test_a_model_costs_a_write_for_a_block_of_pieces():
    with Mounted(Drive()) as drive:
        _fetch(Memory(""), [])
        assert drive.writes == 3


def test_model_whose_sum_was_wrong_is_fetched_anew():
    with Mounted(Drive()):
        board = Memory("")
        body = _fetch(board, [])
        board.forget_model()
        for index in range(11):
            board.got(index, body)
        again = []
        _fetch(Memory(""), again)
        assert again == []


def test_board_whose_drive_is_read_only_says_so_and_goes_on():
    with Mounted(ReadOnly()):
        board = Memory("")
        board.take("0011aabb", 4, 1)
        assert "not kept" in board.error and board.newest == ("0011aabb", 4, 1)
        board.error = None
        counters = [board.counter(0) for _ in range(600)]
        assert counters == sorted(set(counters))
        _keep(board)
        assert board.body(_IDENTITY) is None
        assert _fetch(board, []) == _MODEL
        board.save()
        assert board.error is None  # it was said once


def test_board_whose_drive_is_full_goes_on():
    drive = Drive(free=300, through=True)
    with Mounted(drive):
        board = Memory("")
        board.take("0011aabb", 4, 1)
        assert board.error is None
        _keep(board)
        assert "not kept" in board.error and board.body(_IDENTITY) is None
        assert Memory("").newest == ("0011aabb", 4, 1)


def test_damaged_files_are_as_good_as_none():
    with Mounted(Drive()) as drive:
        board = Memory("")
        board.take("0011aabb", 4, 1)
        _keep(board)
        _fetch(board, [])
        for path, content in list(drive.files.items()):
            for at in (0, 5, 20, 50, len(content) // 2, len(content) - 1):
                if at < len(content):
                    drive.files[path] = content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :]
                    again = Memory("")
                    assert again.newest in (None, ("0011aabb", 4, 1))
                    body = again.body(_IDENTITY)
                    assert body is None or _read(body) == _BODY
                    assert _fetch(again, []) == _MODEL
                    drive.files[path] = content
