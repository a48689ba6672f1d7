"""Executes machine code for Xtensa by QEMU's user mode, as unicorn has no such processor, and counts its
instructions. Each call is a process: an ELF file with the function, its memory, and a few instructions around
them that write the memory out again."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from shutil import which
from struct import pack, unpack
from tempfile import TemporaryDirectory

from fedmote.errors import FedmoteError
from fedmote.kernels import high_product
from fedmote.kernels.placing import RAM, RAM_BYTES, EmulationError, Processor, Result
from fedmote.kernels.xtensa_lx import (
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    A8,
    A10,
    A11,
    A12,
    A13,
    Label,
    Register,
    Xtensa,
)  # fmt: skip

PROGRAM = "qemu-xtensa"
#: it has all that we need but MULSH
MODEL = "dc233c"
_START, _FOUND, _CODE = 0x1000_0000, 0x1000_0400, 0x1000_0800
_KEPT = 0x5EED_0000  # and the register's number: in registers that belong to the caller
_KEPT_REGISTERS = (A2, A3, A4, A5, A6, A7)
_WRITE, _EXIT = 13, 118  # system calls
_MOST_BLOCKS = 50_000_000

_ENTRY, _RETURN = b"\x36\x41\x00", b"\x1d\xf0"
_ELF, _SEGMENT = "<4s5B7x2H5I6H", "<8I"
_LITTLE_32_BIT, _EXECUTABLE, _XTENSA, _ALL_RIGHTS = (1, 1, 1, 0, 0), 2, 94, 7
_INSTRUCTION = re.compile(rb"0x([0-9a-f]{8}):")
_BLOCK = re.compile(rb"Trace 0: (0x[0-9a-f]+) \[[0-9a-f]+/([0-9a-f]{8})/")


class Qemu(Processor):
    """An Xtensa core, as ESP32, S2 and S3 have it. It counts instructions.

    Raises FedmoteError where the program is not installed.
    """

    def __init__(self) -> None:
        found = which(PROGRAM)
        if found is None:
            raise FedmoteError(f"{PROGRAM} is missing: install QEMU's user mode, Debian's package qemu-user")
        self._program = found
        self._memory = bytearray(RAM_BYTES)
        super().__init__()

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Change memory."""
        start = address - RAM
        self._memory[start : start + len(data)] = data

    def read(self, address: int, count: int) -> bytes:
        """Return ``count`` bytes of memory."""
        return bytes(self._memory[address - RAM : address - RAM + count])

    def call(self, code: bytes, r0: int = 0, r1: int = 0, r2: int = 0, r3: int = 0) -> Result:
        """See ``Processor.call``."""
        used = self._free - RAM
        start = _around((r0, r1, r2, r3), used).ljust(_CODE - _START, b"\0")
        with TemporaryDirectory() as folder:
            image, output = Path(folder, "image"), Path(folder, "output")
            image.write_bytes(
                executable({_START: start + high_product.replace(code), RAM: bytes(self._memory[:used])})
            )
            image.chmod(0o700)
            instructions = self._run(image, output, len(code))
            written = output.read_bytes()
        head = 4 * (len(_KEPT_REGISTERS) + 1)
        if len(written) != head + used:
            raise EmulationError("the code has not come to its end: it does what the processor refuses")
        self._memory[:used] = written[head:]
        value, *kept = unpack(f"<{head // 4}I", written[:head])
        if kept != [_KEPT + register for register in _KEPT_REGISTERS]:
            raise EmulationError("the code has not restored all registers of its caller")
        self._check_guards()
        return Result(instructions, instructions, value)

    def helper(self, name: str) -> int:
        """See ``Processor.helper``."""
        return self.place(_HELPERS[name]())

    def _run(self, image: Path, output: Path, size: int) -> int:
        """Return how many instructions of the function were executed."""
        command = [self._program, "-cpu", MODEL, "-d", "in_asm,exec,nochain", str(image)]
        with (
            output.open("wb") as file,
            subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE) as process,
        ):
            assert process.stderr is not None
            try:
                return _instructions(process.stderr, range(_CODE, _CODE + size))
            finally:
                process.kill()


