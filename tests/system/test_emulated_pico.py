"""The board's files on an emulated Pico W under an official MicroPython image, where both are at hand.

pip install "rp2040py[fs]"
FEDMOTE_UF2_DIR=folder pytest -s tests/system/test_emulated_pico.py     # folder holds RPI_PICO_W-*.uf2
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from emulated import image_of_pico_w, lay_out

from fedmote.boards import catalogue, image
from fedmote.federation.session import compile_model
from fedmote.models.application import Application
from fedmote.models.compiler import initial_values

_BOARD = "rpi_pico_w"
_EXECUTION_S = 500

# What a node holds, with the ring that deploy gives a Pico W, before it connects. SysTick counts cycles.
_PROGRAM = """
import gc, json, machine
gc.threshold(4096) # as starter.py has it
import node
from mote import features, model
from mote.local import Local, Shuffle
from mote.member import Member
from mote.links.mqtt import MqttLink
from mote.rounds import Participant
from mote.train import Learner

def cycles(function):
    state = machine.disable_irq()
    machine.mem32[0xE000E014], machine.mem32[0xE000E018], machine.mem32[0xE000E010] = 0xFFFFFF, 0, 5
    function()
    spent = -machine.mem32[0xE000E018] & 0xFFFFFF
    machine.enable_irq(state)
    return spent

viper = model.load("model.mote")
ring = features.Ring(110, 24)
normaliser = features.Normaliser(24, 0.001, viper.scale_of(viper.input_tensor))
local = Local(Learner(viper), normaliser, ring)
participant = Participant("watch", "board", bytes(32), local, Shuffle)
gc.collect()
free = gc.mem_free()
plain = model.load("model.mote", "plain")
same = 0
for seed in range(5):
    for k in range(len(viper.input)):
        viper.input[k] = plain.input[k] = (k * 37 + seed * 101) % 256 - 128
    viper.invoke()
    plain.invoke()
    same += list(viper.output) == list(plain.output)
spent = {"viper": cycles(viper.invoke), "plain": cycles(plain.invoke)}
print(json.dumps({"kernel": viper.kernel.NAME, "same": same, "free": free, "cycles": spent}))
"""


@pytest.mark.timeout(600)
def test_board_files_fit_a_pico_w_and_its_kernels_agree(tmp_path: Path) -> None:
    firmware = image_of_pico_w()
    application = Application.load("watch")
    files = image.program(catalogue.find(_BOARD), "micropython")
    del files["main.py"]  # it would start and wait for a network
    values = initial_values(application.layers, seed=1)
    files["model.mote"] = compile_model(application, values, [4.0, 8.0])
    lay_out(files, tmp_path / "littlefs.img")
    result = asyncio.run(_execute(firmware, tmp_path / "littlefs.img"))
    print(f"\n{firmware.name}: {result}")
    assert result["kernel"] == "viper"
    assert result["same"] == 5
    assert result["free"] > 30_000  # the connection takes 5 kB of it
    assert result["cycles"]["viper"] < result["cycles"]["plain"]


async def _execute(firmware: Path, littlefs: Path) -> dict[str, Any]:
    """Boot the image with this file system, run the program, and return what it printed."""
    from rp2040py.boards import resolve_board_spec
    from rp2040py.device import MicroPythonDevice
    from rp2040py.utils.firmware_retrieve import MICROPYTHON

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
