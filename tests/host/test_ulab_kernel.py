"""The ulab kernel on the strict stand-in under CPython, and on
the real ulab where FEDMOTE_MICROPYTHON has it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedmote import assets
from fedmote.boards import virtual

_TESTS = Path(__file__).parents[1]
_FILES = [
    "rules.py", "rounding.py", "sizes.py", "training.py", "test_kernels.py", "test_kernels_ops.py",
    "test_model.py", "test_train.py",
]  # fmt: skip
_CHOICE = "from mote import kernels; print(kernels.choose(None, 0).NAME)"


def _on_stand_in(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = [assets.library().parent, _TESTS / "ulab" / "stand_in", _TESTS / "ulab"]
    return _run([sys.executable, *arguments], PYTHONPATH=os.pathsep.join(map(str, path)))


def _on_micropython(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{assets.library().parent}:{_TESTS / 'ulab'}:.frozen"
    return _run([*virtual.interpreter(), *arguments], MICROPYPATH=path)


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("run", [_on_stand_in, _on_micropython])
def test_ulab_kernel_is_chosen_and_gives_the_bytes_of_the_plain_one(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    chosen = run("-c", _CHOICE).stdout.strip()
    if run is _on_micropython and chosen != "ulab":
        pytest.skip("this MicroPython has no ulab: name one that has in FEDMOTE_MICROPYTHON")
    assert chosen == "ulab"
    result = run(str(_TESTS / "device" / "run.py"), *_FILES)
    assert result.returncode == 0 and " 0 failed" in result.stdout, result.stdout + result.stderr


def test_stand_in_is_as_strict_as_the_strictest_board() -> None:
    lines = [
        "from ulab import numpy as np",
        "assert np.array([16777215.0])[0] == 16777212.0",
        "view = np.zeros(1, dtype=np.int8)",
        "try: view[:] = np.array([127.5])",
        "except OverflowError: print('refused')",
    ]
    result = _on_stand_in("-c", "\n".join(lines))
    assert result.stdout == "refused\n", result.stderr
