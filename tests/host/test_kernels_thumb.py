"""The assembler writes what a disassembler reads back, and refuses what the processor does not have."""

import pytest
from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs

from fedmote.kernels.assembler import AssemblyError, Label, module
from fedmote.kernels.thumb import (
    LR,
    PC,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R11,
    R12,
    SP,
    Thumb,
)  # fmt: skip

INSTRUCTIONS = [
    ("movs", (R1, R6), "movs r1, r6"),
    ("movs", (R3, 255), "movs r3, #0xff"),
    ("mov", (R11, R2), "mov r11, r2"),
    ("mov", (R2, R11), "mov r2, r11"),
    ("mvns", (R2, R3), "mvns r2, r3"),
    ("adds", (R1, R2, R3), "adds r1, r2, r3"),
    ("adds", (R1, R2, 7), "adds r1, r2, #7"),
    ("adds", (R1, R1, 200), "adds r1, #0xc8"),
    ("subs", (R1, R2, R3), "subs r1, r2, r3"),
    ("subs", (R1, R2, 1), "subs r1, r2, #1"),
    ("subs", (R7, R7, 255), "subs r7, #0xff"),
    ("add", (R8, R3), "add r8, r3"),
    ("add", (R3, R12), "add r3, r12"),
    ("add_sp", (R2, 1020), "add r2, sp, #0x3fc"),
    ("add_sp", (SP, 508), "add sp, #0x1fc"),
    ("add_sp", (SP, -16), "sub sp, #0x10"),
    ("adcs", (R2, R3), "adcs r2, r3"),
    ("sbcs", (R2, R3), "sbcs r2, r3"),
    ("rsbs", (R2, R3), "rsbs r2, r3, #0"),
    ("muls", (R2, R3), "muls r2, r3, r2"),
    ("cmp", (R2, 9), "cmp r2, #9"),
    ("cmp", (R2, R3), "cmp r2, r3"),
    ("cmp", (R2, R8), "cmp r2, r8"),
    ("cmn", (R2, R3), "cmn r2, r3"),
    ("lsls", (R2, R3, 31), "lsls r2, r3, #0x1f"),
    ("lsls", (R2, R2, R3), "lsls r2, r3"),
    ("lsrs", (R2, R3, 32), "lsrs r2, r3, #0x20"),
    ("lsrs", (R2, R2, R3), "lsrs r2, r3"),
    ("asrs", (R2, R3, 16), "asrs r2, r3, #0x10"),
    ("asrs", (R2, R2, R3), "asrs r2, r3"),
    ("rors", (R2, R3), "rors r2, r3"),
    ("ands", (R2, R3), "ands r2, r3"),
    ("eors", (R2, R3), "eors r2, r3"),
    ("orrs", (R2, R3), "orrs r2, r3"),
    ("bics", (R2, R3), "bics r2, r3"),
    ("tst", (R2, R3), "tst r2, r3"),
    ("sxth", (R2, R3), "sxth r2, r3"),
    ("sxtb", (R2, R3), "sxtb r2, r3"),
    ("uxth", (R2, R3), "uxth r2, r3"),
    ("uxtb", (R2, R3), "uxtb r2, r3"),
    ("ldr", (R2, R3, 124), "ldr r2, [r3, #0x7c]"),
    ("ldr", (R2, R3, R4), "ldr r2, [r3, r4]"),
    ("ldr", (R2, SP, 1020), "ldr r2, [sp, #0x3fc]"),
    ("str_", (R2, R3, 4), "str r2, [r3, #4]"),
    ("str_", (R2, R3, R4), "str r2, [r3, r4]"),
    ("str_", (R2, SP, 8), "str r2, [sp, #8]"),
    ("ldrh", (R2, R3, 62), "ldrh r2, [r3, #0x3e]"),
    ("ldrh", (R2, R3, R4), "ldrh r2, [r3, r4]"),
    ("strh", (R2, R3, 2), "strh r2, [r3, #2]"),
    ("strh", (R2, R3, R4), "strh r2, [r3, r4]"),
    ("ldrb", (R2, R3, 31), "ldrb r2, [r3, #0x1f]"),
    ("ldrb", (R2, R3, R4), "ldrb r2, [r3, r4]"),
    ("strb", (R2, R3, 1), "strb r2, [r3, #1]"),
    ("strb", (R2, R3, R4), "strb r2, [r3, r4]"),
    ("ldrsb", (R2, R3, R4), "ldrsb r2, [r3, r4]"),
    ("ldrsh", (R2, R3, R4), "ldrsh r2, [r3, r4]"),
    ("ldm", (R0, R1, R5), "ldm r0!, {r1, r5}"),
    ("stm", (R0, R1, R5), "stm r0!, {r1, r5}"),
    ("push", (R4, R7, LR), "push {r4, r7, lr}"),
    ("push", (R4,), "push {r4}"),
    ("pop", (R4, R7, PC), "pop {r4, r7, pc}"),
    ("bx", (LR,), "bx lr"),
    ("blx", (R3,), "blx r3"),
    ("wfe", (), "wfe "),
    ("sev", (), "sev "),
]


