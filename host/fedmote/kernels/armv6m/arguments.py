"""How functions of Cortex-M0+ reach the words that they get as their argument."""

from fedmote.kernels import arguments
from fedmote.kernels.thumb import R7, Register, Thumb


class Arguments(arguments.Arguments):
    """Words by their names, reached from r7: that is at the first word, or behind it by ``MOVED`` bytes or by
    twice as many, where an instruction does not reach so far."""

    MOVED = 80

    def load(self, thumb: Thumb, register: Register, name: str, moved: int = 0, base: Register = R7) -> None:
        """moved: 1 or 2 where ``base`` is as many times MOVED bytes behind the first word."""
        thumb.ldr(register, base, self.offset(name) - self.MOVED * moved)

    def store(self, thumb: Thumb, register: Register, name: str, moved: int = 0, base: Register = R7) -> None:
        """As ``load``."""
        thumb.str_(register, base, self.offset(name) - self.MOVED * moved)

    def advance(self, thumb: Thumb, name: str, by: str, low: Register, other: Register) -> None:
        """Add one word to another, through two registers."""
        self.load(thumb, low, name)
        self.load(thumb, other, by)
        thumb.adds(low, low, other)
        self.store(thumb, low, name)
