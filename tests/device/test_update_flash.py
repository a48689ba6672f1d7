"""Updates over the air on the real file systems of boards, littlefs and FAT, on a flash that loses power amid
its writes. Only MicroPython has them."""

import gc
import os

from updating import AFTER, FIXED, OLD, Board, Release, starter

try:
    import vfs
except ImportError:
    vfs = None

_ROOT = "/flash/"
_BLOCK = 512
_BLOCKS = 96


class Flash:
    """A flash in memory that logs what is written: (offset, bytes)."""

    def __init__(self, content=None):
        self.content = bytearray(_BLOCK * _BLOCKS) if content is None else content
        self.log = None

    def readblocks(self, block, buffer, offset=0):
        at = block * _BLOCK + offset
        buffer[:] = memoryview(self.content)[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * _BLOCK + offset
        if self.log is not None:
            self.log.append((at, bytes(buffer)))
        self.content[at : at + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return _BLOCKS
        if operation == 5:
            return _BLOCK
        return 0


def _write(files):
    for path, content in files.items():
        starter.make_parents(_ROOT + path, _ROOT)
        with open(_ROOT + path, "wb") as file:
            file.write(content)


def _files(folder=_ROOT[:-1]):
    found = {}
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            found.update(_files(path))
        else:
            with open(path, "rb") as file:
                found[path[len(_ROOT) :]] = file.read()
    return found


def _start(retained, healthy):
    """One start of the board. Return whether it restarts, and whether it has the new version."""
    board = Board(retained, _ROOT)
    files = _files()
    live = {path: content for path, content in files.items() if not path.startswith("ota/")}
    new = board.journal.state in (starter.Journal.TRIAL, starter.Journal.CONFIRMED)
    expected = dict(AFTER if new else OLD)
    expected.update(FIXED)
    assert live == expected, (board.journal.state, sorted(files))
    if board.updater.trial:
        if not healthy:
            return True, new
        board.updater.confirm()
    board.run()
    return board.updater.restart_wanted, new


def _play(retained, healthy):
    """Start until the update has come to its end, and check that."""
    for _ in range(10):
        again, new = _start(retained, healthy)
        if not again:
            break
    assert new == healthy and not again


def _all_cuts(kind, healthy):
    """Play an update once, then again from each of its writes, done by half. Return how many those were."""
    flash = Flash()
    kind.mkfs(flash)
    vfs.mount(kind(flash), _ROOT[:-1])
    try:
        board_files = dict(OLD)
        board_files.update(FIXED)
        _write(board_files)
        retained = Release().retained()
        image = bytearray(flash.content)
        flash.log = []
        _play(retained, healthy)
    finally:
        vfs.umount(_ROOT[:-1])
    log, flash.log = flash.log, None
    for at, data in log:
        image[at : at + len(data) // 2] = data[: len(data) // 2]
        flash.content[:] = image
        gc.collect()
        vfs.mount(kind(flash), _ROOT[:-1])
        try:
            _play(retained, healthy)
        finally:
            vfs.umount(_ROOT[:-1])
        image[at : at + len(data)] = data
    return len(log)


def test_power_cut_amid_any_write_to_the_flash_leaves_a_whole_version_on_littlefs():
    if vfs is not None:
        for healthy in (True, False):
            assert _all_cuts(vfs.VfsLfs2, healthy) > 60


def test_power_cut_amid_any_write_to_the_flash_leaves_a_whole_version_on_fat():
    if vfs is not None:
        for healthy in (True, False):
            assert _all_cuts(vfs.VfsFat, healthy) > 100
