"""The second core of an RP2040 does its half of an op, where there is one to be had."""

import sys
from struct import pack, unpack
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")

from native_kernels import native

from fedmote.benchmarks import kernels, layers
from fedmote.kernels.armv6m import mail
from fedmote.kernels.board_code import stand_in
from fedmote.kernels.emulation import Core, EmulationError
from fedmote.kernels.thumb import LR, PC, R0, R1, R2, R3, R4, R5, R6, R7, Thumb
from mote import kernels as board_kernels

_SAVED = (R1, R4, R5, R6, R7)
_ASLEEP = "Invalid instruction"  # so the emulator ends where the processor would sleep


def _function(body: Thumb) -> bytes:
    """Return a function as the inline assembler makes it."""
    before, after = Thumb(), Thumb()
    before.push(*_SAVED, LR)
    after.pop(*_SAVED, PC)
    return before.code() + body.code() + after.code()


def _placed(core: Core, body: Thumb) -> int:
    """Return the address of a function in memory."""
    return core.place(_function(body)) | 1


def _doubles() -> Thumb:
    """Return a function that knows its address, and doubles what it gets."""
    thumb = Thumb()
    end = mail.known(thumb)
    thumb.adds(R0, R0, R0)
    thumb.place(end)
    return thumb


def test_function_tells_where_it_stands() -> None:
    core = Core.cortex_m0plus()
    address = _placed(core, _doubles())
    caller = Thumb()
    caller.movs(R4, R0)
    caller.movs(R0, 0)
    caller.blx(R4)
    caller.movs(R4, R0)
    caller.movs(R0, 21)
    caller.blx(R4)
    assert core.call(_function(caller), address).value == 42
    caller = Thumb()
    caller.movs(R4, R0)
    caller.movs(R0, 0)
    caller.blx(R4)
    assert core.call(_function(caller), address).value == address


def test_first_core_hands_over_does_its_own_half_and_waits() -> None:
    core = Core.cortex_m0plus()
    half = Thumb()  # notes what is in the mail, and empties it as the other core would in the end
    half.ldr(R1, R0)
    half.ldr(R2, R1)
    half.str_(R2, R0, 4)
    half.ldr(R3, R1, 4)
    half.str_(R3, R0, 8)
    half.movs(R2, 0)
    half.str_(R2, R1)
    function, letter = _placed(core, half), core.place(bytes(8))
    here, there = core.place(pack("<3I", letter, 0, 0)), core.place(bytes(4))
    job = core.place(pack("<4I", letter, function, there, here))
    core.call(_function(mail.share()), job)
    assert unpack("<2I", core.read(here + 4, 8)) == (function, there)
    assert unpack("<2I", core.read(letter, 8)) == (0, there)


def test_first_core_waits_for_the_other_half() -> None:
    core = Core.cortex_m0plus()
    letter, function = core.place(bytes(8)), _placed(core, Thumb())
    with pytest.raises(EmulationError, match=_ASLEEP):
        core.call(_function(mail.share()), core.place(pack("<4I", letter, function, 7, 7)))


def test_second_core_does_what_comes_and_waits_for_more() -> None:
    core = Core.cortex_m0plus()
    half = Thumb()
    half.movs(R1, 99)
    half.str_(R1, R0)
    words = core.place(bytes(4))
    letter = core.place(pack("<2I", _placed(core, half), words))
    with pytest.raises(EmulationError, match=_ASLEEP):
        core.call(_function(mail.work()), letter)
    assert unpack("<I", core.read(words, 4)) == (99,)
    assert unpack("<I", core.read(letter, 4)) == (0,)


def test_two_cores_take_little_more_than_half_the_time() -> None:
    for layer in layers.LAYERS[:5]:
        mote = layers.compiled(layer, 2, 1)
        [one], [both] = (
            kernels.steps_of(mote, stand_in("armv6m", cores), [layer.macs], 1) for cores in (1, 2)
        )
        assert both.differing == 0
        assert one.cycles and both.cycles and one.cycles // 2 < both.cycles < 0.66 * one.cycles, layer.name


def _cores(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], start) -> ModuleType:
    """Return the kernel's module on a board of that version, whose threads begin by ``start``."""
    module = native("armv6m").products.__globals__["cores"]
    implementation = SimpleNamespace(version=version)
    monkeypatch.setattr(module, "sys", SimpleNamespace(implementation=implementation))
    monkeypatch.setitem(sys.modules, "_thread", start and SimpleNamespace(start_new_thread=start))
    return module


def test_worker_is_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    cores = _cores(monkeypatch, (1, 26, 1), lambda function, given: started.append((function, given)))
    assert (cores.count, cores.use(), cores.use(), cores.count) == (1, 2, 2, 2)
    [(function, [letter])] = started
    assert function is cores.code.work and list(letter) == [0, 0]


def _taken(function, given) -> None:
    raise OSError("core1 in use")


@pytest.mark.parametrize(
    ("version", "start"),
    [((1, 26, 1), None), ((1, 26, 1), _taken), ((1, 24, 1), lambda function, given: None)],
    ids=["no threads", "taken", "too old"],
)
def test_where_the_other_core_cannot_be_had_one_is_used(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], start
) -> None:
    cores = _cores(monkeypatch, version, start)
    assert cores.use() == cores.count == 1


def test_interpreters_without_a_kernel_for_two_cores_use_one() -> None:
    assert board_kernels.use_both_cores() == 1
