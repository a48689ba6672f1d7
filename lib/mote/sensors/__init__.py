"""Sensor readers, one module each.

A reader has ``channels``, ``rate_hz``, ``label`` (class number of the present reading, or None), ``labelled``
(whether it may be learned from), ``boundary`` (True when the last reading began a new series) and
``read_into(reading)``, which fills an array('f') of ``channels`` values and returns True when one was due.
"""

#: name in settings.toml -> module of this package; each has ``make(settings)``
SENSORS = ("replay",)


def make(settings):
    """Return the reader that ``SENSOR`` in the settings names. Raises ValueError for an unknown one."""
    name = settings.get("SENSOR", "replay")
    if name not in SENSORS:
        raise ValueError("SENSOR = %r is unknown, choose one of: %s" % (name, ", ".join(SENSORS)))
    return getattr(__import__("mote.sensors." + name).sensors, name).make(settings)
