"""The native kernel of Cortex-M33 (RP2350): its functions as a module of machine code for MicroPython."""

from fedmote.kernels.armv8m.add import add
from fedmote.kernels.armv8m.pool import average_pool
from fedmote.kernels.armv8m.products import products
from fedmote.kernels.armv8m.taps import taps
from fedmote.kernels.assembler import module


def text() -> str:
    """Return the text of lib/mote/kernels/armv8m/code.py, which is made anew for every board."""
    return module({"products": products(), "taps": taps(), "average_pool": average_pool(), "add": add()})
