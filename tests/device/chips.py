"""Sensor chips as their data sheets describe them, register by register, on an I2C bus: for tests of drivers.

A chip sees what the bus carries: ``write(data)``, whose first byte sets the register pointer, and
``read(count)``.
"""

from collections import deque
from struct import pack


class Chip:
    """256 registers and a pointer. What a register does when it is read or written is for the chips below."""

    identity = ()  # (register, value)
    defaults = ()

    def __init__(self):
        self.pointer = 0
        self.reset()

    def reset(self):
        self.registers = bytearray(256)
        for register, value in self.defaults + (self.identity,):
            self.registers[register] = value

    def write(self, data):
        self.pointer = data[0]
        for value in data[1:]:
            self.store(self.pointer, value)
            self.pointer = self.after(self.pointer)

    def read(self, count):
        answer = bytearray(count)
        for n in range(count):
            answer[n] = self.load(self.pointer)
            self.pointer = self.after(self.pointer)
        return answer

    def after(self, register):
        return register + 1 & 0xFF

    def store(self, register, value):
        self.registers[register] = value

    def load(self, register):
        return self.registers[register]


def _low_high(value):
    return value & 0xFF, value >> 8 & 0xFF


class Lsm6ds(Chip):
    """What both kinds have: configuration, and measurements that go out in the registers and into the
    FIFO."""

    defaults = ((0x12, 0x04),)
    depth = 0

    def reset(self):
        super().reset()
        self.fifo = deque((), self.depth)  # a full one loses its oldest
        self.lost = False

    def store(self, register, value):
        if register == 0x12 and value & 0x01:
            self.reset()
            return
        super().store(register, value)

    def after(self, register):
        return register + 1 & 0xFF if self.registers[0x12] & 0x04 else register

    def counts(self, g, dps):
        """Return (acceleration, rotation) in counts at the ranges that are set, or None while it is off."""
        if not self.registers[0x10] >> 4 or not self.registers[0x11] >> 4:
            return None
        one_g = {0: 0.061, 1: 0.488, 2: 0.122, 3: 0.244}[self.registers[0x10] >> 2 & 3]
        one_dps = (8.75, 17.5, 35.0, 70.0)[self.registers[0x11] >> 2 & 3]
        acceleration = [round(value * 1000 / one_g) for value in g]
        rotation = [round(value * 1000 / one_dps) for value in dps]
        at = 0x22
        for value in rotation + acceleration:
            self.registers[at], self.registers[at + 1] = _low_high(value)
            at += 2
        return acceleration, rotation


class Lsm6dsox(Lsm6ds):
    """FIFO of tagged words, 512 of them."""

    identity = (0x0F, 0x6C)
    depth = 512

    def reset(self):
        super().reset()
        self.slot = 0

    def measure(self, g, dps):
        counts = self.counts(g, dps)
        if counts is None or self.registers[0x0A] & 7 != 6:
            return
        self.slot = self.slot + 1 & 3
        self.lost = self.lost or len(self.fifo) == self.depth
        if self.registers[0x09] >> 4:
            self.fifo.append(pack("<Bhhh", 1 << 3 | self.slot << 1, *counts[1]))
        if self.registers[0x09] & 15:
            self.fifo.append(pack("<Bhhh", 2 << 3 | self.slot << 1, *counts[0]))

    def after(self, register):
        return 0x78 if register == 0x7E else super().after(register)

    def load(self, register):
        if register == 0x3A:
            return len(self.fifo) & 0xFF
        if register == 0x3B:
            status = len(self.fifo) >> 8 & 3 | (0x48 if self.lost else 0)
            self.lost = False
            return status
        if 0x78 <= register <= 0x7E:
            byte = self.fifo[0][register - 0x78] if self.fifo else 0
            if register == 0x7E and self.fifo:
                self.fifo.popleft()
            return byte
        return super().load(register)


