"""What a board remembers of its rounds on the real file systems of boards, littlefs and FAT, whose flash
loses power amid its writes. Only MicroPython has them."""

from flash import ROOT, after_each_cut, vfs
from remembering import Mounted

from mote.memory import Memory

_TAG = bytes(32)
_MODEL = bytes(n * 13 & 255 for n in range(10500))
_DIGEST = "5f" * 32


def _round(number):
    """One round of a board, from its start to its body on the drive, half of a model fetched."""
    board = Memory(ROOT)
    newest, known = board.newest, board.body("%d" % (number - 1))
    counter = board.counter(0)
    board.take("0011aabb", number, 1)
    lacking = _fetch(board, 6)
    board.begin_body("%d" % number, 2, counter, 3000)
    for _ in range(3):
        board.add(bytes([number]) * 1000)
    board.end_body(_TAG)
    assert board.error is None, board.error
    return newest, known and known.counter, counter, lacking


def _fetch(board, count):
    """Take so many of the missing pieces; return how many were missing."""
    body = bytearray(len(_MODEL))
    have = board.pieces(_DIGEST, body)
    missing = [index for index in range(len(have)) if not have[index]]
    for index in missing[:count]:
        body[index * 1000 : (index + 1) * 1000] = _MODEL[index * 1000 : (index + 1) * 1000]
        board.got(index, body)
    for index in range(len(have)):
        if have[index]:
            assert body[index * 1000 : (index + 1) * 1000] == _MODEL[index * 1000 : (index + 1) * 1000]
    return len(missing)


def _all_cuts(kind):
    """Play a second round once, then again from each of its writes, done by half; return how many those
    were."""
    first = []

    def prepare():
        first.extend(_round(1))

    def play():
        assert _round(2)[0] == ("0011aabb", 1, 1)

    def check():
        newest, known, counter, lacking = _round(3)
        assert newest in (("0011aabb", 1, 1), ("0011aabb", 2, 1)), newest
        assert known is None or first[2] < known < counter, (first, known, counter)
        assert lacking in (7, 3), lacking
        assert Memory(ROOT).body("3").counter == counter

    return after_each_cut(kind, prepare, play, check)


def test_power_cut_amid_any_write_to_the_flash_costs_no_more_than_that_write_on_littlefs():
    if vfs is not None:
        with Mounted(None):
            assert _all_cuts(vfs.VfsLfs2) > 10


def test_power_cut_amid_any_write_to_the_flash_costs_no_more_than_that_write_on_fat():
    if vfs is not None:
        with Mounted(None):
            assert _all_cuts(vfs.VfsFat) > 30
