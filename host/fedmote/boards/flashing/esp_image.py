"""Reads an image of the ESP32 family (boot loader, partition table, application) as far as it takes to tell
which chip it is for and that it is whole. It writes none."""

import hashlib
import struct
from typing import NamedTuple

from fedmote.errors import FedmoteError


class Chip(NamedTuple):
    """A chip of the family: its id in images, and where in flash its ROM looks for the boot loader."""

    number: int
    boot_offset: int


CHIPS = {
    "esp32": Chip(0, 0x1000),
    "esp32s2": Chip(2, 0x1000),
    "esp32s3": Chip(9, 0),
    "esp32c3": Chip(5, 0),
    "esp32c6": Chip(13, 0),
}

_MAGIC = 0xE9
_HEADER = struct.Struct(
    "<BBBBIxxxxHxxxxxxxxxB"
)  # magic, segments, mode, size, entry; chip; whether a hash follows
_SEGMENT = struct.Struct("<II")
_CHECKSUM_SEED = 0xEF
_TABLE_OFFSET = 0x8000
_PARTITION = struct.Struct("<HBBII16sI")
_PARTITION_MAGIC = 0x50AA
_TABLE_ENTRIES = 95
_APPLICATION = 0  # type of a partition


def check(data: bytes, chip: str, offset: int, flash_bytes: int) -> None:
    """Check an image that is written at ``offset`` of the flash of a ``chip`` (a name of CHIPS).

    Raises FedmoteError where it is none, is for another chip, is cut short or
    damaged, or does not fit the flash.
    """
    _check_part(data, CHIPS[chip].boot_offset - offset, chip, "boot loader")
    start, end = _application(data, offset)
    if max(end, offset + len(data)) > flash_bytes:
        raise FedmoteError(
            f"it needs {max(end, offset + len(data))} bytes of flash, the board has {flash_bytes}: choose "
            "the image for the smaller flash"
        )
    _check_part(data, start - offset, chip, "application")


def _application(data: bytes, offset: int) -> tuple[int, int]:
    """Return where in flash the first application begins, and where the last partition ends."""
    starts, ends = [], []
    for number in range(_TABLE_ENTRIES):
        place = _TABLE_OFFSET - offset + number * _PARTITION.size
        if place < 0 or place + _PARTITION.size > len(data):
            break
        magic, kind, _, start, size, _, _ = _PARTITION.unpack_from(data, place)
        if magic != _PARTITION_MAGIC:
            break
        ends.append(start + size)
        if kind == _APPLICATION:
            starts.append(start)
    if not starts:
        raise FedmoteError(
            "it has no partition table with an application: it must be the whole image (boot loader, "
            "partitions, application), not an update"
        )
    return starts[0], max(ends)


def _check_part(data: bytes, place: int, chip: str, what: str) -> None:
    """Check that boot loader or application is for the chip, and its checksum and hash."""
    if place < 0 or place + _HEADER.size > len(data) or data[place] != _MAGIC:
        raise FedmoteError(
            f"there is no {what} at byte {place:#x}: not an image for the {chip}, or cut short"
        )
    _, segments, _, _, _, number, hashed = _HEADER.unpack_from(data, place)
    if number != CHIPS[chip].number:
        found = next((name for name, known in CHIPS.items() if known.number == number), f"chip {number}")
        raise FedmoteError(f"it is made for the {found}, not for the {chip}")
    end, checksum = place + _HEADER.size, _CHECKSUM_SEED
    for _ in range(segments):
        if end + _SEGMENT.size > len(data):
            raise FedmoteError(f"its {what} is cut short after {len(data)} bytes: download it again")
        _, size = _SEGMENT.unpack_from(data, end)
        end += _SEGMENT.size
        checksum ^= _folded(data[end : end + size])
        end += size
    end += 16 - (end - place) % 16  # the checksum is the last byte of a line of 16
    total = end + (32 if hashed else 0)
    if total > len(data):
        raise FedmoteError(f"its {what} is cut short after {len(data)} of {total} bytes: download it again")
    if data[end - 1] != checksum or (hashed and data[end:total] != hashlib.sha256(data[place:end]).digest()):
        raise FedmoteError(f"its {what} is damaged, its checksum is wrong: download it again")


def _folded(data: bytes) -> int:
    """Return all bytes combined by exclusive or."""
    folded = int.from_bytes(data, "little")
    width = len(data) * 8
    while width > 8:
        half = (width + 15) // 16 * 8
        folded = (folded & ((1 << half) - 1)) ^ (folded >> half)
        width = half
    return folded
