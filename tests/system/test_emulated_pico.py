"""The board's files on an emulated Pico W under an official MicroPython image, where both are at hand.

pip install "rp2040py[fs]"
FEDMOTE_UF2_DIR=folder pytest -s tests/system/test_emulated_pico.py     # folder holds RPI_PICO_W-*.uf2
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fedmote.boards import catalogue, image
from fedmote.federation.session import compile_model
from fedmote.models.application import Application
from fedmote.models.compiler import initial_values

_BOARD = "rpi_pico_w"
_EXECUTION_S = 500

# What a node holds but the Wi-Fi connection; SysTick counts the processor's cycles.
_PROGRAM = """
import gc, json, machine
import node
from mote import features, model
from mote.local import Local, Shuffle
from mote.rounds import Participant
from mote.train import Learner

def cycles(function):
    state = machine.disable_irq()
    machine.mem32[0xE000E014], machine.mem32[0xE000E018], machine.mem32[0xE000E010] = 0xFFFFFF, 0, 5
    function()
    spent = -machine.mem32[0xE000E018] & 0xFFFFFF
    machine.enable_irq(state)
    return spent

viper, plain = model.load("model.mote"), model.load("model.mote", "plain")
same = 0
for seed in range(5):
    for k in range(len(viper.input)):
        viper.input[k] = plain.input[k] = (k * 37 + seed * 101) % 256 - 128
    viper.invoke()
    plain.invoke()
    same += list(viper.output) == list(plain.output)
spent = {"viper": cycles(viper.invoke), "plain": cycles(plain.invoke)}
del plain
gc.collect()
ring = features.Ring(288, 24)
normaliser = features.Normaliser(24, 0.001, viper.scale_of(viper.input_tensor))
local = Local(Learner(viper), normaliser, ring)
participant = Participant("watch", "board", bytes(32), local, Shuffle)
gc.collect()
print(json.dumps({"kernel": viper.kernel.NAME, "same": same, "free": gc.mem_free(), "cycles": spent}))
"""


def test_board_files_fit_a_pico_w_and_its_kernels_agree(tmp_path: Path) -> None:
    folder = os.environ.get("FEDMOTE_UF2_DIR")
    if not folder:
        pytest.skip("FEDMOTE_UF2_DIR is not set: no official image to run")
    pytest.importorskip("rp2040py", reason="the emulator rp2040py is not installed")
    pytest.importorskip("littlefs", reason="littlefs-python is not installed")
    images = sorted(Path(folder).glob("RPI_PICO_W-*.uf2"))
    if not images:
        pytest.skip(f"no RPI_PICO_W-*.uf2 in {folder}")
    application = Application.load("watch")
    image.write(tmp_path / "board", "micropython", catalogue.find(_BOARD).arch)
    values = initial_values(application.layers, seed=1)
    (tmp_path / "board" / "model.mote").write_bytes(compile_model(application, values, [4.0, 8.0]))
    result = asyncio.run(_execute(images[-1], tmp_path / "board", tmp_path / "littlefs.img"))
    print(f"\n{images[-1].name}: {result}")
    assert result["kernel"] == "viper"
    assert result["same"] == 5
    assert result["free"] > 50_000  # the connection takes 12 kB of it
    assert result["cycles"]["viper"] < result["cycles"]["plain"]


async def _execute(firmware: Path, board: Path, littlefs: Path) -> dict[str, Any]:
    """Boot the image with the folder as its file system, run the program, and return what it printed."""
    from rp2040py.boards import resolve_board_spec
    from rp2040py.device import MicroPythonDevice
    from rp2040py.utils.firmware_retrieve import MICROPYTHON

    _lay_out(board, littlefs)
    device = MicroPythonDevice(
        board=resolve_board_spec("pico_w", MICROPYTHON, str(firmware)), filesystem=str(littlefs)
    )
    await device.astart(60)
    try:
        output, errors = await device.aexec(_PROGRAM, _EXECUTION_S)
    finally:
        device.stop()
    assert not errors, errors
    text = output.decode() if isinstance(output, bytes) else output
    found: dict[str, Any] = json.loads(text[text.index("{") :])
    return found


def _lay_out(board: Path, littlefs: Path) -> None:
    from littlefs import LittleFS, UserContext
    from rp2040py.utils.firmware_retrieve import MICROPYTHON, flash_layout

    layout = flash_layout(MICROPYTHON, "pico_w")
    size, count = layout["fs_blocksize"], layout["fs_blockcount"]
    system = LittleFS(
        context=UserContext(buffsize=size * count),
        block_size=size,
        block_count=count,
        prog_size=256,
        disk_version=0x20000,
    )
    for path in sorted(board.rglob("*")):
        name = path.relative_to(board).as_posix()
        if path.is_dir():
            system.mkdir(name)
        elif name != "main.py":  # it would start and wait for a network
            with system.open(name, "wb") as target:
                target.write(path.read_bytes())
    system.unmount()
    littlefs.write_bytes(bytes(system.context.buffer))
