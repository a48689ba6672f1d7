"""A small assembler for Thumb as ARMv6-M has it (Cortex-M0+). It knows instructions, no kernels and no files.

One method per instruction, named as in the ARM manual (``str_`` and ``and_`` because of Python); an
instruction that takes a register or a number is one method for both. Instructions that set the flags end in
``s`` as there.
"""

from enum import IntEnum

from fedmote.kernels.assembler import Assembler, AssemblyError, signed, unsigned
from fedmote.kernels.assembler import Label as Label


class Register(IntEnum):
    """A register. Most instructions take R0 to R7 alone."""

    R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, SP, LR, PC = range(16)


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, SP, LR, PC = Register

#: condition -> its number in a branch; also the end of the branch's name
CONDITIONS = {
    "eq": 0, "ne": 1, "hs": 2, "lo": 3, "mi": 4, "pl": 5, "vs": 6, "vc": 7,
    "hi": 8, "ls": 9, "ge": 10, "lt": 11, "gt": 12, "le": 13,
}  # fmt: skip


class Thumb(Assembler):
    """Machine code for Thumb. As a module's function it gets its argument in r0, where its result goes; r4 to
    r7 and lr are saved before the code given and restored after its end, which it must reach: no return, and
    r8 to r11 as they were."""

    DECORATOR = "asm_thumb"
    ARGUMENT = "r0"
    UNIT = 2

    # places and jumps

    def b(self, label: Label) -> None:
        self._branch("b", 0xE000, label, 11)

    def bl(self, label: Label) -> None:
        self._emit_branch(0xD000F000, 4, label, far_bits)

    def branch(self, condition: str, label: Label) -> None:
        """The branch of a name in CONDITIONS, up to 256 bytes away."""
        self._branch("b" + condition, 0xD000 | CONDITIONS[condition] << 8, label, 8)

    def beq(self, label: Label) -> None:
        self.branch("eq", label)

    def bne(self, label: Label) -> None:
        self.branch("ne", label)

    def bhs(self, label: Label) -> None:
        self.branch("hs", label)

    def blo(self, label: Label) -> None:
        self.branch("lo", label)

    def bmi(self, label: Label) -> None:
        self.branch("mi", label)

    def bpl(self, label: Label) -> None:
        self.branch("pl", label)

    def bhi(self, label: Label) -> None:
        self.branch("hi", label)

    def bls(self, label: Label) -> None:
        self.branch("ls", label)

    def bge(self, label: Label) -> None:
        self.branch("ge", label)

    def blt(self, label: Label) -> None:
        self.branch("lt", label)

    def bgt(self, label: Label) -> None:
        self.branch("gt", label)

    def ble(self, label: Label) -> None:
        self.branch("le", label)

    def far(self, condition: str, label: Label) -> None:
        """The branch of a name in CONDITIONS to up to 2 kB away: two instructions."""
        self._emit(0xD000 | (CONDITIONS[condition] ^ 1) << 8)  # over the next one
        self.b(label)

    def bx(self, rm: Register) -> None:
        self._emit(0x4700 | rm << 3)

    def blx(self, rm: Register) -> None:
        self._emit(0x4780 | rm << 3)

    # moves and arithmetic

    def movs(self, rd: Register, value: Register | int) -> None:
        if isinstance(value, Register):
            self._emit(_low(value) << 3 | _low(rd))
        else:
            self._emit(0x2000 | _low(rd) << 8 | unsigned(value, 8, "movs"))

    def mov(self, rd: Register, rm: Register) -> None:
        """Any register to any, flags stay."""
        self._emit(0x4600 | (rd & 8) << 4 | rm << 3 | rd & 7)

    def mvns(self, rd: Register, rm: Register) -> None:
        self._process(15, rd, rm)

    def adds(self, rd: Register, rn: Register, value: Register | int) -> None:
        self._add_or_subtract("adds", 0, rd, rn, value)

    def subs(self, rd: Register, rn: Register, value: Register | int) -> None:
        self._add_or_subtract("subs", 1, rd, rn, value)

    def add(self, rd: Register, rm: Register) -> None:
        """rd += rm, any registers, flags stay."""
        self._emit(0x4400 | (rd & 8) << 4 | rm << 3 | rd & 7)

    def add_sp(self, rd: Register, offset: int) -> None:
        """rd = SP + offset; for rd = SP, which may go down as well, the stack pointer moves."""
        if rd == SP:
            sign = 0x80 if offset < 0 else 0
            self._emit(0xB000 | sign | unsigned(abs(offset), 7, "add sp", 4))
        else:
            self._emit(0xA800 | _low(rd) << 8 | unsigned(offset, 8, "add sp", 4))

    def adcs(self, rd: Register, rm: Register) -> None:
        self._process(5, rd, rm)

    def sbcs(self, rd: Register, rm: Register) -> None:
        self._process(6, rd, rm)

    def rsbs(self, rd: Register, rn: Register) -> None:
        """rd = 0 - rn."""
        self._process(9, rd, rn)

    def muls(self, rd: Register, rm: Register) -> None:
        """rd *= rm."""
        self._process(13, rd, rm)

    def cmp(self, rn: Register, value: Register | int) -> None:
        if not isinstance(value, Register):
            self._emit(0x2800 | _low(rn) << 8 | unsigned(value, 8, "cmp"))
        elif rn < 8 and value < 8:
            self._process(10, rn, value)
        else:
            self._emit(0x4500 | (rn & 8) << 4 | value << 3 | rn & 7)

    def cmn(self, rn: Register, rm: Register) -> None:
        self._process(11, rn, rm)

    # bits

    def lsls(self, rd: Register, rm: Register, value: Register | int) -> None:
        """By a register: rd is rm."""
        self._shift("lsls", 0x0000, 2, rd, rm, value)

    def lsrs(self, rd: Register, rm: Register, value: Register | int) -> None:
        """By a register: rd is rm."""
        self._shift("lsrs", 0x0800, 3, rd, rm, value)

    def asrs(self, rd: Register, rm: Register, value: Register | int) -> None:
        """By a register: rd is rm."""
        self._shift("asrs", 0x1000, 4, rd, rm, value)

    def rors(self, rd: Register, rm: Register) -> None:
        self._process(7, rd, rm)

    def ands(self, rd: Register, rm: Register) -> None:
        self._process(0, rd, rm)

    def eors(self, rd: Register, rm: Register) -> None:
        self._process(1, rd, rm)

    def orrs(self, rd: Register, rm: Register) -> None:
        self._process(12, rd, rm)

    def bics(self, rd: Register, rm: Register) -> None:
        self._process(14, rd, rm)

    def tst(self, rn: Register, rm: Register) -> None:
        self._process(8, rn, rm)

    def sxth(self, rd: Register, rm: Register) -> None:
        self._emit(0xB200 | _low(rm) << 3 | _low(rd))

    def sxtb(self, rd: Register, rm: Register) -> None:
        self._emit(0xB240 | _low(rm) << 3 | _low(rd))

    def uxth(self, rd: Register, rm: Register) -> None:
        self._emit(0xB280 | _low(rm) << 3 | _low(rd))

    def uxtb(self, rd: Register, rm: Register) -> None:
        self._emit(0xB2C0 | _low(rm) << 3 | _low(rd))

    # memory: offsets are bytes or a register

    def ldr(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("ldr", 0x6800, 0x5800, 4, rt, rn, offset, 0x9800)

    def str_(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("str", 0x6000, 0x5000, 4, rt, rn, offset, 0x9000)

    def ldrh(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("ldrh", 0x8800, 0x5A00, 2, rt, rn, offset)

    def strh(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("strh", 0x8000, 0x5200, 2, rt, rn, offset)

    def ldrb(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("ldrb", 0x7800, 0x5C00, 1, rt, rn, offset)

    def strb(self, rt: Register, rn: Register, offset: Register | int = 0) -> None:
        self._access("strb", 0x7000, 0x5400, 1, rt, rn, offset)

    def ldrsb(self, rt: Register, rn: Register, rm: Register) -> None:
        self._emit(0x5600 | _low(rm) << 6 | _low(rn) << 3 | _low(rt))

    def ldrsh(self, rt: Register, rn: Register, rm: Register) -> None:
        self._emit(0x5E00 | _low(rm) << 6 | _low(rn) << 3 | _low(rt))

    def ldm(self, rn: Register, *registers: Register) -> None:
        """Load and step over words; rn keeps its place where it is one of the registers loaded."""
        self._emit(0xC800 | _low(rn) << 8 | _list(registers))

    def stm(self, rn: Register, *registers: Register) -> None:
        self._emit(0xC000 | _low(rn) << 8 | _list(registers))

    def push(self, *registers: Register) -> None:
        rest = [r for r in registers if r != LR]
        self._emit(0xB400 | (LR in registers) << 8 | (_list(rest) if rest else 0))

    def pop(self, *registers: Register) -> None:
        rest = [r for r in registers if r != PC]
        self._emit(0xBC00 | (PC in registers) << 8 | (_list(rest) if rest else 0))

    # other cores

    def wfe(self) -> None:
        """Sleep until an event has come."""
        self._emit(0xBF20)

    def sev(self) -> None:
        """Send an event to all cores."""
        self._emit(0xBF40)

    # more than one instruction

    def constant(self, rd: Register, value: int) -> None:
        """Any number of 32 bits, by moves, shifts and additions: there is no pool of literals."""
        value &= 0xFFFFFFFF
        shift = 0
        while value >> shift > 255 and not value >> shift & 1:
            shift += 1
        base = value >> shift
        if base <= 255:
            self.movs(rd, base)
            if shift:
                self.lsls(rd, rd, shift)
        elif ~value & 0xFFFFFFFF <= 255:
            self.movs(rd, ~value & 0xFF)
            self.mvns(rd, rd)
        elif value <= 510:
            self.movs(rd, 255)
            self.adds(rd, rd, value - 255)
        else:
            self.constant(rd, value >> 8)
            self.lsls(rd, rd, 8)
            if value & 255:
                self.adds(rd, rd, value & 255)

    def _emit(self, word: int, size: int = 2) -> None:
        super()._emit(word, size)

    def _branch(self, name: str, word: int, label: Label, bits: int) -> None:
        self._emit_branch(word, 2, label, lambda distance: signed(distance - 4, bits, name, 2))

    def _process(self, operation: int, rd: Register, rm: Register) -> None:
        self._emit(0x4000 | operation << 6 | _low(rm) << 3 | _low(rd))

    def _add_or_subtract(
        self, name: str, subtract: int, rd: Register, rn: Register, value: Register | int
    ) -> None:
        if isinstance(value, Register):
            self._emit(0x1800 | subtract << 9 | _low(value) << 6 | _low(rn) << 3 | _low(rd))
        elif rd == rn and not 0 <= value < 8:
            self._emit(0x3000 | subtract << 11 | _low(rd) << 8 | unsigned(value, 8, name))
        else:
            self._emit(0x1C00 | subtract << 9 | unsigned(value, 3, name) << 6 | _low(rn) << 3 | _low(rd))

    def _shift(
        self, name: str, word: int, operation: int, rd: Register, rm: Register, value: Register | int
    ) -> None:
        if not isinstance(value, Register):
            if name != "lsls" and value == 32:
                value = 0
            elif not 0 < value < 32:
                raise AssemblyError(f"{name} by {value} bits does not exist")
            self._emit(word | value << 6 | _low(rm) << 3 | _low(rd))
        elif rd != rm:
            raise AssemblyError(f"{name} by a register changes one register, not {rm.name} into {rd.name}")
        else:
            self._process(operation, rd, value)

    def _access(
        self, name: str, by_number: int, by_register: int, size: int, rt: Register, rn: Register,
        offset: Register | int, on_stack: int = 0,
    ) -> None:  # fmt: skip
        if isinstance(offset, Register):
            self._emit(by_register | _low(offset) << 6 | _low(rn) << 3 | _low(rt))
        elif rn == SP and on_stack:
            self._emit(on_stack | _low(rt) << 8 | unsigned(offset, 8, name, size))
        else:
            self._emit(by_number | unsigned(offset, 5, name, size) << 6 | _low(rn) << 3 | _low(rt))


def _low(register: Register) -> int:
    if register > 7:
        raise AssemblyError(f"only R0 to R7 can stand here, not {register.name}")
    return int(register)


def _list(registers: list[Register] | tuple[Register, ...]) -> int:
    bits = 0
    for register in registers:
        bits |= 1 << _low(register)
    if not bits:
        raise AssemblyError("a list of no registers")
    return bits


def far_bits(distance: int) -> int:
    """Return the bits of a call, or of a wide branch, to a place so many bytes from its own begin."""
    bits = signed(distance - 4, 22, "a branch", 2)  # so near that the two bits above repeat the sign
    return bits >> 21 << 10 | bits >> 11 & 0x3FF | (0x2800 | bits & 0x7FF) << 16
