"""The native kernel of Xtensa LX6 and LX7 (ESP32, S2, S3): its functions as a module of machine code for
MicroPython."""

from fedmote.kernels.assembler import module
from fedmote.kernels.xtensa.add import add
from fedmote.kernels.xtensa.pool import average_pool
from fedmote.kernels.xtensa.products import products
from fedmote.kernels.xtensa.taps import taps


def text() -> str:
    """Return the text of lib/mote/kernels/xtensa/code.py, which is made anew for every board."""
    functions = {"products": products(), "taps": taps(), "average_pool": average_pool(), "add": add()}
    return module(functions)
