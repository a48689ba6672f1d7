"""Sums of activations in machine code for RV32."""

from ..native.elementwise import binder
from . import code

add = binder(code.add)
