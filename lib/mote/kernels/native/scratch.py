"""Memory that ops use while they run and leave to the next one: one piece for all of them."""

import gc
from array import array

from uctypes import addressof

LIMIT = 24576

_LITTLE = 2048
_ENOUGH = 20480  # of more than a little, at once: pieces that grow leave holes that nothing fits
_memory = bytearray(16)
_place = array("I", [addressof(_memory)])


def reserve(size, least):
    """Return how many bytes there are from now on: ``size``, or at least ``least`` where memory is short.

    To be called when an op is bound. Raises MemoryError.
    """
    global _memory
    if len(_memory) >= size:
        return size
    for target in (size if size <= _LITTLE else max(size, min(_ENOUGH, _free() // 3)), size, least):
        if len(_memory) >= target:
            break
        try:
            _memory = bytearray(target)
            _place[0] = addressof(_memory)
        except MemoryError:
            if target == least:
                raise
    return min(size, len(_memory))


def expect(most, others):
    """Take memory before a model is read and its pieces lie in the way.

    most: as large as it may be. others: bytes of what is to come for certain.
    """
    free = _free() - others
    if free > 0:
        try:
            reserve(min(most, _ENOUGH, free // 3), 0)
        except MemoryError:  # ``reserve`` will tell, where that is too little
            pass


def place():
    """Return the address of the word that holds its address, a multiple of 4: another op may make it move."""
    return addressof(_place)


def _free():
    return gc.mem_free() if hasattr(gc, "mem_free") else LIMIT  # CPython does not tell
