"""Recorded readings come back once at full speed and labelled, then paced and without a label to learn
from."""

import os
import struct
from array import array

from raising import text_of

from mote.sensors import make

_PATH = "test-replay.tmp"


def _write(series, cut=0):
    total = sum(len(readings) for _, readings in series)
    data = struct.pack("<4sHHfIII2f", b"MREC", 1, 2, 1000.0, len(series), total, 0, 1.0, 0.5)
    for label, readings in series:
        data += struct.pack("<IB3x", len(readings), label)
        for reading in readings:
            data += struct.pack("<2h", reading[0], 2 * reading[1])
    with open(_PATH, "wb") as file:
        file.write(data[: len(data) - cut])


def _sensor(speed=1000):
    return make({"SENSOR": "replay", "RECORDING": _PATH, "REPLAY_SPEED": speed})


def test_first_pass_is_labelled_and_later_ones_are_not():
    _write([(1, [(1, 2), (3, 4)]), (0, [(5, 6)])])
    try:
        sensor = _sensor()
        assert sensor.channels == 2 and sensor.rate_hz == 1000.0
        reading = array("f", [0, 0])
        seen = []
        while len(seen) < 6:
            if sensor.read_into(reading):
                seen.append((list(reading), sensor.label, sensor.boundary, sensor.labelled))
        assert seen[:3] == [([1, 2], 1, True, True), ([3, 4], 1, False, True), ([5, 6], 0, True, True)]
        assert [entry[:3] for entry in seen[3:]] == [entry[:3] for entry in seen[:3]]
        assert not any(entry[3] for entry in seen[3:])
    finally:
        os.remove(_PATH)


def test_later_passes_keep_the_recorded_pace():
    _write([(0, [(1, 2)])])
    try:
        sensor = _sensor(speed=0.001)  # one reading a second
        reading = array("f", [0, 0])
        assert sensor.read_into(reading) and sensor.read_into(
            reading
        )  # the second one starts the second pass
        assert not sensor.read_into(reading)
    finally:
        os.remove(_PATH)


def test_damaged_recordings_are_refused():
    _write([(0, [(1, 2), (3, 4)])], cut=2)
    try:
        sensor = _sensor()
        reading = array("f", [0, 0])
        sensor.read_into(reading)
        assert "middle of a series" in text_of(ValueError, sensor.read_into, reading)
        with open(_PATH, "wb") as file:
            file.write(b"something else that is long enough")
        assert "not a recording" in text_of(ValueError, _sensor)
    finally:
        os.remove(_PATH)
