"""Executes machine code on emulated processors and counts its cycles. No interpreter runs there, and no
peripherals: a function gets four numbers and memory, as a board's native kernels do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from fedmote.errors import FedmoteError
from fedmote.kernels.mpy import functions_of as functions_of

_STOP, _CODE, _RAM, _STACK = 0x1000, 0x1000_0000, 0x2000_0000, 0x3000_0000
_STOP_BYTES, _CODE_BYTES, _RAM_BYTES, _STACK_BYTES = 0x1000, 0x10_0000, 0x100_0000, 0x1_0000
#: what stands around everything that is placed, to find what is written beside it
_GUARD = b"\xa5" * 32
_MICROSECONDS = 300_000_000
_KEPT = 0x5EED_0000  # and the register's number: in registers that a function must restore


class EmulationError(FedmoteError):
    """Code that the processor refuses, that never ends, or that breaks what it must not touch."""


@dataclass(frozen=True)
class Result:
    """What a call took. value: of the first register after it, unsigned.

    cycles: by the core's table, without wait states; of a core without a table one for each instruction.
    """

    cycles: int
    instructions: int
    value: int


@dataclass(frozen=True)
class _Cost:
    """Of an instruction. taken: cycles beyond ``cycles`` where a branch is taken. size: in bytes."""

    cycles: int
    taken: int = 0
    size: int = 2


@dataclass(frozen=True)
class _Block:
    """Instructions without a branch but at their end. end: the address behind them."""

    cycles: int
    instructions: int
    taken: int
    end: int


@dataclass(frozen=True)
class _Design:
    """What differs between processors. arguments, kept: numbers of registers in unicorn. cost: of the
    instruction at the begin of the bytes given. odd: 1 where addresses of code are odd."""

    architecture: int
    mode: int
    model: int
    arguments: tuple[int, ...]
    kept: tuple[int, ...]
    stack: int
    link: int
    counter: int
    odd: int
    cost: Callable[[bytes], _Cost]


class Core:
    """A processor with memory, which keeps what is placed there from call to call.

    Raises FedmoteError where the emulator is not installed.
    """

    def __init__(self, design: _Design) -> None:
        unicorn = _unicorn()
        self._design = design
        self._error = unicorn.UcError
        self._machine = unicorn.Uc(design.architecture, design.mode)
        self._machine.ctl_set_cpu_model(design.model)
        for address, size in (
            (_STOP, _STOP_BYTES), (_CODE, _CODE_BYTES), (_RAM, _RAM_BYTES), (_STACK, _STACK_BYTES),
        ):  # fmt: skip
            self._machine.mem_map(address, size)
        self._machine.hook_add(unicorn.UC_HOOK_BLOCK, self._enter)
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._at = _Block(0, 0, 0, 0)
        self._cycles = self._instructions = 0
        self._code: dict[bytes, int] = {}
        self._next_code = _CODE
        self.clear()

    @classmethod
    def cortex_m0plus(cls) -> Self:
        """Return a Cortex-M0+ with a multiplier of one cycle, as RP2040 has it."""
        return cls(_arm("UC_CPU_ARM_CORTEX_M0", _cortex_m0plus))

    @classmethod
    def cortex_m33(cls) -> Self:
        """Return a Cortex-M33 with DSP instructions, as RP2350 has it. It counts instructions."""
        return cls(_arm("UC_CPU_ARM_CORTEX_M33", _thumb_2))

    @classmethod
    def rv32(cls) -> Self:
        """Return an RV32IMC core, as ESP32-C3 and C6 have it. It counts instructions."""
        return cls(_risc_v())

    def clear(self) -> None:
        """Forget all that was placed."""
        self._places: list[tuple[int, int]] = []
        self._free = _RAM

    def place(self, data: bytes | bytearray | memoryview) -> int:
        """Return the address of a copy of the bytes, a multiple of 4. Raises EmulationError without room."""
        content = bytes(data)
        address = self._free
        if len(content) > _RAM + _RAM_BYTES - address - 2 * len(_GUARD):
            raise EmulationError(f"no room for {len(content)} bytes in the emulated memory of {_RAM_BYTES}")
        self._free = (address + len(content) + 3 & ~3) + len(_GUARD)
        self.write(address, content)
        self.write(self._free - len(_GUARD), _GUARD)
        self._places.append((address, self._free - len(_GUARD)))
        return address

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Change memory."""
        self._machine.mem_write(address, bytes(data))

    def read(self, address: int, count: int) -> bytes:
        """Return ``count`` bytes of memory."""
        return bytes(self._machine.mem_read(address, count))

    def call(self, code: bytes, r0: int = 0, r1: int = 0, r2: int = 0, r3: int = 0) -> Result:
        """Call a function with up to four numbers.

        Raises EmulationError where it faults, does not end, or leaves a changed register that belongs to its
        caller, and where it has written beside what was placed.
        """
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
            if self._next_code + len(code) > _CODE + _CODE_BYTES:
                raise EmulationError("no room for more code: use another core")
            self.write(self._next_code, code)
            self._code[code] = self._next_code
            self._next_code += len(code) + 15 & ~15
        return self._code[code]

    def _position(self, start: int) -> int:
        position: int = self._machine.reg_read(self._design.counter) - start
        return position

    def _check_guards(self) -> None:
        for address, end in self._places:
            if self.read(end, len(_GUARD)) != _GUARD:
                raise EmulationError(
                    f"the code has written behind the {end - address} bytes at 0x{address:x}"
                )