class Lsm6ds3trc(Lsm6ds):
    """FIFO of 2,047 numbers in a pattern of six."""

    identity = (0x0F, 0x6A)
    depth = 2047

    def reset(self):
        super().reset()
        self.at = 0

    def measure(self, g, dps):
        counts = self.counts(g, dps)
        if counts is None or self.registers[0x0A] & 7 != 6 or self.registers[0x08] != 0x09:
            return
        for number in counts[1] + counts[0]:
            if len(self.fifo) == self.depth:
                self.at = (self.at + 1) % 6
                self.lost = True
            self.fifo.append(number)

    def after(self, register):
        return 0x3E if register == 0x3F else super().after(register)

    def load(self, register):
        if register == 0x3A:
            return len(self.fifo) & 0xFF
        if register == 0x3B:
            status = len(self.fifo) >> 8 & 7 | (0x40 if self.lost else 0) | (0 if self.fifo else 0x10)
            self.lost = False
            return status
        if register == 0x3C:
            return self.at
        if register in (0x3E, 0x3F) and self.fifo:
            byte = _low_high(self.fifo[0])[register - 0x3E]
            if register == 0x3F:
                self.fifo.popleft()
                self.at = (self.at + 1) % 6
            return byte
        return super().load(register)


class Mpu6050(Chip):
    """Big-endian numbers, and a FIFO of 1,024 bytes."""

    identity = (0x75, 0x68)
    defaults = ((0x6B, 0x40),)

    def reset(self):
        super().reset()
        self.fifo = deque((), 1024)

    def measure(self, g, dps):
        if self.registers[0x6B] & 0x40:  # asleep
            return
        one_g = 16384 >> (self.registers[0x1C] >> 3 & 3)
        one_dps = (131, 65.5, 32.8, 16.4)[self.registers[0x1B] >> 3 & 3]
        numbers = [round(value * one_g) for value in g] + [0] + [round(value * one_dps) for value in dps]
        for n in range(7):
            low, high = _low_high(numbers[n])
            self.registers[0x3B + 2 * n], self.registers[0x3C + 2 * n] = high, low
        if not self.registers[0x6A] & 0x40:
            return
        for bit, first, count in (
            (0x08, 0x3B, 6),
            (0x80, 0x41, 2),
            (0x40, 0x43, 2),
            (0x20, 0x45, 2),
            (0x10, 0x47, 2),
        ):
            if self.registers[0x23] & bit:
                for byte in self.registers[first : first + count]:
                    self.fifo.append(byte)

    def after(self, register):
        return register if register == 0x74 else super().after(register)

    def store(self, register, value):
        if register == 0x6B and value & 0x80:
            self.reset()
            return
        if register == 0x6A and value & 0x04:
            self.fifo = deque((), 1024)
            value &= ~0x04
        super().store(register, value)

    def load(self, register):
        if register == 0x72:
            return len(self.fifo) >> 8
        if register == 0x73:
            return len(self.fifo) & 0xFF
        if register == 0x74:
            return self.fifo.popleft() if self.fifo else 0
        return super().load(register)


