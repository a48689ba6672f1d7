"""A chip on MicroPython's I2C bus, register by register: finds it, names it, reads and writes."""

from machine import I2C, Pin, SoftI2C

from ... import port
from .. import checked

_FREQUENCY = 400000


def connect(settings, name, addresses):
    """Return the chip ``name`` as a Device at the first of its ``addresses`` that answers.

    Settings: ``SDA`` and ``SCL``, pins; ``SENSOR_ADDRESS``; ``SENSOR_POWER``, a pin that is driven high
    before. Raises OSError where nothing answers.
    """
    sda, scl = checked.pin(settings, "SDA"), checked.pin(settings, "SCL")
    if "SENSOR_POWER" in settings:
        Pin(checked.pin(settings, "SENSOR_POWER"), Pin.OUT).value(1)
        port.sleep_ms(20)
    bus = _bus(sda, scl)
    where = "SDA %s, SCL %s" % (sda, scl)
    address = checked.address(settings, name, addresses, bus.scan(), where)
    return Device(bus, address, "%s at 0x%02x on %s" % (name, address, where))


class Device:
    """Registers of one chip. Every method raises OSError where the chip does not answer."""

    def __init__(self, bus, address, name):
        #: for messages: the chip, its address and its pins
        self.name = name
        self._bus, self._address = bus, address
        self._byte = bytearray(1)

    def expect(self, register, identities):
        """Return the value of the identity register. Raises OSError where it is none of ``identities``."""
        found = self.byte(register)
        if found not in identities:
            raise OSError(
                "%s: its register 0x%02x is 0x%02x, not %s: another chip is there"
                % (self.name, register, found, " or ".join("0x%02x" % one for one in sorted(identities)))
            )
        return found

    def byte(self, register):
        """Return one register."""
        self._bus.readfrom_mem_into(self._address, register, self._byte)
        return self._byte[0]

    def read_into(self, register, buffer):
        """Fill ``buffer`` from a register on."""
        self._bus.readfrom_mem_into(self._address, register, buffer)

    def write(self, register, value):
        """Set one register."""
        self._byte[0] = value
        self._bus.writeto_mem(self._address, register, self._byte)

    def command(self, value):
        """Send one byte to a chip that has commands instead of registers."""
        self._byte[0] = value
        self._bus.writeto(self._address, self._byte)

    def answer_into(self, buffer):
        """Fill ``buffer`` with the answer to a command."""
        self._bus.readfrom_into(self._address, buffer)


def signed(low, high):
    """Return the two's-complement number of two bytes."""
    value = low | high << 8
    return value - 0x10000 if value & 0x8000 else value


def _bus(sda, scl):
    """Return the hardware bus that reaches these pins, else one in software."""
    for number in (0, 1):
        try:
            return I2C(number, scl=Pin(scl), sda=Pin(sda), freq=_FREQUENCY)
        except ValueError:  # not that bus's pins, or no such bus
            continue
    return SoftI2C(scl=Pin(scl), sda=Pin(sda), freq=_FREQUENCY)
