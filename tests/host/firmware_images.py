"""Small images laid out as real ones, for tests of flashing: UF2 files and those of the ESP32 family."""

import hashlib
import random
import struct

RP2040, RP2350, ABSOLUTE = 0xE48BFF56, 0xE48BFF59, 0xE48BFF57
BANNERS = {
    "micropython": b"3.4.0; MicroPython v1.26.1 on 2025-09-11\0",
    "circuitpython": b"\0Adafruit CircuitPython 9.2.8 on 2025-05-28; Some Board with chip\0",
}


def program(image: str = "RPI_PICO_W", runtime: str = "micropython", size: int = 40_000) -> bytes:
    """Return what an interpreter's program has in it: its banner, its image's name, and no regularity."""
    names = b"\0" + image.encode() + b"\0" + BANNERS[runtime]
    return random.Random(1).randbytes(size - len(names)) + names


def uf2(data: bytes, family: int = RP2040, address: int = 0x10000000, absolute_first: bool = False) -> bytes:
    """Return a UF2 file. absolute_first: with the block that tools put first for the RP2350."""
    pieces = [data[start : start + 256].ljust(256, b"\0") for start in range(0, len(data), 256)]
    blocks = [
        _block(piece, address + 256 * number, number, len(pieces), family)
        for number, piece in enumerate(pieces)
    ]
    if absolute_first:
        blocks.insert(0, _block(b"\xef" * 256, 0x10FFFF00, 0, 2, ABSOLUTE))
    return b"".join(blocks)


def _block(payload: bytes, address: int, number: int, count: int, family: int) -> bytes:
    header = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, address, 256, number, count, family)
    return (header + payload).ljust(508, b"\0") + struct.pack("<I", 0x0AB16F30)


def esp(
    chip_number: int, data: bytes, boot_offset: int = 0, offset: int = 0, flash_end: int = 0x200000
) -> bytes:
    """Return boot loader, partition table and application in one, as written at ``offset``.

    boot_offset: where the chip looks for its boot loader; flash_end: of the last partition.
    """
    flash = bytearray(b"\xff" * 0x10000)
    boot = esp_part(chip_number, b"boot loader")
    flash[boot_offset : boot_offset + len(boot)] = boot
    table = _partition(1, 2, 0x9000, 0x6000, b"nvs") + _partition(
        0, 0, 0x10000, flash_end - 0x10000, b"factory"
    )
    flash[0x8000 : 0x8000 + len(table)] = table
    return bytes(flash)[offset:] + esp_part(chip_number, data)


def esp_part(chip_number: int, data: bytes) -> bytes:
    """Return a boot loader or an application: one segment, with checksum and hash."""
    header = struct.pack("<BBBBI4xHBHHxxxxB", 0xE9, 1, 2, 0x20, 0x40080000, chip_number, 0, 0, 0xFFFF, 1)
    part = header + struct.pack("<II", 0x3F400020, len(data)) + data
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    part += b"\0" * (15 - len(part) % 16) + bytes([checksum])
    return part + hashlib.sha256(part).digest()


def _partition(kind: int, subkind: int, start: int, size: int, label: bytes) -> bytes:
    return struct.pack("<HBBII16sI", 0x50AA, kind, subkind, start, size, label, 0)
