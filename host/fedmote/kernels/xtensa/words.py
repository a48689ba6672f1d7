"""A function's words at the address in a2, by their names: what it gets and what it keeps there."""

from fedmote.kernels.arguments import Arguments
from fedmote.kernels.xtensa_lx import A2, Register, Xtensa


class Words:
    """Loads and stores. kept: the function's own words, which begin with anything."""

    def __init__(self, code: Xtensa, arguments: Arguments, *kept: str) -> None:
        self._code = code
        self._offsets = {name: arguments.offset(name) for name in arguments.names}
        self._offsets |= {name: arguments.offset(f"kept_{number}") for number, name in enumerate(kept)}

    def offset(self, name: str) -> int:
        """Return the bytes from the first word to this one."""
        return self._offsets[name]

    def load(self, register: Register, name: str) -> None:
        self._code.l32i(register, A2, self._offsets[name])

    def store(self, register: Register, name: str) -> None:
        self._code.s32i(register, A2, self._offsets[name])

    def copy(self, to: str, name: str, through: Register) -> None:
        self.load(through, name)
        self.store(through, to)

    def advance(self, name: str, by: str | int, through: Register, other: Register) -> None:
        """Add another word, or a small number, through registers."""
        self.load(through, name)
        if isinstance(by, int):
            self._code.addi(through, through, by)
        else:
            self.load(other, by)
            self._code.add(through, through, other)
        self.store(through, name)
