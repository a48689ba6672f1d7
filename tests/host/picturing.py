"""For the exploration: what an object holds, as one hashable value, so that equal states can be told."""

from array import array
from collections import deque
from collections.abc import Collection, Mapping
from types import FunctionType, MethodType
from typing import Any

_PLAIN = (int, float, str, bytes, type(None))


def picture(thing: Any, hidden: Mapping[type, Collection[str]]) -> Any:
    """Return a value that is equal for two objects that hold the same.

    hidden: by class the attributes that are left out; ``"*"`` for all of them.
    """
    if isinstance(thing, _PLAIN):
        return thing
    if isinstance(thing, bytearray | array | memoryview):
        return bytes(thing)
    if isinstance(thing, list | tuple | deque):
        return tuple([picture(one, hidden) for one in thing])
    if isinstance(thing, dict):
        return tuple(sorted([(picture(k, hidden), picture(v, hidden)) for k, v in thing.items()]))
    if isinstance(thing, set | frozenset):
        return tuple(sorted([picture(one, hidden) for one in thing]))
    if isinstance(thing, FunctionType | MethodType | type):
        return thing.__qualname__
    name, left_out = type(thing).__name__, hidden.get(type(thing), ())
    if "*" in left_out:
        return name
    fields = getattr(thing, "__dict__", None)
    if fields is None:
        fields = {slot: getattr(thing, slot) for slot in type(thing).__slots__}
    return name, *[(key, picture(fields[key], hidden)) for key in sorted(fields) if key not in left_out]