def _same() -> bytes:
    return _function(Xtensa())


def _floor_divide() -> bytes:
    code, exact = Xtensa(), Label()
    code.rems(A4, A2, A3)
    code.quos(A2, A2, A3)
    code.branch_on_zero("eqz", A4, exact)
    code.xor(A4, A4, A3)
    code.srai(A4, A4, 31)
    code.add(A2, A2, A4)
    code.place(exact)
    return _function(code)


def _modulo() -> bytes:
    code, exact = Xtensa(), Label()
    code.rems(A2, A2, A3)
    code.branch_on_zero("eqz", A2, exact)
    code.xor(A4, A2, A3)
    code.srai(A4, A4, 31)
    code.and_(A4, A4, A3)
    code.add(A2, A2, A4)
    code.place(exact)
    return _function(code)


_HELPERS = {"same": _same, "floor_divide": _floor_divide, "modulo": _modulo}


def _function(body: Xtensa) -> bytes:
    """Return code that is called with a window of its own."""
    return _ENTRY + body.code() + _RETURN


def _instructions(log: Iterable[bytes], code: range) -> int:
    """Count what QEMU tells: each block's instructions once, then its execution every time."""
    lengths: dict[bytes, int] = {}
    executions: Counter[bytes] = Counter()
    translated: Counter[int] = Counter()
    begin = 0
    blocks = 0
    for line in log:
        if line.startswith(b"Trace"):
            match = _BLOCK.match(line)
            assert match is not None
            key, address = match[1], int(match[2], 16)
            if address not in code:
                continue
            if translated and begin == address:  # its first execution
                lengths[key] = translated[begin]
                translated.clear()
            executions[key] += 1
            blocks += 1
            if blocks > _MOST_BLOCKS:
                raise EmulationError("the code does not end")
        elif line.startswith(b"IN:"):
            translated.clear()
        elif match := _INSTRUCTION.match(line):
            if not translated:
                begin = int(match[1], 16)
            translated[begin] += 1
    return sum(lengths[key] * count for key, count in executions.items())


def _around(numbers: tuple[int, ...], used: int) -> bytes:
    """Return the code that calls the function with these numbers and writes out its result, the registers
    that it must keep, and the memory used."""
    code = Xtensa()
    for register, number in zip((A10, A11, A12, A13), numbers, strict=True):
        code.constant(register, number)
    for register in _KEPT_REGISTERS:
        code.constant(register, _KEPT + register)
    code.constant(A8, _CODE)
    code.callx8(A8)
    code.constant(A8, _FOUND)
    for number, register in enumerate((A10, *_KEPT_REGISTERS)):
        code.s32i(register, A8, 4 * number)
    for address, count in ((_FOUND, 4 * (len(_KEPT_REGISTERS) + 1)), (RAM, used)):
        _system(code, _WRITE, {A6: 1, A3: address, A4: count})
    _system(code, _EXIT, {A6: 0})
    return code.code()


def _system(code: Xtensa, number: int, arguments: dict[Register, int]) -> None:
    for register, value in arguments.items():
        code.constant(register, value)
    code.movi(A2, number)
    code.syscall()


def executable(segments: dict[int, bytes]) -> bytes:
    """Return an ELF file with these contents at their addresses, which begins at the first one."""
    head = 52 + 32 * len(segments)
    table, content = b"", b""
    for address, data in segments.items():
        content += bytes((address - head - len(content)) % 0x1000)
        table += pack(
            _SEGMENT, 1, head + len(content), address, address, len(data), len(data), _ALL_RIGHTS, 0x1000
        )
        content += data
    first = next(iter(segments))
    numbers = _EXECUTABLE, _XTENSA, 1, first, 52, 0, 0, 52, 32, len(segments), 0, 0, 0
    return pack(_ELF, b"\x7fELF", *_LITTLE_32_BIT, *numbers) + table + content
