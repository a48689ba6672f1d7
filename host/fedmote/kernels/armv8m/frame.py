"""Words that a function of Cortex-M33 gets and words that it keeps on the stack; how it begins and ends."""

from typing import NamedTuple

from fedmote.kernels.arguments import Arguments
from fedmote.kernels.thumb import R8, R9, R10, R11, SP, Register
from fedmote.kernels.thumb2 import Thumb2

_SAVED = (R8, R9, R10, R11)


class Table(NamedTuple):
    """Words that a function gets, reached from a register."""

    arguments: Arguments
    base: Register

    def load(self, thumb: Thumb2, register: Register, name: str) -> None:
        thumb.ldr_w(register, self.base, self.arguments.offset(name))


class Frame(Arguments):
    """Words on the stack by their names, above them the registers of the caller."""

    def enter(self, thumb: Thumb2) -> None:
        """Save what MicroPython does not, and make room for the words."""
        thumb.push_w(*_SAVED)
        thumb.sub_w(SP, SP, self._bytes())

    def leave(self, thumb: Thumb2) -> None:
        """Undo ``enter``."""
        thumb.add_w(SP, SP, self._bytes())
        thumb.pop_w(*_SAVED)

    def load(self, thumb: Thumb2, register: Register, name: str) -> None:
        thumb.ldr_w(register, SP, self.offset(name))

    def store(self, thumb: Thumb2, register: Register, name: str) -> None:
        thumb.str_w(register, SP, self.offset(name))

    def load_two(self, thumb: Thumb2, first: Register, second: Register, name: str) -> None:
        """Load a word and the next one."""
        thumb.ldrd(first, second, SP, self.offset(name))

    def store_two(self, thumb: Thumb2, first: Register, second: Register, name: str) -> None:
        thumb.strd(first, second, SP, self.offset(name))

    def _bytes(self) -> int:
        return (4 * len(self.names) + 7) // 8 * 8
