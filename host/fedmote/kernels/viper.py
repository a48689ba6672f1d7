"""Runs the functions of the viper kernel here: the machine code that mpy-cross makes of them, on an emulated
core, with as much of MicroPython around it as such functions ask for."""

from collections.abc import Callable, Mapping
from struct import pack
from typing import Any

from fedmote.kernels.mpy import table_constant_of, viper_functions_of
from fedmote.kernels.placing import Processor
from fedmote.kernels.stand_in import Memory, StandIn
from mote import kernels

_PACKAGE = f"{kernels.__name__}.viper"
# places in mp_fun_table, of MicroPython's py/nativeglue.h: what viper functions call that get numbers only
_ENTRIES = 50
_TO_NATIVE, _TO_OBJECT, _FLOOR_DIVIDE, _MODULO = 3, 4, 46, 47
_MOST_ARGUMENTS = 16


class Viper(StandIn):
    """The viper kernel, as ``mote.Model`` takes one, for ops whose functions get buffers and numbers only.

    mpys: its modules, such as "viper/products". Not counted is what the interpreter does around a call, some
    hundred cycles, and what divisions take.
    """

    def __init__(self, mpys: Mapping[str, bytes], core: Processor) -> None:
        memory = Memory(core)
        table = _table(core)

        def runs(function: Callable[..., Any]) -> Callable[..., int]:
            mpy = mpys[_path_of(function.__module__)]
            itself = _object(core, table, table_constant_of(mpy))
            call = memory.function(viper_functions_of(mpy)[function.__name__])

            def run(*arguments: Any) -> int:
                numbers = [one if isinstance(one, int) else memory.addressof(one) for one in arguments]
                given = pack(f"<{len(numbers)}I", *(number & 0xFFFF_FFFF for number in numbers))
                core.write(places, given)
                return call(itself, len(numbers), 0, places)

            return run

        places = core.place(bytes(4 * _MOST_ARGUMENTS))
        self._take("viper", memory, {}, runs)


def _path_of(module: str) -> str:
    return "viper/" + (module.removeprefix(_PACKAGE).lstrip(".") or "__init__")


def _table(core: Processor) -> int:
    """Return the address of a table of functions."""
    table = [0] * _ENTRIES
    table[_TO_NATIVE] = table[_TO_OBJECT] = core.helper("same")
    table[_FLOOR_DIVIDE], table[_MODULO] = core.helper("floor_divide"), core.helper("modulo")
    return core.place(pack(f"<{_ENTRIES}I", *table))


def _object(core: Processor, table: int, constant: int) -> int:
    """Return the address of a function as an object: its type and its module's context. That has type,
    globals, names and constants, and one of them is the table."""
    constants = core.place(pack(f"<{constant + 1}I", *(0,) * constant, table))
    context = core.place(pack("<4I", 0, 0, 0, constants))
    return core.place(pack("<2I", 0, context))
