"""An assembler for Thumb-2 with DSP instructions as ARMv8-M has them (Cortex-M33): what ``thumb`` has, and
instructions of 32 bits, which end in ``_w`` where there is a narrow one of that name. It knows no kernels."""

from typing import NamedTuple

from fedmote.kernels.assembler import AssemblyError, Label, signed, unsigned
from fedmote.kernels.thumb import CONDITIONS, LR, PC, SP, Register, Thumb, far_bits


class Shifted(NamedTuple):
    """A register as an operand, shifted by a number of bits: by ``lsl``, ``lsr`` or ``asr``."""

    register: Register
    kind: int
    bits: int


def lsl(register: Register, bits: int) -> Shifted:
    return Shifted(register, 0, bits)


def lsr(register: Register, bits: int) -> Shifted:
    return Shifted(register, 1, bits)


def asr(register: Register, bits: int) -> Shifted:
    return Shifted(register, 2, bits)


Operand = Register | Shifted | int

_AND, _BIC, _ORR, _ORN, _EOR, _PKH, _ADD, _ADC, _SUB, _RSB = 0, 1, 2, 3, 4, 6, 8, 10, 13, 14
_NONE = PC  # where an operand or a result is missing


class Thumb2(Thumb):
    """Machine code for Thumb-2, see ``Thumb``. All branches reach as far as any function is long."""

    # places and jumps

    def b(self, label: Label) -> None:
        self._emit_branch(0x9000F000, 4, label, far_bits)

    def branch(self, condition: str, label: Label) -> None:
        word = 0x8000F000 | CONDITIONS[condition] << 6
        self._emit_branch(word, 4, label, _near)

    def far(self, condition: str, label: Label) -> None:
        self.branch(condition, label)

    def address(self, rd: Register, label: Label) -> None:
        """rd = where code stands, for ``bx`` or to load into the program counter: up to 4 kB away."""
        self.mov(rd, PC)  # 4 bytes ahead of this instruction
        self._emit_branch(0xF200 | rd | rd << 24, 4, label, _step)

    def it(self, condition: str) -> None:
        """Let the next instruction depend on a condition; it must not set flags."""
        self._emit(0xBF08 | CONDITIONS[condition] << 4)

    # arithmetic and bits: value is a register, one that is shifted, or a number

    def mov_w(self, rd: Register, value: Operand) -> None:
        if isinstance(value, int) and not isinstance(value, Register) and _spread(value) is None:
            low = unsigned(value, 16, "mov_w")
            self._wide(0xF240 | low >> 12 | (low >> 11 & 1) << 10, (low >> 8 & 7) << 12 | rd << 8 | low & 255)
        else:
            self._operate(_ORR, rd, _NONE, value)

    def mvn_w(self, rd: Register, value: Operand) -> None:
        self._operate(_ORN, rd, _NONE, value)

    def movt(self, rd: Register, value: int) -> None:
        """Set the upper half."""
        high = unsigned(value, 16, "movt")
        self._wide(0xF2C0 | high >> 12 | (high >> 11 & 1) << 10, (high >> 8 & 7) << 12 | rd << 8 | high & 255)

    def add_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._add(_ADD, rd, rn, value)

    def sub_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._add(_SUB, rd, rn, value)

    def adds_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_ADD, rd, rn, value, 1)

    def subs_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_SUB, rd, rn, value, 1)

    def adc_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_ADC, rd, rn, value)

    def rsb_w(self, rd: Register, rn: Register, value: Operand) -> None:
        """rd = value - rn."""
        self._operate(_RSB, rd, rn, value)

    def cmp_w(self, rn: Register, value: Operand) -> None:
        self._operate(_SUB, _NONE, rn, value, 1)

    def cmn_w(self, rn: Register, value: Operand) -> None:
        """Compare rn with -value."""
        self._operate(_ADD, _NONE, rn, value, 1)

    def tst_w(self, rn: Register, value: Operand) -> None:
        self._operate(_AND, _NONE, rn, value, 1)

    def and_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_AND, rd, rn, value)

    def eor_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_EOR, rd, rn, value)

    def bic_w(self, rd: Register, rn: Register, value: Operand) -> None:
        self._operate(_BIC, rd, rn, value)

    def lsl_w(self, rd: Register, rn: Register, rm: Register) -> None:
        self._wide(0xFA00 | rn, 0xF000 | rd << 8 | rm)

    def asr_w(self, rd: Register, rn: Register, rm: Register) -> None:
        self._wide(0xFA40 | rn, 0xF000 | rd << 8 | rm)

    def ssat(self, rd: Register, bits: int, rn: Register) -> None:
        """rd = rn, or the nearest signed number of so many bits."""
        self._wide(0xF300 | rn, rd << 8 | unsigned(bits - 1, 5, "ssat"))

    def qadd(self, rd: Register, rn: Register, rm: Register) -> None:
        """rd = rn + rm, or the nearest number of 32 bits."""
        self._wide(0xFA80 | rn, 0xF080 | rd << 8 | rm)

    def bfi(self, rd: Register, rn: Register, lowest: int, bits: int) -> None:
        """Let the bits of rd from ``lowest`` on be the lowest of rn."""
        first, last = unsigned(lowest, 5, "a field"), unsigned(lowest + bits - 1, 5, "a field")
        self._wide(0xF360 | rn, (first >> 2) << 12 | rd << 8 | (first & 3) << 6 | last)

    # halves and bytes: those of an operand are taken after it was turned right by 0, 8, 16 or 24 bits

    def pkhbt(self, rd: Register, rn: Register, rm: Register, left: int = 0) -> None:
        """rd = lower half of rn, upper half of rm << left."""
        self._operate(_PKH, rd, rn, lsl(rm, left))

    def pkhtb(self, rd: Register, rn: Register, rm: Register, right: int) -> None:
        """rd = upper half of rn, lower half of rm >> right, signed."""
        self._operate(_PKH, rd, rn, asr(rm, right))

    def sxtb16(self, rd: Register, rm: Register, turned: int = 0) -> None:
        self._extend(0xFA20, rd, _NONE, rm, turned)

    def uxtb16(self, rd: Register, rm: Register, turned: int = 0) -> None:
        self._extend(0xFA30, rd, _NONE, rm, turned)

    def sxtab16(self, rd: Register, rn: Register, rm: Register, turned: int = 0) -> None:
        self._extend(0xFA20, rd, rn, rm, turned)

    def sxtah(self, rd: Register, rn: Register, rm: Register, turned: int = 0) -> None:
        self._extend(0xFA00, rd, rn, rm, turned)

    def sadd16(self, rd: Register, rn: Register, rm: Register) -> None:
        self._wide(0xFA90 | rn, 0xF000 | rd << 8 | rm)

    # products

    def mul_w(self, rd: Register, rn: Register, rm: Register) -> None:
        self._wide(0xFB00 | rn, 0xF000 | rd << 8 | rm)

    def mla(self, rd: Register, rn: Register, rm: Register, ra: Register) -> None:
        """rd = ra + rn * rm."""
        self._wide(0xFB00 | rn, ra << 12 | rd << 8 | rm)

    def mls(self, rd: Register, rn: Register, rm: Register, ra: Register) -> None:
        """rd = ra - rn * rm."""
        self._wide(0xFB00 | rn, ra << 12 | rd << 8 | 0x10 | rm)

    def smlad(self, rd: Register, rn: Register, rm: Register, ra: Register) -> None:
        """rd = ra + the products of both halves."""
        self._wide(0xFB20 | rn, ra << 12 | rd << 8 | rm)

    def smlabb(self, rd: Register, rn: Register, rm: Register, ra: Register) -> None:
        """rd = ra + lower half of rn * lower half of rm."""
        self._wide(0xFB10 | rn, ra << 12 | rd << 8 | rm)

    def smlatb(self, rd: Register, rn: Register, rm: Register, ra: Register) -> None:
        """rd = ra + upper half of rn * lower half of rm."""
        self._wide(0xFB10 | rn, ra << 12 | rd << 8 | 0x20 | rm)

    def smmulr(self, rd: Register, rn: Register, rm: Register) -> None:
        """rd = the upper 32 bits of a signed product of 64, rounded."""
        self._wide(0xFB50 | rn, 0xF010 | rd << 8 | rm)

    def smull(self, low: Register, high: Register, rn: Register, rm: Register) -> None:
        """high, low = rn * rm."""
        self._wide(0xFB80 | rn, low << 12 | high << 8 | rm)

    def sdiv(self, rd: Register, rn: Register, rm: Register) -> None:
        self._wide(0xFB90 | rn, 0xF0F0 | rd << 8 | rm)

    # memory: offsets are bytes (-255 to 4095), a register, or one that is shifted left by up to 3

    def ldr_w(self, rt: Register, rn: Register, offset: Operand = 0) -> None:
        self._reach(0xF850, rt, rn, offset)

    def str_w(self, rt: Register, rn: Register, offset: Operand = 0) -> None:
        self._reach(0xF840, rt, rn, offset)

    def strb_w(self, rt: Register, rn: Register, offset: Operand = 0) -> None:
        self._reach(0xF800, rt, rn, offset)

    def ldrsb_w(self, rt: Register, rn: Register, offset: Operand = 0) -> None:
        self._reach(0xF910, rt, rn, offset)

    def ldr_post(self, rt: Register, rn: Register, step: int) -> None:
        """Load, then rn += step (-255 to 255), as all that end so."""
        self._post(0xF850, rt, rn, step)

    def str_post(self, rt: Register, rn: Register, step: int) -> None:
        self._post(0xF840, rt, rn, step)

    def strb_post(self, rt: Register, rn: Register, step: int) -> None:
        self._post(0xF800, rt, rn, step)

    def strh_post(self, rt: Register, rn: Register, step: int) -> None:
        self._post(0xF820, rt, rn, step)

    def ldrsb_post(self, rt: Register, rn: Register, step: int) -> None:
        self._post(0xF910, rt, rn, step)

    def ldrd(self, rt: Register, other: Register, rn: Register, offset: int = 0) -> None:
        """Load two words. offset: up to 1020."""
        self._wide(0xE9D0 | rn, rt << 12 | other << 8 | unsigned(offset, 8, "ldrd", 4))

    def strd(self, rt: Register, other: Register, rn: Register, offset: int = 0) -> None:
        self._wide(0xE9C0 | rn, rt << 12 | other << 8 | unsigned(offset, 8, "strd", 4))

    def ldrd_post(self, rt: Register, other: Register, rn: Register, step: int) -> None:
        self._wide(0xE8F0 | rn, rt << 12 | other << 8 | unsigned(step, 8, "ldrd_post", 4))

    def strd_post(self, rt: Register, other: Register, rn: Register, step: int) -> None:
        self._wide(0xE8E0 | rn, rt << 12 | other << 8 | unsigned(step, 8, "strd_post", 4))

    def ldm_w(self, rn: Register, *registers: Register) -> None:
        """Load words and step over them; rn is none of the registers."""
        self._wide(0xE8B0 | rn, _several(registers, rn))

    def ldm_at(self, rn: Register, *registers: Register) -> None:
        """Load words; rn stays, unless it is one of the registers."""
        self._wide(0xE890 | rn, _several(registers, SP))

    def stm_w(self, rn: Register, *registers: Register) -> None:
        self._wide(0xE8A0 | rn, _several(registers, rn))

    def push_w(self, *registers: Register) -> None:
        self._wide(0xE92D, _several(registers, SP))

    def pop_w(self, *registers: Register) -> None:
        self._wide(0xE8BD, _several(registers, SP))

    # more than one instruction

    def constant(self, rd: Register, value: int) -> None:
        """Any number of 32 bits."""
        value &= 0xFFFFFFFF
        if _spread(value) is not None or value < 1 << 16:
            self.mov_w(rd, value)
        elif _spread(~value & 0xFFFFFFFF) is not None:
            self.mvn_w(rd, ~value & 0xFFFFFFFF)
        else:
            self.mov_w(rd, value & 0xFFFF)
            self.movt(rd, value >> 16)

    def _wide(self, first: int, second: int) -> None:
        self._emit(first | second << 16, 4)

    def _operate(self, operation: int, rd: Register, rn: Register, value: Operand, flags: int = 0) -> None:
        if isinstance(value, Register):
            value = lsl(value, 0)
        if isinstance(value, Shifted):
            rm, kind, count = value
            count = unsigned(count, 5, "a shift")
            last = (count >> 2) << 12 | rd << 8 | (count & 3) << 6 | kind << 4 | rm
            self._wide(0xEA00 | operation << 5 | flags << 4 | rn, last)
        else:
            spread = _spread(value & 0xFFFFFFFF)
            if spread is None:
                raise AssemblyError(f"{value} is not a number that an instruction takes")
            first = 0xF000 | (spread >> 11) << 10 | operation << 5 | flags << 4 | rn
            self._wide(first, (spread >> 8 & 7) << 12 | rd << 8 | spread & 255)

    def _add(self, operation: int, rd: Register, rn: Register, value: Operand) -> None:
        if isinstance(value, Shifted | Register) or _spread(value & 0xFFFFFFFF) is not None:
            self._operate(operation, rd, rn, value)
        else:
            number = unsigned(value, 12, "add or sub")
            first = 0xF200 if operation == _ADD else 0xF2A0
            self._wide(first | (number >> 11) << 10 | rn, (number >> 8 & 7) << 12 | rd << 8 | number & 255)

    def _extend(self, word: int, rd: Register, rn: Register, rm: Register, turned: int) -> None:
        self._wide(word | rn, 0xF080 | rd << 8 | unsigned(turned, 2, "an extension", 8) << 4 | rm)

    def _reach(self, word: int, rt: Register, rn: Register, offset: Operand) -> None:
        if isinstance(offset, Register):
            offset = lsl(offset, 0)
        if isinstance(offset, Shifted):
            if offset.kind:
                raise AssemblyError("an offset can be shifted left only")
            self._wide(word | rn, rt << 12 | unsigned(offset.bits, 2, "an offset") << 4 | offset.register)
        elif offset < 0:
            self._wide(word | rn, rt << 12 | 0xC00 | unsigned(-offset, 8, "an offset"))
        else:
            self._wide(word | 0x80 | rn, rt << 12 | unsigned(offset, 12, "an offset"))

    def _post(self, word: int, rt: Register, rn: Register, step: int) -> None:
        up = step >= 0
        self._wide(word | rn, rt << 12 | 0x900 | up << 9 | unsigned(abs(step), 8, "a step"))


