"""The native kernel of RV32 (ESP32-C3 and C6): its functions as a module of machine code for MicroPython."""

from fedmote.kernels.assembler import module
from fedmote.kernels.rv32.add import add
from fedmote.kernels.rv32.pool import average_pool
from fedmote.kernels.rv32.products import products
from fedmote.kernels.rv32.taps import taps


def text() -> str:
    """Return the text of lib/mote/kernels/rv32/code.py, which is made anew for every board."""
    return module({"products": products(), "taps": taps(), "average_pool": average_pool(), "add": add()})
