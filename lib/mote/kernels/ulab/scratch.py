"""Memory that ops use while they run and leave to the next one: a few pieces for all of them."""

import gc

from ulab import numpy as np

#: names of the pieces
TILE, PRODUCT, UPPER, HIGH, LOW, ROWS = range(6)

_LARGEST = 4096  # products at a time: with more, little time is saved
_SMALLEST = 512
_SHARE = 40  # bytes of free memory for each of these; the pieces take 6 of them

_memory = [None] * 6
_limit = None


def limit():
    """Return how many products are to be made at a time: as memory is short when it is asked first."""
    global _limit
    if _limit is None:
        _limit = _LARGEST
        if hasattr(gc, "mem_free"):
            gc.collect()
            _limit = min(_LARGEST, max(_SMALLEST, gc.mem_free() // _SHARE))
    return _limit


def reserve(piece, count):
    """Make sure that the piece holds ``count`` numbers of int16. To be called when an op is bound. Raises
    MemoryError."""
    if _memory[piece] is None or len(_memory[piece]) < 2 * count:
        _memory[piece] = None  # so that the new one may lie there
        _memory[piece] = bytearray(2 * _rounded(count))


def of(piece):
    """Return the piece. Another op may have exchanged it since this one was bound."""
    return _memory[piece]


def int16s(piece, count):
    """Return the first ``count`` numbers of the piece as an array."""
    return np.frombuffer(_memory[piece], dtype=np.int16, count=count)


def _rounded(count):
    """Return what to allocate, so that the pieces seldom grow: memory has no room for that later."""
    size = _limit or 1
    while size // 2 >= max(count, 1):
        size //= 2
    return max(size, count)
