"""Updates over the air on the real file systems of boards, littlefs and FAT, on a flash that loses power amid
its writes. Only MicroPython has them."""

import os

from flash import ROOT, after_each_cut, vfs
from updating import AFTER, FIXED, OLD, Board, Release, starter


def _write(files):
    for path, content in files.items():
        starter.make_parents(ROOT + path, ROOT)
        with open(ROOT + path, "wb") as file:
            file.write(content)


def _files(folder=ROOT[:-1]):
    found = {}
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            found.update(_files(path))
        else:
            with open(path, "rb") as file:
                found[path[len(ROOT) :]] = file.read()
    return found


def _start(retained, healthy):
    """One start of the board. Return whether it restarts, and whether it has the new version."""
    board = Board(retained, ROOT)
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
    retained = Release().retained()

    def prepare():
        board_files = dict(OLD)
        board_files.update(FIXED)
        _write(board_files)

    def play():
        _play(retained, healthy)

    return after_each_cut(kind, prepare, play, play)


def test_power_cut_amid_any_write_to_the_flash_leaves_a_whole_version_on_littlefs():
    if vfs is not None:
        for healthy in (True, False):
            assert _all_cuts(vfs.VfsLfs2, healthy) > 60


def test_power_cut_amid_any_write_to_the_flash_leaves_a_whole_version_on_fat():
    if vfs is not None:
        for healthy in (True, False):
            assert _all_cuts(vfs.VfsFat, healthy) > 100
