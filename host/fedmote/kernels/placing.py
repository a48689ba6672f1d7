"""What all emulated processors share: memory in which buffers are placed, with a guard behind each, and what
a call gives back. It executes nothing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from fedmote.errors import FedmoteError

RAM, RAM_BYTES = 0x2000_0000, 0x100_0000
#: what stands behind everything that is placed, to find what is written beside it
_GUARD = b"\xa5" * 32


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


class Processor(ABC):
    """A processor with memory, which keeps what is placed there from call to call."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all that was placed."""
        self._places: list[tuple[int, int]] = []
        self._free = RAM

    def place(self, data: bytes | bytearray | memoryview) -> int:
        """Return the address of a copy of the bytes, a multiple of 4. Raises EmulationError without room."""
        content = bytes(data)
        address = self._free
        if len(content) > RAM + RAM_BYTES - address - 2 * len(_GUARD):
            raise EmulationError(f"no room for {len(content)} bytes in the emulated memory of {RAM_BYTES}")
        self._free = (address + len(content) + 3 & ~3) + len(_GUARD)
        self.write(address, content)
        self.write(self._free - len(_GUARD), _GUARD)
        self._places.append((address, self._free - len(_GUARD)))
        return address

    @abstractmethod
    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Change memory."""

    @abstractmethod
    def read(self, address: int, count: int) -> bytes:
        """Return ``count`` bytes of memory."""

    @abstractmethod
    def call(self, code: bytes, r0: int = 0, r1: int = 0, r2: int = 0, r3: int = 0) -> Result:
        """Call a function with up to four numbers.

        Raises EmulationError where it faults, does not end, or leaves a changed register that belongs to its
        caller, and where it has written beside what was placed.
        """

    @abstractmethod
    def helper(self, name: str) -> int:
        """Return the address of a function of two signed numbers that code may call; it is not counted.

        "same" returns the first, "floor_divide" and "modulo" what Python has for both.
        """

    def _check_guards(self) -> None:
        for address, end in self._places:
            if self.read(end, len(_GUARD)) != _GUARD:
                raise EmulationError(
                    f"the code has written behind the {end - address} bytes at 0x{address:x}"
                )
