"""A flash that loses power amid its writes, below the file systems of boards. Only MicroPython has those."""

import gc

try:
    import vfs
except ImportError:
    vfs = None

ROOT = "/flash/"
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


def after_each_cut(kind, prepare, play, check):
    """Call ``play`` once, then ``check`` on the flash as each of its writes, done by half, would leave it.

    kind: a file system of ``vfs``, mounted at ROOT. prepare: fills it. Return how many writes those were.
    """
    flash = Flash()
    kind.mkfs(flash)
    image = bytearray()

    def begin():
        prepare()
        image.extend(flash.content)
        flash.log = []
        play()

    _mounted(kind, flash, begin)
    log, flash.log = flash.log, None
    for at, data in log:
        image[at : at + len(data) // 2] = data[: len(data) // 2]
        flash.content[:] = image
        gc.collect()
        _mounted(kind, flash, check)
        image[at : at + len(data)] = data
    return len(log)


def _mounted(kind, flash, function):
    vfs.mount(kind(flash), ROOT[:-1])
    try:
        function()
    finally:
        vfs.umount(ROOT[:-1])
