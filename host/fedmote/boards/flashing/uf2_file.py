"""Reads UF2 files, the form in which RP2040 and RP2350 take an image, and refuses damaged or foreign ones."""

import struct
from typing import NamedTuple

from fedmote.errors import FedmoteError

BLOCK_BYTES = 512
PAYLOAD_BYTES = 256  # the boot ROMs take no other
FLASH_START = 0x1000_0000  # where flash begins in the address space of both chips

_HEADER = struct.Struct("<8I")
_MAGICS = (0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30)
_NOT_FLASH, _HAS_FAMILY = 0x1, 0x2000
_ABSOLUTE = (
    0xE48B_FF57  # family of a block that RP2350's errata E10 makes tools put first; its content is void
)

FAMILIES = {0xE48B_FF56: "RP2040", 0xE48B_FF59: "RP2350", 0xE48B_FF5A: "RP2350 in its RISC-V mode"}


class Block(NamedTuple):
    """The header of a block, and what it writes."""

    flags: int
    address: int
    size: int
    place: int
    blocks: int
    family: int
    payload: bytes


def read(data: bytes, family: int, flash_bytes: int) -> bytes:
    """Return what a UF2 file writes to flash, from its beginning, gaps filled with 0xFF.

    family: the UF2 family id that the board takes. Raises FedmoteError where the
    file is none, is incomplete, is for another chip or does not fit the flash.
    """
    if not data or len(data) % BLOCK_BYTES:
        raise FedmoteError(f"{len(data)} bytes are no UF2 file, which has blocks of {BLOCK_BYTES}")
    blocks = [_block(data, start) for start in range(0, len(data), BLOCK_BYTES)]
    if len(blocks) > 1 and blocks[0].family == _ABSOLUTE != family:
        del blocks[0]
    image = bytearray()
    for place, block in enumerate(blocks):
        _check(block, place, len(blocks), family)
        start = block.address - FLASH_START
        if start < len(image) or start + block.size > flash_bytes:
            raise FedmoteError(
                f"block {place} goes to {block.address:#x}: not after the one before, or not into the "
                f"board's {flash_bytes} bytes of flash"
            )
        image += b"\xff" * (start - len(image)) + block.payload
    return bytes(image)


def _block(data: bytes, start: int) -> Block:
    first, second, flags, address, size, number, count, family = _HEADER.unpack_from(data, start)
    (last,) = struct.unpack_from("<I", data, start + BLOCK_BYTES - 4)
    if (first, second, last) != _MAGICS:
        raise FedmoteError(
            f"block {start // BLOCK_BYTES} has no UF2 magic numbers: not a UF2 file, or damaged"
        )
    payload = data[start + _HEADER.size :][:PAYLOAD_BYTES]
    return Block(flags, address, size, number, count, family, payload)


def _check(block: Block, place: int, blocks: int, family: int) -> None:
    if not block.flags & _HAS_FAMILY or block.family != family:
        found = (
            FAMILIES.get(block.family, "another chip")
            if block.flags & _HAS_FAMILY
            else "no chip in particular"
        )
        raise FedmoteError(
            f"it is made for {found} (UF2 family {block.family:#x}), not for "
            f"{FAMILIES.get(family, 'the board')} ({family:#x})"
        )
    if block.flags & _NOT_FLASH or block.size != PAYLOAD_BYTES:
        raise FedmoteError(
            f"block {place} is not {PAYLOAD_BYTES} bytes of flash, which the boot ROM would refuse"
        )
    if (block.place, block.blocks) != (place, blocks):
        raise FedmoteError(
            f"place {place} of {blocks} has block {block.place} of {block.blocks}: the file is incomplete"
        )
