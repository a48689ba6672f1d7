"""Reads .mote files with the library that boards use, as data: nothing is computed."""

from collections.abc import Callable
from typing import Any

from fedmote.errors import FedmoteError
from mote.model import Model
from mote.ops import ModelError


def load(mote: bytes) -> Any:
    """Return the file as a ``mote.model.Model`` whose ops do nothing.

    Raises FedmoteError where a board would refuse it.
    """
    try:
        return Model(bytearray(mote), _Idle())
    except ModelError as error:
        raise FedmoteError(f"boards refuse the .mote file: {error}") from None


class _Idle:
    """A kernel of which every function gives an op that does nothing."""

    NAME = "idle"
    WEIGHT_FORMS = (0, 1, 2)
    BLOCKS = "alike"

    def __getattr__(self, name: str) -> Callable[..., Callable[[], None]]:
        return lambda *_: lambda: None
