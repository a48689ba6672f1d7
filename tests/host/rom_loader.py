"""A chip of the ESP32 family in its serial boot loader, for tests: over a pty it speaks the protocol of the
ROM and, once esptool has uploaded its stub, that of the stub. Its flash must be erased to be written."""

import contextlib
import hashlib
import os
import select
import struct
import threading
import tty
import zlib

from esptool.targets import CHIP_DEFS

_END, _ESCAPE = 0xC0, 0xDB
_SYNC, _WRITE_REG, _READ_REG, _SECURITY, _MD5 = 0x08, 0x09, 0x0A, 0x14, 0x13
_MEM_DATA, _MEM_END = 0x07, 0x06
_FLASH_BEGIN, _FLASH_DATA, _DEFLATED_BEGIN, _DEFLATED_DATA, _ERASE = 0x02, 0x03, 0x10, 0x11, 0xD0
_PLAIN = (0x04, 0x05, 0x06, 0x0B, 0x0D, 0x0F, 0x12)  # commands that need nothing but an answer
_STUB_ONLY = (_ERASE, 0xD1, 0xD2)
_SPI_USER = 1 << 18
_SECTOR = 4096
_UNSUPPORTED, _BAD_DATA = 5, 7


class RomLoader:
    """One chip. ``port`` can be opened; ``flash`` is what its flash holds.

    chip: as esptool names it. unplug_after: bytes of image until the cable is pulled; wear: an address in
    flash that keeps a wrong byte.
    """

    def __init__(
        self,
        chip: str = "esp32s3",
        flash_bytes: int = 8 << 20,
        unplug_after: int | None = None,
        wear: int | None = None,
    ) -> None:
        self.flash = bytearray(b"\x55" * flash_bytes)
        self.stub = False
        self.verified = False
        self.commands: list[int] = []
        self._chip = CHIP_DEFS[chip]
        self._unplug_after, self._wear = unplug_after, wear
        self._registers: dict[int, int] = {}
        if self._chip.USES_MAGIC_VALUE:
            self._registers[self._chip.CHIP_DETECT_MAGIC_REG_ADDR] = self._chip.MAGIC_VALUE
        self._flash_id = 0xEF | 0x40 << 8 | (flash_bytes.bit_length() - 1) << 16
        self._received = 0
        self._next = 0
        self._inflate = zlib.decompressobj()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "RomLoader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join(5)
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            with contextlib.suppress(OSError):  # the thread may have closed it
                os.close(descriptor)

    def _run(self) -> None:
        packet, escaped, inside = bytearray(), False, False
        while True:
            ready, _, _ = select.select([self._master, self._wake_read], [], [])
            if self._wake_read in ready:
                return
            for byte in os.read(self._master, 4096):
                if byte == _END:
                    if inside and packet:
                        self._answer(bytes(packet))
                    inside = not (inside and packet)
                    packet.clear()
                elif byte == _ESCAPE:
                    escaped = True
                elif escaped:
                    packet.append({0xDC: _END, 0xDD: _ESCAPE}[byte])
                    escaped = False
                else:
                    packet.append(byte)
            if self._unplug_after is not None and self._received > self._unplug_after:
                os.close(self._master)
                self._master = -1
                return

    def _send(self, packet: bytes) -> None:
        escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        os.write(self._master, b"\xc0" + escaped + b"\xc0")

    def _reply(self, command: int, value: int = 0, data: bytes = b"", error: int = 0) -> None:
        status = bytes([1 if error else 0, error]) + (b"" if self.stub else b"\0\0")
        body = data + status
        self._send(struct.pack("<BBHI", 1, command, len(body), value) + body)

    def _answer(self, packet: bytes) -> None:
        direction, command, size, checksum = struct.unpack_from("<BBHI", packet)
        body = packet[8:]
        if direction != 0 or size != len(body):
            return
        self.commands.append(command)
        if command == _SYNC:
            for _ in range(8):
                self._reply(command, 0 if self.stub else 0x20120707)
        elif command == _READ_REG:
            self._reply(command, self._registers.get(struct.unpack("<I", body)[0], 0))
        elif command == _WRITE_REG:
            self._write_register(*struct.unpack_from("<III", body))
            self._reply(command)
        elif command == _SECURITY and not self._chip.USES_MAGIC_VALUE:
            self._reply(command, 0, struct.pack("<IB7xII", 0, 0, self._chip.IMAGE_CHIP_ID, 0))
        elif command in (_FLASH_DATA, _DEFLATED_DATA, _MEM_DATA):
            self._take(command, body, checksum)
        elif command in (_FLASH_BEGIN, _DEFLATED_BEGIN):
            total, _, _, offset = struct.unpack_from("<IIII", body)
            self._erase(offset, total)
            self._next, self._inflate = offset, zlib.decompressobj()
            self._reply(command)
        elif command == _MD5:
            address, length = struct.unpack_from("<II", body)
            digest = hashlib.md5(self.flash[address : address + length])
            self.verified = True
            self._reply(command, 0, digest.digest() if self.stub else digest.hexdigest().encode())
        elif command == _ERASE and self.stub:
            self._erase(0, len(self.flash))
            self._reply(command)
        elif command in _PLAIN:
            self._reply(command)
            if command == _MEM_END:
                self.stub = True
                self._send(b"OHAI")
        else:
            for _ in range(8):
                self._reply(0, 0, error=_UNSUPPORTED)

    def _write_register(self, address: int, value: int, mask: int) -> None:
        chip = self._chip
        before = self._registers.get(address, 0)
        self._registers[address] = (before & ~mask) | (value & mask)
        if address == chip.SPI_REG_BASE and value & _SPI_USER:  # a command to the flash chip
            base = chip.SPI_REG_BASE
            opcode = self._registers.get(base + chip.SPI_USR2_OFFS, 0) & 0xFF
            words = {0x9F: self._flash_id, 0x5A: 0x50444653}
            self._registers[base + chip.SPI_W0_OFFS] = words.get(opcode, 0)
            self._registers[address] = 0

    def _erase(self, offset: int, size: int) -> None:
        first, last = offset // _SECTOR * _SECTOR, -(-(offset + size) // _SECTOR) * _SECTOR
        self.flash[first:last] = b"\xff" * (last - first)

    def _take(self, command: int, body: bytes, checksum: int) -> None:
        (size,) = struct.unpack_from("<I", body)
        data = body[16:]
        folded = 0xEF
        for byte in data:
            folded ^= byte
        if len(data) != size or folded != checksum:
            self._reply(command, error=_BAD_DATA)
            return
        if command != _MEM_DATA:
            self._received += len(data)
            self._program(self._inflate.decompress(data) if command == _DEFLATED_DATA else data)
        self._reply(command)

    def _program(self, data: bytes) -> None:
        """Clear bits, which is all that flash can do without erasing."""
        there = int.from_bytes(self.flash[self._next : self._next + len(data)], "little")
        written = there & int.from_bytes(data, "little")
        self.flash[self._next : self._next + len(data)] = written.to_bytes(len(data), "little")
        if self._wear is not None:
            self.flash[self._wear] = 0
        self._next += len(data)
