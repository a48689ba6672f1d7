"""A live motion sensor drives an application: the node's own loop, under MicroPython, with a chip as its
data sheet describes it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from fedmote import assets
from fedmote.boards import virtual
from fedmote.federation.session import compile_model
from fedmote.models.application import Application

_TESTS = Path(__file__).parents[1] / "device"
# Every window lasts two seconds; the board stands still, then is turned.
_PROGRAM = """
import chips
from fake_machine import Board
from node import Node

chip = chips.Lsm6dsox()
with Board(chips.Bus({0x6A: chip})) as board:
    node = Node({"DEVICE": "wrist", "SENSOR": "lsm6ds", "SDA": 4, "SCL": 5, "RING": 8, "MINIMUM": 2})
    for n in range(400):
        board.pass_us(19231)
        chip.measure((0, 0, 1), (n % 90, 0, 0))
        if n % 25 == 24:  # the board was busy for half a second
            while node.step():
                pass
"""


def _run(tmp_path: Path, typed: str = "") -> list[dict[str, Any]]:
    (tmp_path / "model.mote").write_bytes(compile_model(Application.load("watch")))
    path = os.pathsep.join(map(str, [assets.library().parent, assets.path("firmware"), _TESTS, ".frozen"]))
    run = subprocess.run(
        [*virtual.interpreter(), "-X", f"heapsize={virtual.HEAP_BYTES}", "-c", _PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "MICROPYPATH": path},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def test_a_live_imu_is_inferred_on_by_the_watch_application(tmp_path: Path) -> None:
    lines = _run(tmp_path)
    assert lines[0]["sensor"] == "lsm6ds" and lines[0]["rate_hz"] == 52
    inferred = [line for line in lines if "probabilities" in line]
    assert len(inferred) == 2  # of four windows, the first two tell what normal is
    assert abs(inferred[-1]["reading"][2] - 9.807) < 0.01 and inferred[-1]["reading"][3] > 0.1
    assert inferred[-1]["missed"] == 0


def test_windows_are_kept_to_learn_from_as_soon_as_a_label_is_given(tmp_path: Path) -> None:
    lines = _run(tmp_path, '{"label":"ABD"}\n{"label":"nonsense"}\n')
    (answer,) = [line for line in lines if line.get("told")]
    (refused,) = [line for line in lines if "nonsense" in line.get("error", "")]
    assert answer["truth"] == "ABD" and "not understood" in refused["error"]
    assert [line["truth"] for line in lines if "probabilities" in line] == ["ABD"] * 2
