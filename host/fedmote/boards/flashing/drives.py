"""Finds the drives as which RP2040 and RP2350 boards show up in their boot loaders. It writes nothing."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from fedmote.boards.catalogue import Board
from fedmote.errors import FedmoteError

_INFO = "INFO_UF2.TXT"
_LARGEST_INFO = 4096
_MOUNTS = Path("/proc/self/mounts")
_FILE_SYSTEMS = ("vfat", "msdos", "exfat")
_LABELS = Path("/dev/disk/by-label")


class Drive(NamedTuple):
    """A boot drive: its folder, and Board-ID and Model of its INFO_UF2.TXT."""

    path: Path
    board_id: str
    model: str

    @property
    def description(self) -> str:
        """What a person should know of it."""
        return f"boot drive of a {self.model}"


def find(board: Board) -> list[Drive]:
    """Return the boot drives of the board's chip. All boards with that chip look alike here."""
    drives = (read(path) for path in mounted())
    return [drive for drive in drives if drive and drive.board_id == board.flash.drive]


def named(path: Path, board: Board) -> Drive:
    """Return the boot drive at a path; raises FedmoteError where there is none or it is another chip's."""
    drive = read(path)
    if drive is None:
        raise FedmoteError(
            f"{path} has no {_INFO}, so it is no boot drive: a board's is called {board.flash.drive}"
        )
    if drive.board_id != board.flash.drive:
        raise FedmoteError(
            f"{path} is the boot drive of a {drive.board_id} ({drive.model}), but {board.name} is a "
            f"{board.flash.drive}: choose another --board or --port"
        )
    return drive


def read(path: Path) -> Drive | None:
    """Return what a folder's INFO_UF2.TXT says, or None where it has none."""
    try:
        with (path / _INFO).open("rb") as file:
            text = file.read(_LARGEST_INFO).decode("utf-8", errors="replace")
    except OSError:
        return None
    facts = dict(re.findall(r"^([\w-]+):[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE))
    return Drive(path, facts.get("Board-ID", ""), facts.get("Model", "board without a name"))


def mounted() -> list[Path]:
    """Return the folders at which drives with a FAT file system are mounted."""
    if sys.platform == "darwin":
        return sorted(Path("/Volumes").iterdir())
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    entries = (line.split(" ") for line in lines)
    return [Path(_unescaped(entry[1])) for entry in entries if len(entry) > 2 and entry[2] in _FILE_SYSTEMS]


def unmounted(board: Board) -> str | None:
    """Return what to do where the board's boot drive is there and nothing has mounted it, else None."""
    device = _LABELS / str(board.flash.drive)
    if not device.exists():
        return None
    return f"its drive {board.flash.drive} is connected but not mounted: udisksctl mount -b {device}"


def _unescaped(path: str) -> str:
    """Undo the octal escapes of /proc/self/mounts."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
