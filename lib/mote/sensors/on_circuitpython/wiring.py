"""Pins and the I2C bus of a CircuitPython board, by the numbers and names of the settings."""

import board
import busio
import digitalio
import microcontroller

from ... import port
from .. import checked

_powered = []  # type: list


def pin(value):
    """Return the pin of a GPIO number, or of a name in the module ``board``. Raises ValueError for none."""
    if isinstance(value, str):
        found = getattr(board, value, None)
    else:
        found = getattr(microcontroller.pin, "GPIO%d" % value, None)  # type: ignore  # the stubs lack it
    if found is None:
        raise ValueError("this board has no pin %s" % value)
    return found


def i2c(settings):
    """Return (the I2C bus, where it is as a text): on ``SDA`` and ``SCL``, else the board's own.

    ``SENSOR_POWER`` is a pin that is driven high before. Raises ValueError where the board has no such bus.
    """
    if "SENSOR_POWER" in settings:
        power = digitalio.DigitalInOut(pin(checked.pin(settings, "SENSOR_POWER")))
        power.switch_to_output(True)
        _powered.append(power)  # a pin that is collected goes back to being an input
        port.sleep_ms(20)
    if "SDA" not in settings and "SCL" not in settings and hasattr(board, "I2C"):
        return board.I2C(), "the board's I2C"
    sda, scl = checked.pin(settings, "SDA"), checked.pin(settings, "SCL")
    return _bus(pin(sda), pin(scl)), "SDA %s, SCL %s" % (sda, scl)


def _bus(sda, scl):
    """Return the board's own bus where these are its pins, for it may be in use already, else a new one."""
    own = getattr(board, "SDA", None) is sda and getattr(board, "SCL", None) is scl
    return board.I2C() if own and hasattr(board, "I2C") else busio.I2C(scl, sda)
