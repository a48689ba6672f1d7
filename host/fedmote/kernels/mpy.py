"""Reads the machine code of a .mpy file's functions of inline assembler or viper, and makes those of one kind
the other. It knows MicroPython's .mpy format, version 6, and no instruction of any processor."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from fedmote.errors import FedmoteError

#: number in a .mpy file -> architecture, as mpy-cross calls it
ARCHITECTURES = MappingProxyType(
    {
        2: "x64", 4: "armv6m", 5: "armv7m", 6: "armv7em", 7: "armv7emsp", 8: "armv7emdp", 9: "xtensa",
        10: "xtensawin", 11: "rv32imc",
    }
)  # fmt: skip

_BYTECODE, _NATIVE, _VIPER, _ASSEMBLER = range(4)  # kinds of raw code
_FUN_TABLE, _ELLIPSIS, _STRING, _BYTES, _TUPLE = 0, 4, 5, 6, 10  # kinds of constants
_PLAIN, _OFFSET = 0, 3  # what follows an opcode; what lies between are numbers
_FORMATS = 0x3A4  # two bits of it for every sixteen opcodes
_EXTRA_BYTE = 0x9E  # opcodes with none of these bits have one more byte
_STORE_NAME, _MAKE_FUNCTION = 0x16, 0x32
_ARCHITECTURE_HAS_FLAGS = 0x40


@dataclass(frozen=True)
class _RawCode:
    """A module or a function. kind: one of _BYTECODE to _ASSEMBLER."""

    kind: int
    data: bytes
    children: tuple["_RawCode", ...]


def architecture_of(mpy: bytes) -> str | None:
    """Return what a .mpy file was compiled for, None where it has no native code. Raises FedmoteError for
    something else than a .mpy file of version 6."""
    if len(mpy) < 4 or mpy[0] != ord("M") or mpy[1] != 6:
        raise FedmoteError("not a .mpy file of version 6: compile it with the mpy-cross of the project")
    return ARCHITECTURES.get(mpy[2] >> 2 & 15)


def functions_of(mpy: bytes) -> dict[str, bytes]:
    """Return the machine code of every inline assembler function of a module: name -> code.

    The code begins with what saves the registers and ends with the return. Raises FedmoteError as
    ``architecture_of``, and for a function whose name every MicroPython has anyway, such as ``sum``: the file
    has but a number for it.
    """
    return _Module(mpy).functions(_ASSEMBLER)


def viper_functions_of(mpy: bytes) -> dict[str, bytes]:
    """As ``functions_of``, for viper functions. They are called as objects: docs/kernels.md."""
    return _Module(mpy).functions(_VIPER)


def as_viper(mpy: bytes) -> bytes:
    """Return the file with its inline assembler functions as functions of viper, their code as it stands.

    For firmware that has native code, but no inline assembler, and so would take them for bytecode. Raises
    FedmoteError as ``architecture_of``.
    """
    changed = bytearray(mpy)
    for head, start, end in reversed(_Module(mpy).heads):
        changed[head] -= _ASSEMBLER - _VIPER
        del changed[start:end]  # the number of arguments and their types
    return bytes(changed)


def table_constant_of(mpy: bytes) -> int:
    """Return the number of the constant that stands for MicroPython's table of functions. Raises FedmoteError
    as ``architecture_of``, and for a module without one."""
    constants = _Module(mpy).constants
    if _FUN_TABLE not in constants:
        raise FedmoteError("the module has no native code that calls MicroPython")
    return constants.index(_FUN_TABLE)


class _Module:
    """A file's parts. constants: their kinds. heads: see ``_Reader``."""

    def __init__(self, mpy: bytes) -> None:
        architecture_of(mpy)
        reader = _Reader(mpy, 4)
        if mpy[2] & _ARCHITECTURE_HAS_FLAGS:
            reader.number()
        names, constants = reader.number(), reader.number()
        self._qstrs = [reader.qstr() for _ in range(names)]
        self.constants = [reader.constant() for _ in range(constants)]
        self._code = reader.raw_code()
        self.heads = reader.heads

    def functions(self, kind: int) -> dict[str, bytes]:
        """Return name -> machine code of the functions of a kind."""
        found = {}
        for qstr, child in _functions_of_module(self._code.data):
            if self._code.children[child].kind == kind:
                name = self._qstrs[qstr]
                if name is None:
                    raise FedmoteError(
                        "a native function has a name that MicroPython keeps by number: rename it"
                    )
                found[name] = self._code.children[child].data
        return found


class _Reader:
    """Goes through the bytes of a file from a position on.

    heads: of each inline assembler function so far, where the byte with its kind stands, and where what viper
    functions have not begins and ends.
    """

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position
        self.heads: list[tuple[int, int, int]] = []

    def byte(self) -> int:
        self.position += 1
        return self._data[self.position - 1]

    def number(self) -> int:
        """Read groups of 7 bits, the highest first."""
        value, more = 0, 128
        while more:
            byte = self.byte()
            value, more = value << 7 | byte & 127, byte & 128
        return value

    def bytes(self, count: int) -> bytes:
        self.position += count
        return self._data[self.position - count : self.position]

    def qstr(self) -> str | None:
        """Read a name, None where it is one of those that MicroPython knows by number."""
        size = self.number()
        return None if size & 1 else self.bytes((size >> 1) + 1)[:-1].decode()

    def constant(self) -> int:
        """Skip a constant and return its kind."""
        kind = self.byte()
        if _FUN_TABLE <= kind <= _ELLIPSIS:
            return kind
        size = self.number()
        if kind == _TUPLE:
            for _ in range(size):
                self.constant()
        else:
            self.bytes(size + (kind in (_STRING, _BYTES)))
        return kind

    def raw_code(self) -> _RawCode:
        head = self.number()
        at = self.position - 1
        kind, has_children, size = head & 3, head & 4, head >> 3
        data = self.bytes(size)
        if kind != _BYTECODE:
            self.number()  # the prelude's place, or flags
        if kind == _ASSEMBLER:
            start = self.position
            self.number()  # arguments
            self.number()  # and their types
            self.heads.append((at, start, self.position))
        count = self.number() if has_children else 0
        return _RawCode(kind, data, tuple(self.raw_code() for _ in range(count)))


def _functions_of_module(bytecode: bytes) -> Iterator[tuple[int, int]]:
    """Yield (number of the name, number of the child) of every function that a module makes and names."""
    reader = _Reader(bytecode)
    while reader.byte() & 128:  # the signature
        pass
    info = cells = shift = 0
    more = 128
    while more:
        byte = reader.byte()
        more = byte & 128
        info |= (byte >> 1 & 63) << 6 * shift
        cells |= (byte & 1) << shift
        shift += 1
    reader.bytes(info + cells)
    made = None
    while reader.position < len(bytecode):
        opcode = reader.byte()
        form = _FORMATS >> 2 * (opcode >> 4) & 3
        operand = 0
        if form == _OFFSET:
            reader.bytes(reader.byte() >> 7)
        elif form != _PLAIN:
            operand = reader.number()
        if form != _PLAIN and not opcode & _EXTRA_BYTE:
            reader.byte()
        if opcode == _STORE_NAME and made is not None:
            yield operand, made
        made = operand if opcode == _MAKE_FUNCTION else None
