"""A small assembler for RV32IM (ESP32-C3 and C6). It knows instructions, no kernels and no files.

One method per instruction, named as in the manual (``and_`` and ``or_`` because of Python), and the usual
names for special cases of others, such as ``mv``. No instruction is compressed.
"""

from enum import IntEnum

from fedmote.kernels.assembler import Assembler, AssemblyError, Label, signed, unsigned


class Register(IntEnum):
    """A register, by its name in the calling convention."""

    ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5 = range(16)
    A6, A7, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, T3, T4, T5, T6 = range(16, 32)


ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5 = list(Register)[:16]
A6, A7, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, T3, T4, T5, T6 = list(Register)[16:]


class RiscV(Assembler):
    """Machine code for RV32IM. As a module's function it gets its argument in a0, where its result goes.

    The return follows the code given, which must reach its end. Nothing is saved around it: s0 to s11, ra and
    sp must be as they were.
    """

    DECORATOR = "asm_rv32"
    ARGUMENT = "a0"
    UNIT = 4

    # arithmetic

    def add(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 0, rd, rs1, rs2)

    def sub(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(32, 0, rd, rs1, rs2)

    def sll(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 1, rd, rs1, rs2)

    def slt(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 2, rd, rs1, rs2)

    def sltu(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 3, rd, rs1, rs2)

    def xor(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 4, rd, rs1, rs2)

    def srl(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 5, rd, rs1, rs2)

    def sra(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(32, 5, rd, rs1, rs2)

    def or_(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 6, rd, rs1, rs2)

    def and_(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(0, 7, rd, rs1, rs2)

    def mul(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(1, 0, rd, rs1, rs2)

    def mulh(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(1, 1, rd, rs1, rs2)

    def mulhsu(self, rd: Register, rs1: Register, rs2: Register) -> None:
        """The upper half of the product of a signed and an unsigned number."""
        self._register(1, 2, rd, rs1, rs2)

    def div(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(1, 4, rd, rs1, rs2)

    def divu(self, rd: Register, rs1: Register, rs2: Register) -> None:
        self._register(1, 5, rd, rs1, rs2)

    def addi(self, rd: Register, rs1: Register, value: int) -> None:
        self._immediate(0x13, 0, rd, rs1, value, "addi")

    def slti(self, rd: Register, rs1: Register, value: int) -> None:
        self._immediate(0x13, 2, rd, rs1, value, "slti")

    def xori(self, rd: Register, rs1: Register, value: int) -> None:
        self._immediate(0x13, 4, rd, rs1, value, "xori")

    def andi(self, rd: Register, rs1: Register, value: int) -> None:
        self._immediate(0x13, 7, rd, rs1, value, "andi")

    def slli(self, rd: Register, rs1: Register, bits: int) -> None:
        self._immediate(0x13, 1, rd, rs1, unsigned(bits, 5, "slli"), "slli")

    def srli(self, rd: Register, rs1: Register, bits: int) -> None:
        self._immediate(0x13, 5, rd, rs1, unsigned(bits, 5, "srli"), "srli")

    def srai(self, rd: Register, rs1: Register, bits: int) -> None:
        self._immediate(0x13, 5, rd, rs1, unsigned(bits, 5, "srai") | 1 << 10, "srai")

    def lui(self, rd: Register, value: int) -> None:
        """rd = value << 12."""
        self._emit(unsigned(value, 20, "lui") << 12 | rd << 7 | 0x37)

    def address(self, rd: Register, label: Label) -> None:
        """rd = where a label is: two instructions."""
        self._emit_branch(rd << 7 | 0x17, 4, label, lambda distance: distance + 0x800 & 0xFFFFF000)  # auipc
        self._emit_branch(rd << 15 | rd << 7 | 0x13, 4, label, lambda distance: (distance + 4 & 0xFFF) << 20)

    def mv(self, rd: Register, rs: Register) -> None:
        self.addi(rd, rs, 0)

    def neg(self, rd: Register, rs: Register) -> None:
        self.sub(rd, ZERO, rs)

    def li(self, rd: Register, value: int) -> None:
        """Any number of 32 bits: one instruction or two."""
        low = (value & 0xFFF ^ 0x800) - 0x800
        high = value - low >> 12 & 0xFFFFF
        if high:
            self.lui(rd, high)
        if low or not high:
            self.addi(rd, rd if high else ZERO, low)

    # memory: offsets in bytes

    def lb(self, rd: Register, rs1: Register, offset: int = 0) -> None:
        self._immediate(0x03, 0, rd, rs1, offset, "lb")

    def lw(self, rd: Register, rs1: Register, offset: int = 0) -> None:
        self._immediate(0x03, 2, rd, rs1, offset, "lw")

    def lbu(self, rd: Register, rs1: Register, offset: int = 0) -> None:
        self._immediate(0x03, 4, rd, rs1, offset, "lbu")

    def sb(self, rs2: Register, rs1: Register, offset: int = 0) -> None:
        self._store(0, rs2, rs1, offset, "sb")

    def sw(self, rs2: Register, rs1: Register, offset: int = 0) -> None:
        self._store(2, rs2, rs1, offset, "sw")

    # branches, up to 4 kB away

    def beq(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(0, rs1, rs2, label, "beq")

    def bne(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(1, rs1, rs2, label, "bne")

    def blt(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(4, rs1, rs2, label, "blt")

    def bge(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(5, rs1, rs2, label, "bge")

    def bltu(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(6, rs1, rs2, label, "bltu")

    def bgeu(self, rs1: Register, rs2: Register, label: Label) -> None:
        self._branch(7, rs1, rs2, label, "bgeu")

    def beqz(self, rs: Register, label: Label) -> None:
        self.beq(rs, ZERO, label)

    def bnez(self, rs: Register, label: Label) -> None:
        self.bne(rs, ZERO, label)

    def bltz(self, rs: Register, label: Label) -> None:
        self.blt(rs, ZERO, label)

    def bgez(self, rs: Register, label: Label) -> None:
        self.bge(rs, ZERO, label)

    def jal(self, rd: Register, label: Label) -> None:
        """Up to 1 MB away."""
        self._emit_branch(rd << 7 | 0x6F, 4, label, _jump)

    def jalr(self, rd: Register, rs1: Register, offset: int = 0) -> None:
        self._immediate(0x67, 0, rd, rs1, offset, "jalr")

    def j(self, label: Label) -> None:
        self.jal(ZERO, label)

    def ret(self) -> None:
        self.jalr(ZERO, RA)

    def _emit(self, word: int, size: int = 4) -> None:
        super()._emit(word, size)

    def _register(self, funct7: int, funct3: int, rd: Register, rs1: Register, rs2: Register) -> None:
        if not all(isinstance(register, Register) for register in (rd, rs1, rs2)):
            raise AssemblyError(f"operands must be registers: {rd!r}, {rs1!r}, {rs2!r}")
        self._emit(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33)

    def _immediate(
        self, opcode: int, funct3: int, rd: Register, rs1: Register, value: int, name: str
    ) -> None:
        self._emit(signed(value, 12, name) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode)

    def _store(self, funct3: int, rs2: Register, rs1: Register, offset: int, name: str) -> None:
        bits = signed(offset, 12, name)
        self._emit(bits >> 5 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (bits & 31) << 7 | 0x23)

    def _branch(self, funct3: int, rs1: Register, rs2: Register, label: Label, name: str) -> None:
        word = rs2 << 20 | rs1 << 15 | funct3 << 12 | 0x63

        def encode(distance: int) -> int:
            bits = signed(distance, 12, name, 2)
            return (bits >> 11) << 31 | (bits >> 4 & 63) << 25 | (bits & 15) << 8 | (bits >> 10 & 1) << 7

        self._emit_branch(word, 4, label, encode)


def _jump(distance: int) -> int:
    bits = signed(distance, 20, "jal", 2)
    return (bits >> 19) << 31 | (bits & 0x3FF) << 21 | (bits >> 10 & 1) << 20 | (bits >> 11 & 0xFF) << 12
