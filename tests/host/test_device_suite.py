"""The device tests, each file run by MicroPython itself with a heap as bounded as a board's."""

import os
import subprocess
from pathlib import Path

import pytest

from fedmote import assets
from fedmote.boards import virtual

_TESTS = Path(__file__).parents[1] / "device"


@pytest.mark.parametrize("name", sorted(path.name for path in _TESTS.glob("test_*.py")))
def test_device_tests_pass_on_micropython(name: str, tmp_path: Path) -> None:
    path = os.pathsep.join([str(assets.library().parent), ".frozen"])
    run = subprocess.run(
        [*virtual.interpreter(), "-X", f"heapsize={virtual.HEAP_BYTES}", str(_TESTS / "run.py"), name],
        cwd=tmp_path,
        env={**os.environ, "MICROPYPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 failed" in run.stdout and not run.stdout.startswith("0 passed")
