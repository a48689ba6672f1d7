"""The assembler for RV32 writes what a disassembler reads, and refuses what the processor does not have."""

import pytest
from capstone import CS_ARCH_RISCV, CS_MODE_RISCV32, Cs

from fedmote.kernels.assembler import AssemblyError, Label, module
from fedmote.kernels.riscv import A0, A1, A5, RA, S0, S11, SP, T0, T6, ZERO, RiscV

INSTRUCTIONS = [
    ("add", (A0, A1, T6), "add a0, a1, t6"),
    ("sub", (A0, A1, T6), "sub a0, a1, t6"),
    ("sll", (S11, S0, T0), "sll s11, s0, t0"),
    ("slt", (A0, A1, A5), "slt a0, a1, a5"),
    ("sltu", (A0, A1, A5), "sltu a0, a1, a5"),
    ("xor", (A0, A1, A5), "xor a0, a1, a5"),
    ("srl", (A0, A1, A5), "srl a0, a1, a5"),
    ("sra", (A0, A1, A5), "sra a0, a1, a5"),
    ("or_", (A0, A1, A5), "or a0, a1, a5"),
    ("and_", (A0, A1, A5), "and a0, a1, a5"),
    ("mul", (A0, A1, A5), "mul a0, a1, a5"),
    ("mulh", (A0, A1, A5), "mulh a0, a1, a5"),
    ("mulhsu", (A0, A1, A5), "mulhsu a0, a1, a5"),
    ("div", (A0, A1, A5), "div a0, a1, a5"),
    ("divu", (A0, A1, A5), "divu a0, a1, a5"),
    ("addi", (SP, SP, -2048), "addi sp, sp, -0x800"),
    ("slti", (A0, A1, 9), "slti a0, a1, 9"),
    ("xori", (A0, A1, 128), "xori a0, a1, 0x80"),
    ("andi", (A0, A1, 255), "andi a0, a1, 0xff"),
    ("slli", (A0, A1, 31), "slli a0, a1, 0x1f"),
    ("srli", (A0, A1, 16), "srli a0, a1, 0x10"),
    ("srai", (A0, A1, 16), "srai a0, a1, 0x10"),
    ("lui", (A0, 0xFFFFF), "lui a0, 0xfffff"),
    ("mv", (A0, T6), "mv a0, t6"),
    ("neg", (A0, T6), "neg a0, t6"),
    ("li", (A0, -7), "addi a0, zero, -7"),
    ("lb", (A0, S11, -1), "lb a0, -1(s11)"),
    ("lw", (A0, S11, 2047), "lw a0, 0x7ff(s11)"),
    ("lbu", (A0, S11), "lbu a0, 0(s11)"),
    ("sb", (A0, S11, -2048), "sb a0, -0x800(s11)"),
    ("sw", (T6, SP, 100), "sw t6, 0x64(sp)"),
    ("jalr", (RA, A0, 4), "jalr ra, a0, 4"),
    ("ret", (), "ret "),
]


def read_back(riscv: RiscV) -> list[str]:
    reader = Cs(CS_ARCH_RISCV, CS_MODE_RISCV32)
    return [f"{one.mnemonic} {one.op_str}" for one in reader.disasm(riscv.code(), 0x1000)]


@pytest.mark.parametrize(("name", "operands", "expected"), INSTRUCTIONS)
def test_instructions_read_as_written(name: str, operands: tuple, expected: str) -> None:
    riscv = RiscV()
    getattr(riscv, name)(*operands)
    assert read_back(riscv) == [expected]


@pytest.mark.parametrize("name", ["beq", "bne", "blt", "bge", "bltu", "bgeu"])
def test_branches_lead_to_their_labels(name: str) -> None:
    riscv, end = RiscV(), Label()
    start = riscv.label()
    getattr(riscv, name)(A0, A1, end)
    for _ in range(500):
        riscv.mv(A0, A0)
    getattr(riscv, name)(T6, S0, start)
    riscv.place(end)
    text = read_back(riscv)
    assert text[0] == f"{name} a0, a1, 0x7d8"
    assert text[-1] == f"{name} t6, s0, -0x7d4"


@pytest.mark.parametrize(
    ("name", "compared"), [("beqz", "beq"), ("bnez", "bne"), ("bltz", "blt"), ("bgez", "bge")]
)
def test_branches_by_a_sign_compare_with_zero(name: str, compared: str) -> None:
    short, long = RiscV(), RiscV()
    getattr(short, name)(A0, short.label())
    getattr(long, compared)(A0, ZERO, long.label())
    assert short.code() == long.code()


def test_jumps_reach_far() -> None:
    riscv, end = RiscV(), Label()
    start = riscv.label()
    riscv.jal(RA, end)
    for _ in range(3000):
        riscv.mv(A0, A0)
    riscv.j(start)
    riscv.place(end)
    text = read_back(riscv)
    assert text[0] in ("jal 0x2ee8", "jal ra, 0x2ee8")
    assert text[-1] == "j -0x2ee4"


@pytest.mark.parametrize(
    "value", [0, 1, -1, 2047, 2048, -2048, -2049, 0x8000, 0x12345FFF, -(1 << 31), 0xFFFFFFFF]
)
def test_any_number_is_made_of_a_lui_and_an_addi(value: int) -> None:
    riscv = RiscV()
    riscv.li(A0, value)
    found = 0
    for at in range(0, len(riscv), 4):
        word = int.from_bytes(riscv.code()[at : at + 4], "little")
        found = word & 0xFFFFF000 if word & 0x7F == 0x37 else found + ((word >> 20 ^ 0x800) - 0x800)
    assert found & 0xFFFFFFFF == value & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("addi", (A0, A0, 2048)),
        ("lw", (A0, A0, -2049)),
        ("slli", (A0, A0, 32)),
        ("lui", (A0, 1 << 20)),
        ("add", (A0, A0, 3)),
    ],
)
def test_what_the_processor_does_not_have_is_refused(name: str, operands: tuple) -> None:
    with pytest.raises(AssemblyError):
        getattr(RiscV(), name)(*operands)


def test_branch_that_is_too_far_is_refused() -> None:
    riscv = RiscV()
    start = riscv.label()
    for _ in range(1100):
        riscv.mv(A0, A0)
    riscv.bnez(A0, start)
    with pytest.raises(AssemblyError, match="bne"):
        riscv.code()


def test_module_holds_the_code() -> None:
    riscv = RiscV()
    riscv.addi(A0, A0, 1)
    assert "@micropython.asm_rv32\ndef one_more(a0):\n    data(4, 0x00150513)\n" in module(
        {"one_more": riscv}
    )
