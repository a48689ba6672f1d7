"""Sums of activations in machine code for RV32."""

from ..native.elementwise import binder
from ..native.words import by_address
from . import code

add = binder(by_address(code.add))
