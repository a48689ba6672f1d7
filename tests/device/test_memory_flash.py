"""What a board remembers of its rounds on the real file systems of boards, littlefs and FAT, whose flash
loses power amid its writes. Only MicroPython has them."""

import gc

from remembering import Mounted
from test_update_flash import Flash, vfs

from mote.memory import Memory

_ROOT = "/flash/"
_TAG = bytes(32)
_MODEL = bytes(n * 13 & 255 for n in range(10500))
_DIGEST = "5f" * 32


def _round(number):
    """One round of a board, from its start to its body on the drive, half of a model fetched."""
    board = Memory(_ROOT)
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
    flash = Flash()
    kind.mkfs(flash)
    vfs.mount(kind(flash), _ROOT[:-1])
    try:
        first = _round(1)
        image = bytearray(flash.content)
        flash.log = []
        assert _round(2)[0] == ("0011aabb", 1, 1)
    finally:
        vfs.umount(_ROOT[:-1])
    log, flash.log = flash.log, None
    for at, data in log:
        image[at : at + len(data) // 2] = data[: len(data) // 2]
        flash.content[:] = image
        gc.collect()
        vfs.mount(kind(flash), _ROOT[:-1])
        try:
            newest, known, counter, lacking = _round(3)
            assert newest in (("0011aabb", 1, 1), ("0011aabb", 2, 1)), newest
            assert known is None or first[2] < known < counter, (first, known, counter)
            assert lacking in (7, 3), lacking
            assert Memory(_ROOT).body("3").counter == counter
        finally:
            vfs.umount(_ROOT[:-1])
        image[at : at + len(data)] = data
    return len(log)


def test_power_cut_amid_any_write_to_the_flash_costs_no_more_than_that_write_on_littlefs():
    if vfs is not None:
        with Mounted(None):
            assert _all_cuts(vfs.VfsLfs2) > 10


def test_power_cut_amid_any_write_to_the_flash_costs_no_more_than_that_write_on_fat():
    if vfs is not None:
        with Mounted(None):
            assert _all_cuts(vfs.VfsFat) > 30
