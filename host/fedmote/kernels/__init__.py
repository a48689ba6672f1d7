"""Generators of native kernels: functions that stand in a board's files as machine code. None of it runs
here."""

from collections.abc import Callable

from fedmote.kernels import armv6m, armv8m, rv32, xtensa
from fedmote.kernels.emulation import Core
from fedmote.kernels.placing import Processor
from fedmote.kernels.qemu import Qemu

#: native kernel of lib/mote/kernels -> what writes the text of its module ``code``, anew for every board
GENERATORS: dict[str, Callable[[], str]] = {
    "armv6m": armv6m.text,
    "armv8m": armv8m.text,
    "rv32": rv32.text,
    "xtensa": xtensa.text,
}

#: native kernels for firmware that has no inline assembler, MicroPython's of the ESP32 family: it would take
#: such functions for bytecode, so theirs are written as functions of viper
AS_VIPER = frozenset({"rv32", "xtensa"})

#: native kernel -> what makes a core that runs it here; FedmoteError where an emulator is missing
CORES: dict[str, Callable[[], Processor]] = {
    "armv6m": Core.cortex_m0plus,
    "armv8m": Core.cortex_m33,
    "rv32": Core.rv32,
    "xtensa": Qemu,
}
