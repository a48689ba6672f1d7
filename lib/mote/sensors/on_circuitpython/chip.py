"""I2C sensors on CircuitPython, by the drivers of the Adafruit bundle.

CircuitPython has no timer that interrupts and these drivers use no FIFO: readings that come due while the
board trains are missed, and counted.
"""

import sys

from ... import port
from .. import checked
from ..live import Polled
from .bundle import DRIVERS
from .wiring import i2c

_SETTLE_MS = 100


def make(settings):
    """Return the reader of the driver that ``SENSOR`` names in bundle.py.

    Settings: ``RATE_HZ``, the driver's ranges, and those of the bus. Raises ValueError for a setting that
    does not fit or a driver that is not installed, OSError where the chip does not answer.
    """
    name = settings["SENSOR"]
    driver = DRIVERS[name]
    rate_hz = checked.rate(settings, driver.rate_hz, driver.fastest_hz)
    ranges = [
        (attribute, values[checked.choice(settings, key, default, values)])
        for key, (attribute, default, values) in driver.ranges.items()
    ]
    bus, where = i2c(settings)
    address = checked.address(settings, name, driver.addresses, _scan(bus), where)
    chip = _chip(driver, bus, address, "%s at 0x%02x on %s" % (name, address, where))
    for attribute, value in ranges + list(driver.start):
        setattr(chip, attribute, value)
    port.sleep_ms(_SETTLE_MS)
    return Polled(_Chip(chip, name, driver), rate_hz)


class _Chip:
    def __init__(self, chip, name, driver):
        self.name, self.unit = name, driver.unit
        self.channels = sum(count for _, count in driver.values)
        self._chip, self._values = chip, driver.values

    def measure_into(self, reading):
        at = 0
        for attribute, count in self._values:
            values = getattr(self._chip, attribute)
            if count == 1:
                reading[at] = values
            else:
                for n in range(count):
                    reading[at + n] = values[n]
            at += count


def _scan(bus):
    while not bus.try_lock():
        pass
    try:
        return bus.scan()
    finally:
        bus.unlock()


def _chip(driver, bus, address, name):
    """Return an object of the first of the driver's classes that knows the chip."""
    for module, class_name in driver.classes:
        try:
            __import__(module)
        except ImportError as error:
            raise ValueError("the driver %s is not on the board: %s" % (module, error))
        try:
            return getattr(sys.modules[module], class_name)(bus, address=address)
        except RuntimeError as error:  # another chip of the family, or something else
            problem = error
    raise OSError("%s: %s" % (name, problem))
