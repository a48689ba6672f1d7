"""Runs a native kernel of boards here: its MicroPython modules as they stand in lib/mote, its machine code on
an emulated core. Only machine code takes cycles; the few lines of Python around it are not counted."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.kernels.emulation import Core, EmulationError
from fedmote.kernels.mpy import functions_of
from mote import kernels
from mote.kernels import plain

_SIGN = 1 << 31
#: the decorators of MicroPython's compilers, which change nothing here
_DECORATORS = ("native", "viper", "const")


class Memory:
    """Buffers of this interpreter as an emulated core sees them, and the calls that it makes on them.

    cycles: of all calls so far. A buffer is known by its owner: a view of an arena has an address within it.
    """

    def __init__(self, core: Core) -> None:
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


class StandIn:
    """A native kernel, as ``mote.Model`` takes one. What it lacks is plain's, and takes no cycles.

    name: such as armv6m. mpy: the file of its machine code. natives: the functions of mote.kernels that it
    has itself.
    """

    def __init__(self, name: str, mpy: bytes, core: Core) -> None:
        self.NAME = name
        self.memory = Memory(core)
        native, modules = _modules(name, mpy, self.memory)
        self.WEIGHT_FORMS: tuple[int, ...] = native.WEIGHT_FORMS
        self.LOOKS_ONCE: bool = native.LOOKS_ONCE
        self.natives = frozenset(
            function
            for function, family in kernels.FAMILIES.items()
            if hasattr(modules.get(family), function)
        )
        for function, family in kernels.FAMILIES.items():
            source = modules[family] if function in self.natives else _plain(family)
            setattr(self, function, getattr(source, function))


def _plain(family: str) -> ModuleType:
    return importlib.import_module(f"{plain.__name__}.{family}")


def _modules(name: str, mpy: bytes, memory: Memory) -> tuple[ModuleType, dict[str, ModuleType]]:
    """Return a kernel's package and its modules by family, bound to ``memory``."""
    code = ModuleType("code")
    for function, machine_code in functions_of(mpy).items():
        setattr(code, function, memory.function(machine_code))
    package = f"{kernels.__name__}.{name}"
    with _standing_in(package, memory) as stand_ins:
        stand_ins[f"{package}.code"] = code
        native = importlib.import_module(package)
        return native, {family: importlib.import_module(f"{package}.{family}") for family in native.FAMILIES}


@contextmanager
def _standing_in(package: str, memory: Memory) -> Iterator[dict[str, ModuleType]]:
    """Let imports find MicroPython's modules and ``package`` anew while the context lasts."""
    micropython, uctypes = ModuleType("micropython"), ModuleType("uctypes")
    for decorator in _DECORATORS:
        setattr(micropython, decorator, lambda given: given)
    uctypes.addressof = memory.addressof  # type: ignore[attr-defined]
    before = dict(sys.modules)
    sys.modules.update({"micropython": micropython, "uctypes": uctypes})
    try:
        yield sys.modules
    finally:
        for name in set(sys.modules) - set(before):
            if name == package or name.startswith(package + ".") or name in ("micropython", "uctypes"):
                del sys.modules[name]
        sys.modules.update(before)


def _start_of(values: NDArray[np.uint8]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address
