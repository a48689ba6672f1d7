"""MULSH for emulated Xtensa processors that lack it: each in a function becomes a CALL0 of code that does the
same, so that everything else is executed as it is. a0 must be free where a MULSH stands."""

from fedmote.kernels.xtensa_lx import A1, A2, A3, A4, A5, A6, A7, Register, Xtensa

_MULSH, _MULSH_MASK = 0xB20000, 0xFF000F
_FRAME = 64  # bytes of stack


def replace(code: bytes) -> bytes:
    """Return a function that begins at a multiple of 4 without MULSH; the code called stands behind it."""
    result = bytearray(code)
    for at in _instructions(code):
        word = int.from_bytes(code[at : at + 3], "little")
        if word & _MULSH_MASK == _MULSH:
            result += bytes(-len(result) % 4)
            words = (len(result) - (at & ~3) - 4) // 4
            result[at : at + 3] = (5 | words << 6).to_bytes(3, "little")
            result += _high_product(*(Register(word >> field & 15) for field in (12, 8, 4)))
    return bytes(result)


def _instructions(code: bytes) -> list[int]:
    """Return where instructions begin. What a first jump skips are constants."""
    at = 0
    if code[0] & 0x3F == 6:
        at = 4 + (int.from_bytes(code[:3], "little") >> 6)
    places = []
    while at < len(code):
        places.append(at)
        at += 2 if code[at] & 8 else 3
    return places


def _high_product(to: Register, left: Register, right: Register) -> bytes:
    code = Xtensa()
    kept = (A2, A3, A4, A5, A6, A7)
    code.addi(A1, A1, -_FRAME)
    code.s32i(left, A1)
    code.s32i(right, A1, 4)
    for number, register in enumerate(kept, 2):
        code.s32i(register, A1, 4 * number)
    code.l32i(A2, A1)
    code.l32i(A3, A1, 4)
    code.extui(A4, A2, 0, 16)
    code.extui(A5, A3, 0, 16)
    code.srai(A2, A2, 16)
    code.srai(A3, A3, 16)
    code.mull(A6, A4, A5)
    code.extui(A6, A6, 16, 16)
    code.mull(A5, A2, A5)
    code.add(A5, A5, A6)
    code.extui(A6, A5, 0, 16)
    code.mull(A4, A4, A3)
    code.add(A4, A4, A6)
    code.mull(A2, A2, A3)
    code.srai(A5, A5, 16)
    code.srai(A4, A4, 16)
    code.add(A2, A2, A4)
    code.add(A2, A2, A5)
    code.s32i(A2, A1)
    for number, register in enumerate(kept, 2):
        code.l32i(register, A1, 4 * number)
    code.l32i(to, A1)
    code.addi(A1, A1, _FRAME)
    code.ret()
    return code.code()
