"""What the tests on an emulated Pico W share: finding its image, laying out its flash, and running it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedmote.benchmarks.emulated_pico import file_system

_BOARD = Path(__file__).with_name("emulated_pico_w.py")
_LISTENING = "listening on 127.0.0.1:"


def image_of_pico_w() -> Path:
    """Return the newest official MicroPython image; skip the test where it or the emulator is missing."""
    folder = os.environ.get("FEDMOTE_UF2_DIR")
    if not folder:
        pytest.skip("FEDMOTE_UF2_DIR is not set: no official image to run")
    pytest.importorskip("rp2040py", reason="the emulator rp2040py is not installed")
    pytest.importorskip("littlefs", reason="littlefs-python is not installed")
    images = sorted(Path(folder).glob("RPI_PICO_W-*.uf2"))
    if not images:
        pytest.skip(f"no RPI_PICO_W-*.uf2 in {folder}")
    return images[-1]


def lay_out(files: Mapping[str, bytes], target: Path) -> None:
    """Write the image of a Pico W's file system that holds these files: path -> content."""
    target.write_bytes(file_system(files, "pico_w")[1])


@contextmanager
def console_of_pico_w(firmware: Path, file_system: Path) -> Iterator[str]:
    """Run a Pico W while the context lasts; gives its serial console, as ``--port`` takes it.

    Its Wi-Fi is RP2040PY-GUEST with the password ``password``, and finds this machine at 10.0.0.1.
    """
    command = [
        sys.executable, "-m", "rp2040py", "micropython", "--board-spec", f"{_BOARD}:BOARD",
        "--image", firmware, "--littlefs", file_system, "--tcp-port", "0",
    ]  # fmt: skip
    log = file_system.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield f"socket://127.0.0.1:{_port(process, log)}"
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while True:
        _, listening, rest = log.read_text().partition(_LISTENING)
        if listening and " " in rest:
            return int(rest.split()[0])
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
