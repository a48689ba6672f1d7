"""Memory that ops use while they run and leave to the next one: one piece for all of them."""

import gc
from array import array

from uctypes import addressof

LIMIT = 24576

_LITTLE = 2048
_ENOUGH = 20480  # of more than a little, at once: pieces that grow leave holes that nothing fits
_PART = 5  # of the heap that is free, so that others find something
_memory = bytearray(16)
_place = array("I", [addressof(_memory)])


def reserve(size, least):
    """Return how many bytes there are from now on: ``size``, or at least ``least`` where memory is short.

    To be called when an op is bound. Raises MemoryError.
    """
    wanted = size if size <= _LITTLE else max(least, min(max(size, _ENOUGH), _free() // _PART))
    if len(_memory) < size and not _take(wanted) and not _take(least):
        raise MemoryError
    return min(size, len(_memory))


def expect(model):
    """Take memory before a model has its ``model`` bytes of heap, where little is left among its pieces."""
    free = _free()
    if 4 * model > free:
        _take(min(_ENOUGH, (free - model) // _PART))


def place():
    """Return the address of the word that holds its address, a multiple of 4: another op may make it move."""
    return addressof(_place)


def _take(size):
    """Return whether there are so many bytes now."""
    global _memory
    if len(_memory) < size:
        try:
            _memory = bytearray(size)
        except MemoryError:
            return False
        _place[0] = addressof(_memory)
    return True


def _free():
    return gc.mem_free() if hasattr(gc, "mem_free") else _PART * LIMIT  # CPython does not tell
