"""Sensor readers: which one the settings name. How each reads stands in its own module.

A reader has
- ``channels``, ``rate_hz``, ``unit`` (a text; empty where the channels differ or have none),
- ``read_into(reading)``, which fills an array('f') of ``channels`` values and returns True when one was due,
- ``missed``, how many readings were lost since the start,
- ``label`` (class number of the present reading, or None), ``labelled`` (whether the reader tells that it may
  be learned from) and ``boundary`` (True when the last reading began a new series); a live sensor leaves
  these at None, False and False, since it knows what it measures, not what that means.
"""

import sys

from .. import port

#: name in settings.toml -> modules of this package that have ``make(settings)``: on MicroPython, on
#: CircuitPython
SENSORS = {
    "replay": ("replay", "replay"),
    "lsm6ds": ("on_micropython.lsm6ds", "on_circuitpython.chip"),
    "mpu6050": ("on_micropython.mpu6050", "on_circuitpython.chip"),
    "lis3dh": ("on_micropython.lis3dh", "on_circuitpython.chip"),
    "bme280": ("on_micropython.bme280", "on_circuitpython.chip"),
    "sht4x": ("on_micropython.sht4x", "on_circuitpython.chip"),
    "pin": ("on_micropython.pin", "on_circuitpython.pin"),
    "adc": ("on_micropython.adc", "on_circuitpython.adc"),
    "microphone": ("on_micropython.microphone", "on_circuitpython.microphone"),
    "camera": ("on_micropython.camera", "on_circuitpython.camera"),
}


def make(settings):
    """Return the reader that ``SENSOR`` in the settings names.

    Raises ValueError for a setting that does not fit, OSError where the sensor does not answer.
    """
    name = settings.get("SENSOR", "replay")
    if name not in SENSORS:
        raise ValueError("SENSOR = %r is unknown, choose one of: %s" % (name, ", ".join(sorted(SENSORS))))
    path = "mote.sensors." + SENSORS[name][port.CIRCUITPYTHON]
    try:
        __import__(path)
    except ImportError as error:
        raise ValueError("SENSOR = %r does not work on %s: %s" % (name, port.runtime(), error))
    return sys.modules[path].make(settings)
