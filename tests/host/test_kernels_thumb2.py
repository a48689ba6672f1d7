"""The assembler for Thumb-2 writes what a disassembler reads back, and refuses what there is not."""

import pytest
from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs

from fedmote.kernels.assembler import AssemblyError, Label
from fedmote.kernels.thumb import LR, R0, R1, R2, R3, R4, R8, R9, R10, R11, R12, SP
from fedmote.kernels.thumb2 import Thumb2, asr, lsl, lsr

INSTRUCTIONS = [
    ("mov_w", (R8, 0x1234), "movw r8, #0x1234"),
    ("mov_w", (R8, 0xFC00), "mov.w r8, #0xfc00"),
    ("mov_w", (R8, lsr(R9, 16)), "lsr.w r8, r9, #0x10"),
    ("mvn_w", (R8, 0), "mvn r8, #0"),
    ("movt", (R8, 0xABCD), "movt r8, #0xabcd"),
    ("add_w", (R8, R9, R10), "add.w r8, r9, r10"),
    ("add_w", (R8, R9, asr(R9, 31)), "add.w r8, r9, r9, asr #31"),
    ("add_w", (R8, R9, 12), "add.w r8, r9, #0xc"),
    ("add_w", (R8, R9, 1001), "addw r8, r9, #0x3e9"),
    ("sub_w", (R8, R9, 1001), "subw r8, r9, #0x3e9"),
    ("sub_w", (R8, R9, lsl(R1, 2)), "sub.w r8, r9, r1, lsl #2"),
    ("adds_w", (R8, R8, 1 << 30), "adds.w r8, r8, #0x40000000"),
    ("subs_w", (R8, R8, R9), "subs.w r8, r8, r9"),
    ("adc_w", (R8, R9, 0), "adc r8, r9, #0"),
    ("rsb_w", (R8, R9, 0), "rsb.w r8, r9, #0"),
    ("cmp_w", (R8, 0x00FF00FF), "cmp.w r8, #0xff00ff"),
    ("cmp_w", (R8, R12), "cmp.w r8, r12"),
    ("cmn_w", (R8, 128), "cmn.w r8, #0x80"),
    ("tst_w", (R8, 1), "tst.w r8, #1"),
    ("and_w", (R8, R9, 3), "and r8, r9, #3"),
    ("eor_w", (R8, R9, 0x80808080), "eor r8, r9, #0x80808080"),
    ("bic_w", (R8, R9, 3), "bic r8, r9, #3"),
    ("lsl_w", (R8, R9, R10), "lsl.w r8, r9, r10"),
    ("asr_w", (R8, R9, R10), "asr.w r8, r9, r10"),
    ("ssat", (R8, 8, R9), "ssat r8, #8, r9"),
    ("qadd", (R8, R9, R9), "qadd r8, r9, r9"),
    ("bfi", (R8, R9, 16, 8), "bfi r8, r9, #0x10, #8"),
    ("pkhbt", (R8, R9, R10, 16), "pkhbt r8, r9, r10, lsl #0x10"),
    ("pkhtb", (R8, R9, R10, 16), "pkhtb r8, r9, r10, asr #0x10"),
    ("sxtb16", (R8, R9), "sxtb16 r8, r9"),
    ("sxtb16", (R8, R9, 8), "sxtb16 r8, r9, ror #8"),
    ("uxtb16", (R8, R9, 8), "uxtb16 r8, r9, ror #8"),
    ("sxtab16", (R8, R9, R10, 8), "sxtab16 r8, r9, r10, ror #8"),
    ("sxtah", (R8, R9, R10, 16), "sxtah r8, r9, r10, ror #16"),
    ("sadd16", (R8, R9, R10), "sadd16 r8, r9, r10"),
    ("mul_w", (R8, R9, R10), "mul r8, r9, r10"),
    ("mla", (R8, R9, R10, R11), "mla r8, r9, r10, r11"),
    ("mls", (R8, R9, R10, R11), "mls r8, r9, r10, r11"),
    ("smlad", (R8, R9, R10, R11), "smlad r8, r9, r10, r11"),
    ("smlabb", (R8, R9, R10, R11), "smlabb r8, r9, r10, r11"),
    ("smlatb", (R8, R9, R10, R11), "smlatb r8, r9, r10, r11"),
    ("smmulr", (R8, R9, R10), "smmulr r8, r9, r10"),
    ("smull", (R8, R9, R10, R11), "smull r8, r9, r10, r11"),
    ("sdiv", (R8, R9, R10), "sdiv r8, r9, r10"),
    ("ldr_w", (R8, R9, 4095), "ldr.w r8, [r9, #0xfff]"),
    ("ldr_w", (R8, R9, -4), "ldr r8, [r9, #-0x4]"),
    ("ldr_w", (R8, R9, R10), "ldr.w r8, [r9, r10]"),
    ("ldr_w", (R8, R9, lsl(R10, 2)), "ldr.w r8, [r9, r10, lsl #2]"),
    ("str_w", (R8, SP, 8), "str.w r8, [sp, #8]"),
    ("strb_w", (R8, R9, R10), "strb.w r8, [r9, r10]"),
    ("ldrsb_w", (R8, R9, 1), "ldrsb.w r8, [r9, #1]"),
    ("ldr_post", (R8, R9, 4), "ldr r8, [r9], #4"),
    ("str_post", (R8, R9, -8), "str r8, [r9], #-8"),
    ("strb_post", (R8, R9, 1), "strb r8, [r9], #1"),
    ("strh_post", (R8, R9, 4), "strh r8, [r9], #4"),
    ("ldrsb_post", (R8, R9, 1), "ldrsb r8, [r9], #1"),
    ("ldrd", (R8, R9, R10, 1020), "ldrd r8, r9, [r10, #0x3fc]"),
    ("strd", (R8, R9, SP, 8), "strd r8, r9, [sp, #8]"),
    ("ldrd_post", (R8, R9, R10, 8), "ldrd r8, r9, [r10], #8"),
    ("strd_post", (R8, R9, R10, 8), "strd r8, r9, [r10], #8"),
    ("ldm_w", (R12, R1, R8, LR), "ldm.w r12!, {r1, r8, lr}"),
    ("ldm_at", (LR, R1, R8, LR), "ldm.w lr, {r1, r8, lr}"),
    ("stm_w", (R12, R1, R8), "stm.w r12!, {r1, r8}"),
    ("push_w", (R8, R9, R10, R11), "push.w {r8, r9, r10, r11}"),
    ("pop_w", (R8, R9, R10, R11), "pop.w {r8, r9, r10, r11}"),
    ("it", ("lt",), "it lt"),
    ("adds", (R1, R2, R3), "adds r1, r2, r3"),
]