def _unicorn() -> Any:
    try:
        import unicorn
    except ImportError:
        raise FedmoteError("the emulator is missing: pip install 'fedmote[emulate]'") from None
    return unicorn


def _arm(model: str, cost: Callable[[bytes], _Cost]) -> _Design:
    u = _unicorn()
    arm = u.arm_const
    registers = [getattr(arm, f"UC_ARM_REG_R{n}") for n in range(12)]
    return _Design(
        u.UC_ARCH_ARM,
        u.UC_MODE_THUMB,
        getattr(arm, model),
        tuple(registers[:4]),
        tuple(registers[4:]),
        arm.UC_ARM_REG_SP,
        arm.UC_ARM_REG_LR,
        arm.UC_ARM_REG_PC,
        1,
        cost,
    )


def _risc_v() -> _Design:
    u = _unicorn()
    riscv = u.riscv_const
    return _Design(
        u.UC_ARCH_RISCV,
        u.UC_MODE_RISCV32,
        riscv.UC_CPU_RISCV32_ANY,
        tuple(getattr(riscv, f"UC_RISCV_REG_A{n}") for n in range(4)),
        tuple(getattr(riscv, f"UC_RISCV_REG_S{n}") for n in range(12)),
        riscv.UC_RISCV_REG_SP,
        riscv.UC_RISCV_REG_RA,
        riscv.UC_RISCV_REG_PC,
        0,
        _compressed,
    )


def _cortex_m0plus(code: bytes) -> _Cost:
    """Return the cost of a Thumb instruction by the table of ARM's technical reference manual."""
    word = code[0] | code[1] << 8
    group = word >> 12
    if word >> 11 >= 0b11101:
        return _Cost(3, size=4)  # BL; MRS, MSR and barriers take as long
    if group == 0b1110 or word >> 8 == 0b01000111 or word & 0xFC87 == 0x4487:
        return _Cost(2)  # B; BX, BLX; MOV and ADD to the program counter
    if group == 0b1101:
        return _Cost(1, taken=1)
    if group == 0b1100:
        return _Cost(1 + (word & 0xFF).bit_count())  # LDM, STM
    if word & 0xF600 == 0xB400:  # PUSH, POP
        returns = word & 0x0900 == 0x0900
        return _Cost((3 if returns else 1) + (word & 0x1FF).bit_count())
    return _Cost(2 if 0x4800 <= word < 0xA000 else 1)  # loads and stores; all else


def _thumb_2(code: bytes) -> _Cost:
    return _Cost(1, size=4 if code[1] >> 3 >= 0b11101 else 2)


def _compressed(code: bytes) -> _Cost:
    return _Cost(1, size=4 if code[0] & 3 == 3 else 2)