def disassembled(code: bytes) -> list[str]:
    reader = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    names = {"sb": "r9", "sl": "r10", "fp": "r11", "ip": "r12"}
    lines = []
    for one in reader.disasm(code, 0):
        line = f"{one.mnemonic} {one.op_str}"
        for alias, name in names.items():
            line = line.replace(f" {alias}", f" {name}")
        lines.append(line)
    return lines


@pytest.mark.parametrize(("name", "operands", "expected"), INSTRUCTIONS)
def test_instruction_reads_back(name: str, operands: tuple, expected: str) -> None:
    thumb = Thumb()
    getattr(thumb, name)(*operands)
    assert disassembled(thumb.code()) == [expected]


def test_branches_lead_to_their_labels() -> None:
    thumb, end = Thumb(), Label()
    start = thumb.label()
    thumb.bl(end)
    thumb.far("eq", end)
    for condition in ("ne", "hs", "lo", "mi", "pl", "hi", "ls", "ge", "lt", "gt", "le", "eq"):
        getattr(thumb, "b" + condition)(start)
    thumb.b(end)
    thumb.place(end)
    thumb.bl(start)
    assert disassembled(thumb.code()) == [
        "bl #0x22", "bne #8", "b #0x22", "bne #0", "bhs #0", "blo #0", "bmi #0", "bpl #0", "bhi #0", "bls #0",
        "bge #0", "blt #0", "bgt #0", "ble #0", "beq #0", "b #0x22", "bl #0",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [0, 255, 256, 300, 510, 511, 0x00FF00FF, 0x00800080, -1, -256, 0x12345678])
def test_constant_is_loaded_whole(value: int) -> None:
    thumb = Thumb()
    thumb.constant(R3, value)
    total = 0
    for line in disassembled(thumb.code()):
        name, *operands = line.replace(",", "").split()
        number = int(operands[-1].lstrip("#"), 0) if operands[-1].startswith("#") else None
        if name == "movs":
            total = number
        elif name == "mvns":
            total = ~total
        elif name == "lsls":
            total <<= number
        else:
            assert name == "adds"
            total += number
    assert total & 0xFFFFFFFF == value & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("movs", (R8, 1)),
        ("movs", (R1, 256)),
        ("adds", (R1, R2, 8)),
        ("ldr", (R1, R2, 128)),
        ("ldr", (R1, R2, 2)),
        ("ldrb", (R1, R2, 32)),
        ("asrs", (R1, R2, R3)),
        ("lsls", (R1, R2, 32)),
        ("ldm", (R1,)),
        ("muls", (R1, R8)),
    ],
)
def test_what_the_processor_does_not_have_is_refused(name: str, operands: tuple) -> None:
    with pytest.raises(AssemblyError):
        getattr(Thumb(), name)(*operands)


def test_branch_that_is_too_far_is_refused() -> None:
    thumb = Thumb()
    start = thumb.label()
    for _ in range(200):
        thumb.adds(R0, R0, 1)
    thumb.bne(start)
    with pytest.raises(AssemblyError, match="bne"):
        thumb.code()


def test_module_holds_the_code() -> None:
    thumb = Thumb()
    thumb.adds(R0, R0, 1)
    text = module({"one_more": thumb})
    assert "@micropython.asm_thumb\ndef one_more(r0):\n    data(2, 0x1c40)\n" in text
