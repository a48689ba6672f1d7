"""Runs a native kernel of boards here: its MicroPython modules as they stand in lib/mote, its machine code on
an emulated core. Only machine code takes cycles; the few lines of Python around it are not counted."""

import builtins
import importlib
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from struct import pack
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedmote.kernels.mpy import functions_of, viper_functions_of
from fedmote.kernels.placing import EmulationError, Processor
from mote import kernels
from mote.kernels import plain

Decorator: TypeAlias = Callable[[Any], Any]

_SIGN = 1 << 31
#: machine code of Cortex-M0+ that does as if the other core were done: a mail, which it gets, is emptied
_DONE = b"\x00\x21\x01\x60\x70\x47"
#: names of MicroPython's compilers in the annotations of their functions
_TYPES = ("ptr", "ptr8", "ptr16", "ptr32", "uint")


def _as_it_is(given: Any) -> Any:
    """What MicroPython's compilers look for, and which changes nothing here."""
    return given


class Memory:
    """Buffers of this interpreter as an emulated core sees them, and the calls that it makes on them.

    cycles: of all calls so far. A buffer is known by its owner: a view of an arena has an address within it.
    """

    def __init__(self, core: Processor) -> None:
        self._core = core
        self._owners: dict[int, tuple[object, NDArray[np.uint8], int]] = {}
        self.cycles = 0

    def addressof(self, buffer: Any) -> int:
        """Return the address of a buffer on the core, as ``uctypes.addressof`` does on a board."""
        view = memoryview(buffer)
        owner = view.obj
        if id(owner) not in self._owners:
            whole = np.frombuffer(memoryview(owner), np.uint8)
            self._owners[id(owner)] = owner, whole, self._core.place(whole.tobytes())
        _, whole, address = self._owners[id(owner)]
        return address + _start_of(np.frombuffer(view, np.uint8)) - _start_of(whole)

    def function(self, code: bytes) -> Callable[..., int]:
        """Return a function of up to four buffers and numbers that runs machine code on the core."""

        def call(*arguments: Any) -> int:
            numbers = [one if isinstance(one, int) else self.addressof(one) for one in arguments]
            for _, whole, address in self._owners.values():
                if whole.flags.writeable:
                    self._core.write(address, whole.tobytes())
            result = self._core.call(code, *numbers)
            self.cycles += result.cycles
            for _, whole, address in self._owners.values():
                found = np.frombuffer(self._core.read(address, whole.size), np.uint8)
                if whole.flags.writeable:
                    whole[:] = found
                elif not np.array_equal(whole, found):
                    raise EmulationError(f"the code has written to {whole.size} bytes that are constant")
            return (result.value ^ _SIGN) - _SIGN

        return call

    def viper_function(self, code: bytes) -> Callable[[int], int]:
        """Return a function of an integer that runs the machine code of a function of viper."""
        call, arguments = self.function(code), self._core.place(bytes(4))

        def run(number: int) -> int:
            self._core.write(arguments, pack("<I", number << 1 | 1))
            return call(0, 1, 0, arguments)

        return run


