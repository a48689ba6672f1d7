"""For the tests of what a board remembers: a drive that loses power amid any write."""

import updating

from mote import kept, memory

NOTHING = (), ()


class CutError(Exception):
    """The power is gone."""


class Drive(updating.Drive):
    """Counts how often a file was opened to be written. last: how many changes there are until the power is
    cut. torn: see updating.Drive."""

    writes = 0

    def __init__(self, state=NOTHING, through=False, last=None, free=1 << 20, torn=None):
        super().__init__(state, through, torn or _anywhere, free)
        self._left = last

    def changes(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise CutError

    def open(self, path, mode="r"):
        if mode != "r" and mode != "rb":
            self.writes += 1
        return super().open(path, mode)


class ReadOnly(Drive):
    """A drive that takes nothing."""

    def open(self, path, mode="r"):
        if mode != "r" and mode != "rb":
            raise OSError(30)
        return super().open(path, mode)


class Mounted:
    """A context in which a memory's files are on a drive, or the board's own where it is None.

    Models of ``model_bytes`` are big; their pieces, and those of a body, are counted in blocks of ``block``.
    """

    def __init__(self, drive, model_bytes=10000, block=4):
        self._drive = drive
        self._sizes = model_bytes, block

    def __enter__(self):
        self._before = memory.MODEL_BYTES, memory.BLOCK
        memory.MODEL_BYTES, memory.BLOCK = self._sizes
        memory.open = kept.open = self._drive.open if self._drive else open
        return self._drive

    def __exit__(self, *error):
        memory.MODEL_BYTES, memory.BLOCK = self._before
        memory.open = kept.open = open


def cuts(state, work, torn=None):
    """Yield every state in which a power cut could leave a drive during ``work()``."""
    for through in (True, False):
        last, cut = 0, True
        while cut:
            with Mounted(Drive(state, through, last, torn=torn)) as drive:
                try:
                    work()
                    cut = False
                except CutError:
                    last += 1
            yield drive.state()


def _anywhere(length):
    """After how many bytes a write may end: all of them where they are few."""
    return range(1, length) if length < 100 else (1, length // 2, length - 1)
