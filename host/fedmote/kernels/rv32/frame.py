"""What a function of RV32 keeps on the stack: its caller's registers, and values by their names."""

from fedmote.kernels.arguments import Arguments
from fedmote.kernels.riscv import (
    RA,
    S0,
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    SP,
    Register,
    RiscV,
)  # fmt: skip

_SAVED = (RA, S0, S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11)


class Frame(Arguments):
    """Words on the stack by their names."""

    def enter(self, riscv: RiscV) -> None:
        """Save what belongs to the caller. Begins a function."""
        riscv.addi(SP, SP, -self._size)
        for n, register in enumerate(_SAVED):
            riscv.sw(register, SP, 4 * (len(self.names) + n))

    def leave(self, riscv: RiscV) -> None:
        """Restore it. Ends a function."""
        for n, register in enumerate(_SAVED):
            riscv.lw(register, SP, 4 * (len(self.names) + n))
        riscv.addi(SP, SP, self._size)

    def load(self, riscv: RiscV, register: Register, name: str) -> None:
        """register = the word of this name."""
        riscv.lw(register, SP, self.offset(name))

    def store(self, riscv: RiscV, register: Register, name: str) -> None:
        """The word of this name = register."""
        riscv.sw(register, SP, self.offset(name))

    @property
    def _size(self) -> int:
        return 4 * (len(self.names) + len(_SAVED)) + 15 & ~15
