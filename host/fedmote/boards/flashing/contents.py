"""Tells what an image holds (runtime, version, board) and refuses one that is not right for the board."""

import re
from dataclasses import dataclass

from fedmote.boards import catalogue
from fedmote.boards.catalogue import Board
from fedmote.boards.flashing import esp_image, uf2_file
from fedmote.errors import FedmoteError

TITLES = {"micropython": "MicroPython", "circuitpython": "CircuitPython"}
_BANNERS = {
    "circuitpython": re.compile(rb"CircuitPython ([0-9][\x21-\x7e]*) on \d"),
    "micropython": re.compile(rb"MicroPython v([0-9][\x21-\x7e]*) on \d"),
}


@dataclass(frozen=True)
class Contents:
    """What an image holds. image: the image's name in it, None where it has none (a build of one's own)."""

    runtime: str
    version: str
    image: str | None
    size: int


def examine(data: bytes, board: Board, runtime: str, file: str) -> Contents:
    """Return what an image holds if it is whole and right for the board and the runtime.

    Raises FedmoteError that names the file and says what is wrong with it.
    """
    try:
        return _examine(data, board, runtime)
    except FedmoteError as error:
        raise FedmoteError(f"{file} is not for {board.name}: {error}") from None


def _examine(data: bytes, board: Board, runtime: str) -> Contents:
    flash = _flash_of(data, board, runtime)
    found = {name: match[1] for name, banner in _BANNERS.items() if (match := banner.search(flash))}
    if not found:
        raise FedmoteError("it holds neither MicroPython nor CircuitPython")
    if runtime not in found:
        held = next(iter(found))
        raise FedmoteError(f"it holds {TITLES[held]}, not {TITLES[runtime]}: add --runtime {held}")
    names = {
        other.runtimes[runtime].image for other in catalogue.load().values() if runtime in other.runtimes
    }
    held_names = {name for name in names if b"\0%s\0" % name.encode() in flash}
    wanted = board.runtimes[runtime].image
    if held_names and wanted not in held_names:
        boards = [
            other.name
            for other in catalogue.load().values()
            if runtime in other.runtimes and other.runtimes[runtime].image in held_names
        ]
        raise FedmoteError(
            f"it is the image {', '.join(sorted(held_names))} for {', '.join(boards)}, not {wanted}"
        )
    return Contents(runtime, found[runtime].decode(), wanted if held_names else None, len(data))


def _flash_of(data: bytes, board: Board, runtime: str) -> bytes:
    """Return what comes to lie in flash."""
    if board.flash.method == "uf2":
        assert board.flash.family is not None
        return uf2_file.read(data, board.flash.family, board.flash_bytes)
    offset = board.runtimes[runtime].offset
    assert offset is not None
    esp_image.check(data, board.chip, offset, board.flash_bytes)
    return data
