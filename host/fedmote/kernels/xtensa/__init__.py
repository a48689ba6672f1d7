"""The native kernel of Xtensa LX6 and LX7 (ESP32, S2, S3): its functions as a module of machine code for
MicroPython."""

from fedmote.kernels.assembler import module
from fedmote.kernels.xtensa.add import add
from fedmote.kernels.xtensa.pool import average_pool
from fedmote.kernels.xtensa.products import products
from fedmote.kernels.xtensa.taps import taps
from fedmote.kernels.xtensa_lx import A2, A5, Xtensa


def text() -> str:
    """Return the text of lib/mote/kernels/xtensa/code.py, which is made anew for every board."""
    functions = {"products": products(), "taps": taps(), "average_pool": average_pool(), "add": add()}
    return module({name: _called(body) for name, body in functions.items()})


def _called(body: Xtensa) -> Xtensa:
    """Return a function that MicroPython calls as one of viper: with itself, two counts, and its arguments.

    There is one, a quarter of the address that the body gets. As an object an integer is twice itself and 1.
    """
    code = Xtensa()
    code.l32i(A2, A5)
    code.addi(A2, A2, -1)
    code.slli(A2, A2, 1)
    code.extend(body)
    code.movi(A2, 1)  # it returns 0
    return code
