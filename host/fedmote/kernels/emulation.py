"""Executes machine code on emulated processors and counts its cycles. No interpreter runs there, and no
peripherals: a function gets four numbers and memory, as a board's native kernels do."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from fedmote.kernels import designs
from fedmote.kernels.mpy import functions_of as functions_of
from fedmote.kernels.placing import RAM, RAM_BYTES, Processor, Result
from fedmote.kernels.placing import EmulationError as EmulationError

_STOP, _CODE, _STACK = 0x1000, 0x1000_0000, 0x3000_0000
_STOP_BYTES, _CODE_BYTES, _STACK_BYTES = 0x1000, 0x10_0000, 0x1_0000
_MICROSECONDS = 300_000_000
_SIGN = 1 << 31
_HELPERS: dict[str, Callable[[int, int], int]] = {
    "same": lambda value, _: value,
    "floor_divide": operator.floordiv,
    "modulo": operator.mod,
}
_KEPT = 0x5EED_0000  # and the register's number: in registers that a function must restore


@dataclass(frozen=True)
class _Block:
    """Instructions without a branch but at their end. end: the address behind them."""

    cycles: int
    instructions: int
    taken: int
    end: int


class Core(Processor):
    """A processor that unicorn has.

    Raises FedmoteError where the emulator is not installed.
    """

    def __init__(self, design: designs.Design) -> None:
        unicorn = designs.unicorn()
        self._design = design
        self._error = unicorn.UcError
        self._machine = unicorn.Uc(design.architecture, design.mode)
        self._machine.ctl_set_cpu_model(design.model)
        for address, size in (
            (_STOP, _STOP_BYTES), (_CODE, _CODE_BYTES), (RAM, RAM_BYTES), (_STACK, _STACK_BYTES),
        ):  # fmt: skip
            self._machine.mem_map(address, size)
        self._machine.hook_add(unicorn.UC_HOOK_BLOCK, self._enter)
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._at = _Block(0, 0, 0, 0)
        self._cycles = self._instructions = 0
        self._code: dict[bytes, int] = {}
        self._next_code = _CODE
        super().__init__()

    @classmethod
    def cortex_m0plus(cls) -> Self:
        """Return a Cortex-M0+ with a multiplier of one cycle, as RP2040 has it."""
        return cls(designs.cortex_m0plus())

    @classmethod
    def cortex_m33(cls) -> Self:
        """Return a Cortex-M33 with DSP instructions, as RP2350 has it. It counts instructions."""
        return cls(designs.cortex_m33())

    @classmethod
    def rv32(cls) -> Self:
        """Return an RV32IMC core, as ESP32-C3 and C6 have it. It counts instructions."""
        return cls(designs.rv32())

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        self._machine.mem_write(address, bytes(data))

    def read(self, address: int, count: int) -> bytes:
        return bytes(self._machine.mem_read(address, count))

    def call(self, code: bytes, r0: int = 0, r1: int = 0, r2: int = 0, r3: int = 0) -> Result:
        design, machine = self._design, self._machine
        start = self._address_of(code)
        for register, value in zip(design.arguments, (r0, r1, r2, r3), strict=True):
            machine.reg_write(register, value & 0xFFFF_FFFF)
        top = _STACK + _STACK_BYTES - 64
        kept = {register: _KEPT + register for register in design.kept} | {design.stack: top}
        for register, value in kept.items():
            machine.reg_write(register, value)
        machine.reg_write(design.link, _STOP | design.odd)
        self._cycles = self._instructions = 0
        self._at = _Block(0, 0, 0, start)
        try:
            machine.emu_start(start | design.odd, _STOP, timeout=_MICROSECONDS)
        except self._error as error:
            raise EmulationError(f"{error}, at byte {self._position(start)} of the code") from None
        if machine.reg_read(design.counter) & ~1 != _STOP:
            raise EmulationError(f"the code does not end, it is at byte {self._position(start)}")
        for register, value in kept.items():
            if machine.reg_read(register) != value:
                raise EmulationError("the code has not restored all registers of its caller")
        self._check_guards()
        return Result(self._cycles, self._instructions, machine.reg_read(design.arguments[0]))

    def helper(self, name: str) -> int:
        """See ``Processor.helper``: a call is done here and takes a return."""
        design = self._design
        address = self._put(design.leave)

        def done(machine: Any, *_: Any) -> None:
            a, b = ((machine.reg_read(register) ^ _SIGN) - _SIGN for register in design.arguments[:2])
            machine.reg_write(design.arguments[0], _HELPERS[name](a, b) & 0xFFFF_FFFF)

        self._machine.hook_add(designs.unicorn().UC_HOOK_CODE, done, None, address, address)
        return address | design.odd

    def _enter(self, machine: Any, address: int, size: int, _: Any) -> None:
        """Account for a block that begins."""
        if address != self._at.end:
            self._cycles += self._at.taken
        try:
            block = self._blocks[address, size]
        except KeyError:
            block = self._blocks[address, size] = self._measured(address, size)
        self._at = block
        self._cycles += block.cycles
        self._instructions += block.instructions

    def _measured(self, address: int, size: int) -> _Block:
        code = self.read(address, size) + bytes(4)
        position = cycles = instructions = taken = 0
        while position < size:
            cost = self._design.cost(code[position : position + 4])
            cycles, instructions, taken = cycles + cost.cycles, instructions + 1, cost.taken
            position += cost.size
        return _Block(cycles, instructions, taken, address + size)

    def _address_of(self, code: bytes) -> int:
        """Return where a function stands; each has a place of its own, where its blocks are known."""
        if code not in self._code:
            self._code[code] = self._put(code)
        return self._code[code]

    def _put(self, code: bytes) -> int:
        address = self._next_code
        if address + len(code) > _CODE + _CODE_BYTES:
            raise EmulationError("no room for more code: use another core")
        self.write(address, code)
        self._next_code += len(code) + 15 & ~15
        return address

    def _position(self, start: int) -> int:
        position: int = self._machine.reg_read(self._design.counter) - start
        return position
