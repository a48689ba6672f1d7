"""A small assembler for Xtensa as ESP32, ESP32-S2 and ESP32-S3 all have it (LX6, LX7). It knows instructions,
no kernels and no files.

One method per instruction, named as in the ISA manual (``and_`` and ``or_`` because of Python). Those that
have a form of two bytes take it where the operands allow.
"""

from enum import IntEnum
from functools import partial

from fedmote.kernels.assembler import Assembler, AssemblyError, signed, unsigned
from fedmote.kernels.assembler import Label as Label


class Register(IntEnum):
    """A register. A1 is the stack pointer."""

    A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15 = range(16)


A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15 = Register

#: condition between two registers -> its number in a branch; the ends of the branches' names
CONDITIONS = {"eq": 1, "lt": 2, "ltu": 3, "ne": 9, "ge": 10, "geu": 11}
#: condition of one register -> likewise
CONDITIONS_ON_ZERO = {"eqz": 0, "nez": 1, "ltz": 2, "gez": 3}


class Xtensa(Assembler):
    """Machine code for Xtensa. As a module's function it gets its argument in a2, where its result goes; a
    window of its own is entered before the code given and left after its end, which it must reach. All
    registers but a1 are free: a0 is stored before."""

    DECORATOR = "asm_xtensa"
    ARGUMENT = "a2"
    UNIT = 1

    # places and jumps

    def j(self, label: Label) -> None:
        self._emit_branch(0x06, 3, label, lambda distance: signed(distance - 4, 18, "j") << 6)

    def branch(self, condition: str, rs: Register, rt: Register, label: Label) -> None:
        """The branch of a name in CONDITIONS, up to 128 bytes away."""
        name = "b" + condition
        self._emit_branch(0x07 | CONDITIONS[condition] << 12 | rs << 8 | rt << 4, 3, label, _near(name))

    def branch_on_zero(self, condition: str, rs: Register, label: Label) -> None:
        """The branch of a name in CONDITIONS_ON_ZERO, up to 2 kB away."""
        self._emit_branch(
            0x16 | CONDITIONS_ON_ZERO[condition] << 6 | rs << 8,
            3,
            label,
            lambda distance: signed(distance - 4, 12, "b" + condition) << 12,
        )

    def far(self, condition: str, rs: Register, label: Label) -> None:
        """The branch of a name in CONDITIONS_ON_ZERO to up to 128 kB away: two instructions."""
        over = Label()
        opposite = next(
            name for name, n in CONDITIONS_ON_ZERO.items() if n == CONDITIONS_ON_ZERO[condition] ^ 1
        )
        self.branch_on_zero(opposite, rs, over)
        self.j(label)
        self.place(over)

    def bbci(self, rs: Register, bit: int, label: Label) -> None:
        self._branch_on_bit("bbci", 0x6000, rs, bit, label)

    def bbsi(self, rs: Register, bit: int, label: Label) -> None:
        self._branch_on_bit("bbsi", 0xE000, rs, bit, label)

    # moves and sums

    def mov(self, rt: Register, rs: Register) -> None:
        self._emit(0x000D | rs << 8 | rt << 4, 2)

    def movi(self, rt: Register, value: int) -> None:
        """value: -2048 to 2047."""
        if -32 <= value < 96:
            self._emit(0x000C | (value & 15) << 12 | rt << 8 | (value & 0x70), 2)
        else:
            bits = signed(value, 12, "movi")
            self._emit(0x00A002 | (bits & 255) << 16 | (bits >> 8) << 8 | rt << 4, 3)

    def add(self, rr: Register, rs: Register, rt: Register) -> None:
        self._emit(0x000A | rr << 12 | rs << 8 | rt << 4, 2)

    def addi(self, rt: Register, rs: Register, value: int) -> None:
        if value == -1 or 0 < value < 16:
            self._emit(0x000B | rt << 12 | rs << 8 | (value if value > 0 else 0) << 4, 2)
        else:
            self._emit(0x00C002 | signed(value, 8, "addi") << 16 | rs << 8 | rt << 4, 3)

    def addmi(self, rt: Register, rs: Register, value: int) -> None:
        """value: a multiple of 256."""
        self._emit(0x00D002 | signed(value, 8, "addmi", 256) << 16 | rs << 8 | rt << 4, 3)

    def addx2(self, rr: Register, rs: Register, rt: Register) -> None:
        """rr = 2 * rs + rt."""
        self._three(0x900000, rr, rs, rt)

    def sub(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0xC00000, rr, rs, rt)

    def neg(self, rr: Register, rt: Register) -> None:
        self._three(0x600000, rr, 0, rt)

    def abs(self, rr: Register, rt: Register) -> None:
        self._three(0x600000, rr, 1, rt)

    def mull(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0x820000, rr, rs, rt)

    def mulsh(self, rr: Register, rs: Register, rt: Register) -> None:
        """The upper 32 bits of a signed product."""
        self._three(0xB20000, rr, rs, rt)

    def mul16s(self, rr: Register, rs: Register, rt: Register) -> None:
        """The product of the lower 16 bits of each, signed."""
        self._three(0xD10000, rr, rs, rt)

    def quos(self, rr: Register, rs: Register, rt: Register) -> None:
        """A signed quotient, rounded towards 0."""
        self._three(0xD20000, rr, rs, rt)

    def rems(self, rr: Register, rs: Register, rt: Register) -> None:
        """The rest of ``quos``, with the sign of rs."""
        self._three(0xF20000, rr, rs, rt)

    def min(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0x430000, rr, rs, rt)

    def max(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0x530000, rr, rs, rt)

    # bits

    def and_(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0x100000, rr, rs, rt)

    def xor(self, rr: Register, rs: Register, rt: Register) -> None:
        self._three(0x300000, rr, rs, rt)

    def slli(self, rr: Register, rs: Register, bits: int) -> None:
        if not 0 < bits < 32:
            raise AssemblyError(f"slli by {bits} bits does not exist")
        self._three(0x010000 | (32 - bits >> 4) << 20, rr, rs, 32 - bits & 15)

    def srli(self, rr: Register, rt: Register, bits: int) -> None:
        """bits: up to 15."""
        self._three(0x410000, rr, unsigned(bits, 4, "srli"), rt)

    def srai(self, rr: Register, rt: Register, bits: int) -> None:
        self._three(0x210000 | unsigned(bits, 5, "srai") >> 4 << 20, rr, bits & 15, rt)

    def extui(self, rr: Register, rt: Register, shift: int, bits: int) -> None:
        """Take bits, at most 16, from ``shift`` on."""
        field = unsigned(bits - 1, 4, "extui") << 20 | unsigned(shift, 5, "extui") >> 4 << 16
        self._three(0x040000 | field, rr, shift & 15, rt)

    def sext(self, rr: Register, rs: Register, sign: int) -> None:
        """Let all bits above bit number ``sign``, 7 to 22, be the same as it."""
        self._three(0x230000, rr, rs, unsigned(sign - 7, 4, "sext"))

    def ssr(self, rs: Register) -> None:
        """Let ``sra`` and ``srl`` shift by the lower 5 bits."""
        self._three(0x400000, 0, rs, 0)

    def ssl(self, rs: Register) -> None:
        """Let ``sll`` shift by the lower 5 bits."""
        self._three(0x400000, 1, rs, 0)

    def sra(self, rr: Register, rt: Register) -> None:
        self._three(0xB10000, rr, 0, rt)

    def sll(self, rr: Register, rs: Register) -> None:
        self._three(0xA10000, rr, rs, 0)

    # memory: offsets are bytes

    def l32i(self, rt: Register, rs: Register, offset: int = 0) -> None:
        self._word(0x0008, 0x2002, rt, rs, offset)

    def s32i(self, rt: Register, rs: Register, offset: int = 0) -> None:
        self._word(0x0009, 0x6002, rt, rs, offset)

    def l8ui(self, rt: Register, rs: Register, offset: int = 0) -> None:
        self._access("l8ui", 0x0002, 1, rt, rs, offset)

    def s8i(self, rt: Register, rs: Register, offset: int = 0) -> None:
        self._access("s8i", 0x4002, 1, rt, rs, offset)

    # what surrounds functions

    def callx8(self, rs: Register) -> None:
        """Call a function whose window begins with a8; its arguments and results begin with a10."""
        self._emit(0x0000E0 | rs << 8, 3)

    def ret(self) -> None:
        """Return from code that CALL0 has called."""
        self._emit(0xF00D, 2)

    def syscall(self) -> None:
        self._emit(0x005000, 3)

    # more than one instruction

    def constant(self, rt: Register, value: int) -> None:
        """Any number of 32 bits, by moves, shifts and additions: code has no literals."""
        value = (value & 0xFFFFFFFF) - ((value & 0x80000000) << 1)
        shift = 0
        while not -2048 <= value >> shift < 2048 and not value >> shift & 1:
            shift += 1
        if -2048 <= value >> shift < 2048:
            self.movi(rt, value >> shift)
            if shift:
                self.slli(rt, rt, shift)
        else:
            low = (value & 255 ^ 128) - 128
            self.constant(rt, value - low >> 8)
            self.slli(rt, rt, 8)
            if low:
                self.addi(rt, rt, low)

    def _three(self, word: int, rr: int, rs: int, rt: int) -> None:
        self._emit(word | rr << 12 | rs << 8 | rt << 4, 3)

    def _word(self, short: int, long: int, rt: Register, rs: Register, offset: int) -> None:
        if offset % 4 == 0 and 0 <= offset < 64:
            self._emit(short | offset // 4 << 12 | rs << 8 | rt << 4, 2)
        else:
            self._access("l32i", long, 4, rt, rs, offset)

    def _access(self, name: str, word: int, size: int, rt: Register, rs: Register, offset: int) -> None:
        self._emit(word | unsigned(offset, 8, name, size) << 16 | rs << 8 | rt << 4, 3)

    def _branch_on_bit(self, name: str, word: int, rs: Register, bit: int, label: Label) -> None:
        field = unsigned(bit, 5, name) >> 4 << 12 | (bit & 15) << 4
        self._emit_branch(0x07 | word | field | rs << 8, 3, label, _near(name))


def _near(name: str) -> "partial[int]":
    return partial(_to_near, name)


def _to_near(name: str, distance: int) -> int:
    return signed(distance - 4, 8, name) << 16