class StandIn:
    """A native kernel, as ``mote.Model`` takes one. What it lacks is plain's, and takes no cycles.

    name: such as armv6m. mpy: the file of its machine code. cores: 2 for ops bound for both cores of a board,
    which take turns here. natives: the functions of mote.kernels that it has itself.
    """

    def __init__(self, name: str, mpy: bytes, core: Processor, cores: int = 1) -> None:
        memory = Memory(core)
        code = ModuleType("code")
        for function, machine_code in functions_of(mpy).items():
            setattr(code, function, memory.function(machine_code))
        for function, machine_code in viper_functions_of(mpy).items():
            setattr(code, function, memory.viper_function(machine_code))
        others = {f"{kernels.__name__}.viper.{family}": _plain(family) for family in plain.FAMILIES}
        machine = ModuleType("machine")
        machine.needs = lambda *_: None  # type: ignore[attr-defined]
        given = {
            f"{kernels.__name__}.{name}.code": code,
            f"{kernels.__name__}.native.machine": machine,
            f"{kernels.__name__}.viper": plain,
            **others,
        }
        native = self._take(name, memory, given)
        if cores > 1:
            _take_turns(native.cores, memory)

    def _take(
        self, name: str, memory: Memory, given: Mapping[str, ModuleType], viper: Decorator = _as_it_is
    ) -> ModuleType:
        """Take the functions of a kernel's modules and return its package.

        given: modules that are not to be read. viper: the decorator of functions in viper.
        """
        self.NAME = name
        self.memory = memory
        native, modules = _modules(f"{kernels.__name__}.{name}", memory, given, viper)
        self.WEIGHT_FORMS: tuple[int, ...] = native.WEIGHT_FORMS
        self.BLOCKS: str = native.BLOCKS
        self.natives = frozenset(
            function
            for function, family in kernels.FAMILIES.items()
            if hasattr(modules.get(family), function)
        )
        for function, family in kernels.FAMILIES.items():
            source = modules[family] if function in self.natives else _plain(family)
            setattr(self, function, getattr(source, function))
        return native


def _plain(family: str) -> ModuleType:
    return importlib.import_module(f"{plain.__name__}.{family}")


def _take_turns(cores: ModuleType, memory: Memory) -> None:
    """Let ops be bound for two cores.

    Both halves of an op run one after the other. The longer one counts, and what hands it over and waits.
    cores: lib/mote/kernels/armv6m/cores.py.
    """
    code = cores.code
    functions = {function(0): function for function in (code.products, code.taps)}
    mail = array("I", [0, 0])
    at, done = memory.addressof(mail), memory.addressof(_DONE) | 1
    memory.cycles = 0
    code.share(array("I", [at, done, at, at]))
    handed_over = memory.cycles

    def share(job: Any) -> None:
        _, function, there, here = job
        start = memory.cycles
        functions[function](there)
        spent, memory.cycles = memory.cycles, start
        functions[function](here)
        memory.cycles = max(memory.cycles, spent) + handed_over

    cores.count, code.share = 2, share  # type: ignore[attr-defined]


def _modules(
    package: str, memory: Memory, given: Mapping[str, ModuleType], viper: Decorator
) -> tuple[ModuleType, dict[str, ModuleType]]:
    """Return a kernel's package and its modules by family, bound to ``memory``."""
    with _standing_in(memory, viper) as stand_ins:
        stand_ins.update(given)
        native = importlib.import_module(package)
        return native, {family: importlib.import_module(f"{package}.{family}") for family in native.FAMILIES}


@contextmanager
def _standing_in(memory: Memory, viper: Decorator) -> Iterator[dict[str, ModuleType]]:
    """Let imports find MicroPython's modules while the context lasts, and none of a kernel's after it."""
    micropython, uctypes = ModuleType("micropython"), ModuleType("uctypes")
    micropython.const = micropython.native = _as_it_is  # type: ignore[attr-defined]
    micropython.viper = viper  # type: ignore[attr-defined]
    uctypes.addressof = memory.addressof  # type: ignore[attr-defined]
    before = dict(sys.modules)
    for name in before:  # a package would still have the modules of an earlier stand-in
        if name.startswith(f"{kernels.__name__}.native"):
            del sys.modules[name]
    sys.modules.update({"micropython": micropython, "uctypes": uctypes})
    for kind in _TYPES:
        setattr(builtins, kind, int)
    try:
        yield sys.modules
    finally:
        for kind in _TYPES:
            delattr(builtins, kind)
        for name in set(sys.modules) - set(before):
            if name.startswith(f"{kernels.__name__}.") or name in ("micropython", "uctypes"):
                del sys.modules[name]
        sys.modules.update(before)


def _start_of(values: NDArray[np.uint8]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address
