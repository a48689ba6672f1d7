"""What the assemblers of all processors share: code that grows, labels, and the text of a MicroPython module.
It knows no instruction."""

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Self

from fedmote.errors import FedmoteError

_UNITS_A_LINE = 12


class AssemblyError(FedmoteError):
    """An instruction that the processor does not have, such as one with too large a number."""


class Label:
    """A place in the code: of ``Assembler.label`` where it is known already, else ``Assembler.place`` says
    it. position: in bytes."""

    def __init__(self) -> None:
        self.position: int | None = None


class _Branch(NamedTuple):
    """at: the byte that it begins at. encode: distance in bytes -> its bits of the instruction."""

    at: int
    size: int
    label: Label
    encode: Callable[[int], int]


class Assembler:
    """Machine code that grows by one instruction per call; an assembler has a method for each of them.

    Raises AssemblyError for one that cannot be. Nothing depends on where the code stands in memory.
    """

    #: MicroPython's decorator, its first argument's register, bytes of the units of its ``data()``
    DECORATOR: ClassVar[str]
    ARGUMENT: ClassVar[str]
    UNIT: ClassVar[int]

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._branches: list[_Branch] = []

    def __len__(self) -> int:
        """The number of bytes so far."""
        return len(self._bytes)

    def code(self) -> bytes:
        """Return the code with its branches resolved. Raises AssemblyError for one that reaches too far."""
        code = bytearray(self._bytes)
        for at, size, label, encode in self._branches:
            if label.position is None:
                raise AssemblyError(f"the branch at byte {at} leads to a label that was never placed")
            word = int.from_bytes(code[at : at + size], "little") | encode(label.position - at)
            code[at : at + size] = word.to_bytes(size, "little")
        return bytes(code)

    def label(self) -> Label:
        """Return a label of this place."""
        return self.place(Label())

    def place(self, label: Label) -> Label:
        """Let ``label`` be this place."""
        if label.position is not None:
            raise AssemblyError(f"the label of byte {label.position} is placed twice")
        label.position = len(self._bytes)
        return label

    def extend(self, other: Self) -> None:
        """Go on with the code of another one."""
        self._bytes += other.code()

    def _emit(self, word: int, size: int) -> None:
        self._bytes += word.to_bytes(size, "little")

    def _emit_branch(self, word: int, size: int, label: Label, encode: Callable[[int], int]) -> None:
        """encode: distance in bytes from the branch's own begin -> bits that are added to ``word``."""
        self._branches.append(_Branch(len(self._bytes), size, label, encode))
        self._emit(word, size)


def module(functions: Mapping[str, Assembler]) -> str:
    """Return the text of a MicroPython module with these functions of one argument, a buffer or an integer.

    What MicroPython's inline assembler does around the code is told by each assembler.
    """
    lines = ["import micropython"]
    for name, function in functions.items():
        unit = function.UNIT
        lines += ["", "", f"@micropython.{function.DECORATOR}", f"def {name}({function.ARGUMENT}):"]
        code = function.code()
        words = [int.from_bytes(code[at : at + unit], "little") for at in range(0, len(code), unit)]
        for start in range(0, len(words), _UNITS_A_LINE):
            numbers = (f"0x{word:0{2 * unit}x}" for word in words[start : start + _UNITS_A_LINE])
            lines.append(f"    data({unit}, {', '.join(numbers)})")
    return "\n".join(lines) + "\n"


def unsigned(value: int, bits: int, name: str, step: int = 1) -> int:
    """Return a number as a field of an instruction. Raises AssemblyError where it does not fit."""
    if value % step or not 0 <= value // step < 1 << bits:
        raise AssemblyError(f"{name} does not take the number {value}")
    return value // step


def signed(value: int, bits: int, name: str, step: int = 1) -> int:
    """Return a number, or a distance in bytes, as a field of an instruction. Raises as ``unsigned``."""
    if value % step or not -(1 << bits - 1) <= value // step < 1 << bits - 1:
        raise AssemblyError(f"{name} does not reach the number {value}")
    return value // step & (1 << bits) - 1