class Lis3dh(Chip):
    """The address moves on only where bit 7 of the register's number is set; 12 bits stand at the top of
    16."""

    identity = (0x0F, 0x33)
    defaults = ((0x20, 0x07),)

    def reset(self):
        super().reset()
        self.fifo = deque((), 32)
        self.lost = False

    def write(self, data):
        self.moves = bool(data[0] & 0x80)
        super().write(bytes([data[0] & 0x7F]) + bytes(data[1:]))

    def after(self, register):
        if not self.moves:
            return register
        if self.registers[0x24] & 0x40 and register == 0x2D:
            return 0x28
        return register + 1

    def store(self, register, value):
        if register == 0x24 and value & 0x80:
            self.reset()
            return
        if register == 0x2E and not value >> 6:
            self.fifo, self.lost = deque((), 32), False
        super().store(register, value)

    def measure(self, g):
        if not self.registers[0x20] >> 4:
            return
        one_g = (1, 2, 4, 12)[self.registers[0x23] >> 4 & 3]
        numbers = [round(value * 1000 / one_g) << 4 for value in g]
        for n in range(3):
            self.registers[0x28 + 2 * n], self.registers[0x29 + 2 * n] = _low_high(numbers[n])
        if self.registers[0x24] & 0x40 and self.registers[0x2E] >> 6 == 2:
            self.lost = self.lost or len(self.fifo) == 32
            self.fifo.append(numbers)

    def load(self, register):
        if register == 0x2F:
            return min(len(self.fifo), 31) | (0x40 if self.lost else 0) | (0 if self.fifo else 0x20)
        if 0x28 <= register <= 0x2D and self.fifo:
            byte = _low_high(self.fifo[0][(register - 0x28) // 2])[register & 1]
            if register == 0x2D:
                self.fifo.popleft()
                self.lost = False
            return byte
        return super().load(register)


class Bme280(Chip):
    """With the calibration of the data sheet's example for temperature and pressure, and typical values for
    humidity. It measures while its mode is normal, and once where it is forced."""

    identity = (0xD0, 0x60)
    T = (27504, 26435, -1000)
    P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    H = (75, 370, 0, 306, 50, 30)

    def __init__(self, temperature=519888, pressure=415148, humidity=30000):
        self.counts = temperature, pressure, humidity
        super().__init__()

    def reset(self):
        super().reset()
        at = 0x88
        for value in self.T + self.P:
            self.registers[at], self.registers[at + 1] = _low_high(value)
            at += 2
        h1, h2, h3, h4, h5, h6 = self.H
        self.registers[0xA1] = h1
        self.registers[0xE1], self.registers[0xE2] = _low_high(h2)
        self.registers[0xE3] = h3
        self.registers[0xE4] = h4 >> 4 & 0xFF
        self.registers[0xE5] = h4 & 15 | (h5 & 15) << 4
        self.registers[0xE6] = h5 >> 4 & 0xFF
        self.registers[0xE7] = h6 & 0xFF
        self.registers[0xF7:0xFF] = b"\x80\x00\x00\x80\x00\x00\x80\x00"
        self.humid = 0

    def store(self, register, value):
        if register == 0xE0 and value == 0xB6:
            self.reset()
            return
        super().store(register, value)
        if register != 0xF4:
            return
        self.humid = self.registers[0xF2] & 7  # takes effect with this register
        if value & 3:
            temperature, pressure, humidity = self.counts
            if value >> 2 & 7:
                self._twenty_bits(0xF7, pressure)
            if value >> 5:
                self._twenty_bits(0xFA, temperature)
            if self.humid:
                self.registers[0xFE], self.registers[0xFD] = _low_high(humidity)

    def _twenty_bits(self, register, value):
        self.registers[register] = value >> 12
        self.registers[register + 1] = value >> 4 & 0xFF
        self.registers[register + 2] = value << 4 & 0xF0


class Sht4x:
    """Commands instead of registers; an answer is two numbers, each with its CRC. damaged: a bit flips."""

    # CRCs by the polynomial 0x31 from 0xFF, worked out by hand for these numbers: 0xBEEF is Sensirion's
    # example
    ANSWERS = {
        0xFD: b"\xbe\xef\x92\x66\x66\x93",
        0x89: b"\x00\x00\x81\xbe\xef\x92",
    }

    def __init__(self):
        self.damaged = False
        self.answer = b""

    def write(self, data):
        self.answer = self.ANSWERS.get(data[0], b"")

    def read(self, count):
        answer = bytearray(self.answer)
        if self.damaged:
            answer[1] ^= 0x10
        return answer[:count]


class Bus:
    """Chips by their addresses. ``gone``: nothing answers any more. Methods as machine.I2C has them."""

    def __init__(self, chips):
        self.chips = chips
        self.gone = False

    def scan(self):
        return [] if self.gone else sorted(self.chips)

    def readfrom_mem_into(self, address, register, buffer):
        self.writeto(address, bytes([register]))
        self.readfrom_into(address, buffer)

    def writeto_mem(self, address, register, data):
        self.writeto(address, bytes([register]) + bytes(data))

    def writeto(self, address, data):
        self._chip(address).write(data)

    def readfrom_into(self, address, buffer):
        buffer[:] = self._chip(address).read(len(buffer))

    def _chip(self, address):
        if self.gone or address not in self.chips:
            raise OSError(19)  # ENODEV
        return self.chips[address]