def disassembled(code: bytes) -> list[str]:
    reader = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    lines = []
    for one in reader.disasm(code, 0):
        line = f"{one.mnemonic} {one.op_str}".strip()
        for alias, name in {"sb": "r9", "sl": "r10", "fp": "r11", "ip": "r12"}.items():
            for before in " [{":
                line = line.replace(before + alias, before + name)
        lines.append(line)
    return lines


@pytest.mark.parametrize(("name", "operands", "expected"), INSTRUCTIONS)
def test_instruction_reads_back(name: str, operands: tuple, expected: str) -> None:
    thumb = Thumb2()
    getattr(thumb, name)(*operands)
    assert disassembled(thumb.code()) == [expected]


def test_branches_reach_far_in_both_directions() -> None:
    thumb, end = Thumb2(), Label()
    start = thumb.label()
    thumb.b(end)
    thumb.blt(end)
    for _ in range(2000):
        thumb.add_w(R0, R0, 1)
    thumb.far("eq", start)
    thumb.b(start)
    thumb.place(end)
    lines = disassembled(thumb.code())
    assert lines[:2] == ["b.w #0x1f50", "blt.w #0x1f50"]
    assert lines[-2:] == ["beq.w #0", "b.w #0"]


def test_addresses_are_those_of_code() -> None:
    thumb, end = Thumb2(), Label()
    start = thumb.label()
    thumb.address(R3, end)
    thumb.address(R4, start)
    thumb.place(end)
    assert disassembled(thumb.code()) == ["mov r3, pc", "addw r3, r3, #9", "mov r4, pc", "subw r4, r4, #9"]


@pytest.mark.parametrize("value", [0, 255, 256, 0x00FF00FF, 0xFF00FF00, 0x3FC, -1, -256, 0xFFFF, 0x12345678])
def test_constant_is_loaded_whole(value: int) -> None:
    thumb = Thumb2()
    thumb.constant(R3, value)
    total = 0
    for line in disassembled(thumb.code()):
        name, _, operand = line.replace(",", "").split()
        number = int(operand.lstrip("#"), 0)
        if name == "movt":
            total |= number << 16
        else:
            total = ~number if name.startswith("mvn") else number
    assert total & 0xFFFFFFFF == value & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("and_w", (R1, R2, 0x101)),
        ("add_w", (R1, R2, 5001)),
        ("mov_w", (R1, 0x12345)),
        ("ldr_w", (R1, R2, -256)),
        ("ldr_w", (R1, R2, asr(R3, 1))),
        ("ldr_w", (R1, R2, lsl(R3, 4))),
        ("sxtb16", (R1, R2, 4)),
        ("ldrd", (R1, R2, R3, 2)),
        ("ldm_w", (R1, R1, R2)),
        ("push_w", (R1,)),
        ("add_w", (R1, R2, lsl(R3, 32))),
    ],
)
def test_what_there_is_not_is_refused(name: str, operands: tuple) -> None:
    with pytest.raises(AssemblyError):
        getattr(Thumb2(), name)(*operands)
