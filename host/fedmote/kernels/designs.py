"""The processors that can be emulated: their registers, and what an instruction of theirs costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fedmote.errors import FedmoteError


@dataclass(frozen=True)
class Cost:
    """Of an instruction. taken: cycles beyond ``cycles`` where a branch is taken. size: in bytes."""

    cycles: int
    taken: int = 0
    size: int = 2


@dataclass(frozen=True)
class Design:
    """What differs between processors. arguments, kept: numbers of registers in unicorn. odd: 1 where
    addresses of code are odd. leave: the instruction that returns. cost: of the instruction at the begin of
    the bytes given."""

    architecture: int
    mode: int
    model: int
    arguments: tuple[int, ...]
    kept: tuple[int, ...]
    stack: int
    link: int
    counter: int
    odd: int
    leave: bytes
    cost: Callable[[bytes], Cost]


def cortex_m0plus() -> Design:
    """Return a Cortex-M0+ with a multiplier of one cycle, as RP2040 has it."""
    return _arm("UC_CPU_ARM_CORTEX_M0", _m0plus_cost)


def cortex_m33() -> Design:
    """Return a Cortex-M33 with DSP instructions, as RP2350 has it. It counts instructions."""
    return _arm("UC_CPU_ARM_CORTEX_M33", _thumb_2_cost)


def _arm(model: str, cost: Callable[[bytes], Cost]) -> Design:
    u = unicorn()
    arm = u.arm_const
    registers = [getattr(arm, f"UC_ARM_REG_R{n}") for n in range(12)]
    return Design(
        u.UC_ARCH_ARM,
        u.UC_MODE_THUMB,
        getattr(arm, model),
        tuple(registers[:4]),
        tuple(registers[4:]),
        arm.UC_ARM_REG_SP,
        arm.UC_ARM_REG_LR,
        arm.UC_ARM_REG_PC,
        1,
        b"\x70\x47",
        cost,
    )


def rv32() -> Design:
    """Return an RV32IMC core, as ESP32-C3 and C6 have it. It counts instructions."""
    u = unicorn()
    riscv = u.riscv_const
    return Design(
        u.UC_ARCH_RISCV,
        u.UC_MODE_RISCV32,
        riscv.UC_CPU_RISCV32_ANY,
        tuple(getattr(riscv, f"UC_RISCV_REG_A{n}") for n in range(4)),
        tuple(getattr(riscv, f"UC_RISCV_REG_S{n}") for n in range(12)),
        riscv.UC_RISCV_REG_SP,
        riscv.UC_RISCV_REG_RA,
        riscv.UC_RISCV_REG_PC,
        0,
        b"\x82\x80",
        _rv32_cost,
    )


def unicorn() -> Any:
    """Return the emulator's module. Raises FedmoteError where it is not installed."""
    try:
        import unicorn as module
    except ImportError:
        raise FedmoteError("the emulator is missing: pip install 'fedmote[emulate]'") from None
    return module


def _m0plus_cost(code: bytes) -> Cost:
    """Return the cost of a Thumb instruction by the table of ARM's technical reference manual."""
    word = code[0] | code[1] << 8
    group = word >> 12
    if word >> 11 >= 0b11101:
        return Cost(3, size=4)  # BL; MRS, MSR and barriers take as long
    if group == 0b1110 or word >> 8 == 0b01000111 or word & 0xFC87 == 0x4487:
        return Cost(2)  # B; BX, BLX; MOV and ADD to the program counter
    if group == 0b1101:
        return Cost(1, taken=1)
    if group == 0b1100:
        return Cost(1 + (word & 0xFF).bit_count())  # LDM, STM
    if word & 0xF600 == 0xB400:  # PUSH, POP
        returns = word & 0x0900 == 0x0900
        return Cost((3 if returns else 1) + (word & 0x1FF).bit_count())
    return Cost(2 if 0x4800 <= word < 0xA000 else 1)  # loads and stores; all else


def _thumb_2_cost(code: bytes) -> Cost:
    return Cost(1, size=4 if code[1] >> 3 >= 0b11101 else 2)


def _rv32_cost(code: bytes) -> Cost:
    return Cost(1, size=4 if code[0] & 3 == 3 else 2)
