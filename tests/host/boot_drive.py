"""A folder that behaves as the boot drive of an RP2040 or RP2350, for tests: once a complete UF2 file for its
chip is there, the drive goes away and the program is in flash."""

import struct
import threading
import time
from pathlib import Path

from firmware_images import RP2040, RP2350

_INFO = "UF2 Bootloader v3.0\r\nModel: {model}\r\nBoard-ID: {board_id}\r\n"
_KINDS = {RP2040: ("Raspberry Pi RP2", "RPI-RP2"), RP2350: ("Raspberry Pi RP2350", "RP2350")}


class BootDrive:
    """``path`` is the drive's folder, ``flash`` what the board has taken, None before."""

    def __init__(self, folder: Path, family: int = RP2040) -> None:
        model, board_id = _KINDS[family]
        self.path = folder / board_id
        self.path.mkdir(parents=True)
        (self.path / "INFO_UF2.TXT").write_text(_INFO.format(model=model, board_id=board_id))
        self.flash: bytes | None = None
        self._gone = folder / f"unplugged {board_id}"
        self._family = family
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "BootDrive":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            for file in self.path.glob("*.uf2"):
                if (flash := self._taken(file.read_bytes())) is not None:
                    self.flash = flash
                    self.path.rename(self._gone)
                    return
            time.sleep(0.01)

    def _taken(self, data: bytes) -> bytes | None:
        """Return what is in flash once every block of the chip's family has come."""
        pieces, count = {}, None
        for start in range(0, len(data) - 511, 512):
            header = struct.unpack_from("<8I", data, start)
            if header[:2] == (0x0A324655, 0x9E5D5157) and header[7] == self._family:
                pieces[header[5]] = data[start + 32 : start + 288]
                count = header[6]
        if count is None or len(pieces) < count:
            return None
        return b"".join(pieces[number] for number in sorted(pieces))
