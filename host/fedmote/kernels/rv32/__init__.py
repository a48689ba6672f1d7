"""The native kernel of RV32 (ESP32-C3 and C6): its functions as a module of machine code for MicroPython."""

from fedmote.kernels.assembler import module
from fedmote.kernels.riscv import A0, A3, ZERO, RiscV
from fedmote.kernels.rv32.add import add
from fedmote.kernels.rv32.pool import average_pool
from fedmote.kernels.rv32.products import products
from fedmote.kernels.rv32.taps import taps


def text() -> str:
    """Return the text of lib/mote/kernels/rv32/code.py, which is made anew for every board."""
    functions = {"products": products(), "taps": taps(), "average_pool": average_pool(), "add": add()}
    return module({name: _called(body) for name, body in functions.items()})


def _called(body: RiscV) -> RiscV:
    """Return a function that MicroPython calls as one of viper: with itself, two counts, and its arguments.

    There is one, a quarter of the address that the body gets. As an object an integer is twice itself and 1.
    """
    riscv = RiscV()
    riscv.lw(A0, A3)
    riscv.addi(A0, A0, -1)
    riscv.slli(A0, A0, 1)
    riscv.extend(body)
    riscv.addi(A0, ZERO, 1)  # it returns 0
    return riscv
