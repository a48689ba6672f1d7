"""Depthwise convolutions. Cells and tables: as in host/fedmote/kernels/armv8m/plane.py and windows.py."""

from ..native.taps import binder
from . import code

taps = binder(code.taps, cell=4, lanes=1, tap=4)
