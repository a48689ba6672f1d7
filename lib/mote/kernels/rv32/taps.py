"""Depthwise convolutions in machine code for RV32."""

from ..native.taps import binder
from . import code

taps = binder(code.taps, cell=4, lanes=2, tap=0)