def _spread(value: int) -> int | None:
    """Return a number as the 12 bits of a modified immediate constant, None where it is not one."""
    low = value & 255
    for kind, word in enumerate((low, low << 16 | low, (value >> 8 & 255) * 0x01000100, low * 0x01010101)):
        if word == value:
            return kind << 8 | (value >> 8 & 255 if kind == 2 else low)
    for turned in range(8, 32):
        byte = (value << turned | value >> 32 - turned) & 0xFFFFFFFF
        if 128 <= byte < 256:
            return turned << 7 | byte & 127
    return None


def _several(registers: tuple[Register, ...], base: Register) -> int:
    bits = 0
    for register in registers:
        bits |= 1 << register
    if len(registers) < 2 or bits & (1 << SP | 1 << base) or (LR in registers and PC in registers):
        raise AssemblyError(f"no list of registers beside {base.name}: {', '.join(map(str, registers))}")
    return bits


def _near(distance: int) -> int:
    """Return the bits of a branch with a condition, up to 1 MB away."""
    offset = signed(distance - 4, 20, "a branch", 2)
    last = (offset >> 17 & 1) << 13 | (offset >> 18 & 1) << 11 | offset & 0x7FF
    return (offset >> 19) << 10 | offset >> 11 & 0x3F | last << 16


def _step(distance: int) -> int:
    """Return the bits that make an addition one to the program counter as read 2 bytes before, or take from
    it, and set the bit that says Thumb."""
    number = unsigned(abs(distance - 1), 12, "an address")
    first = (number >> 11) << 10 | (0xA0 if distance < 1 else 0)
    return first | ((number >> 8 & 7) << 12 | number & 255) << 16
