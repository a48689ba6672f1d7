"""Depthwise convolutions in machine code for RV32."""

from ..native.taps import binder
from ..native.words import by_address
from . import code

taps = binder(by_address(code.taps), cell=4, lanes=2, tap=0)
