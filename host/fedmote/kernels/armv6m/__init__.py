"""The native kernel of Cortex-M0+ (RP2040): its functions as a module of machine code for MicroPython."""

from fedmote.kernels.armv6m.add import add
from fedmote.kernels.armv6m.mail import share, work
from fedmote.kernels.armv6m.pool import average_pool
from fedmote.kernels.armv6m.products import products
from fedmote.kernels.armv6m.reach import reach
from fedmote.kernels.armv6m.spread import spread
from fedmote.kernels.armv6m.taps import taps
from fedmote.kernels.assembler import module


def text() -> str:
    """Return the text of lib/mote/kernels/armv6m/code.py, which is made anew for every board."""
    functions = {
        "products": products(), "reach": reach(), "taps": taps(), "spread": spread(),
        "average_pool": average_pool(), "add": add(), "share": share(), "work": work(),
    }  # fmt: skip
    return module(functions)
