"""Sums of activations of one shape."""

from ..native.elementwise import binder
from ..native.words import by_address
from . import code

add = binder(by_address(code.add))
