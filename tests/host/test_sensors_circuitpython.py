"""Sensors on CircuitPython: the drivers of the Adafruit bundle, as boards have them, against chips as their
data sheets describe them, and CircuitPython's own pins, microphones and cameras."""

import sys
import time
from array import array
from collections.abc import Callable
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "device"))

import chips
from fake_circuitpython import Board

from mote import port, sensors
from mote.sensors.on_circuitpython.bundle import DRIVERS

_G = 9.80665


class Clock:
    now_us = 0

    def ticks_us(self) -> int:
        return self.now_us

    def sleep_ms(self, milliseconds: int) -> None:
        self.now_us += 1000 * milliseconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(port, "ticks_us", clock.ticks_us)
    monkeypatch.setattr(port, "sleep_ms", clock.sleep_ms)
    return clock


@pytest.fixture
def board_with(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Callable[..., Board]:
    """Make this interpreter a CircuitPython board with the given chips by address."""

    def make(found: dict[int, Any]) -> Board:
        board = Board(chips.Bus(found))
        for name in list(sys.modules):
            if name.startswith(("adafruit_", "mote.sensors.on_circuitpython")):
                monkeypatch.delitem(sys.modules, name)
        for name, module in board.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(port, "CIRCUITPYTHON", True)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        return board

    return make


def read(reader: Any) -> list[float] | None:
    reading = array("f", [0.0] * reader.channels)
    return list(reading) if reader.read_into(reading) else None


MOTION = [
    ("lsm6ds", chips.Lsm6dsox, 0x6A),
    ("lsm6ds", chips.Lsm6ds3trc, 0x6B),
    ("mpu6050", chips.Mpu6050, 0x68),
    ("lis3dh", chips.Lis3dh, 0x19),
]


@pytest.mark.parametrize("range_g", [2, 4, 8, 16])
@pytest.mark.parametrize(("name", "chip_type", "address"), MOTION)
def test_motion_comes_in_metres_and_radians(board_with, name, chip_type, address, range_g):
    chip = chip_type()
    board_with({address: chip})
    reader = sensors.make({"SENSOR": name, "RANGE_G": range_g, "RANGE_DPS": 125 * range_g})
    measure(chip, (1, -0.5, 0.25), (90, -200, 12))
    wanted = [_G, -_G / 2, _G / 4, *(pi / 180 * dps for dps in (90, -200, 12))]
    # 3 %: Adafruit takes a LIS3DH's range by its name, the data sheet gives a count 2 % more.
    assert read(reader) == pytest.approx(wanted[: reader.channels], rel=0.03, abs=0.01 * range_g)
    assert (reader.label, reader.labelled, reader.boundary) == (None, False, False)


def measure(chip: Any, g: tuple[float, ...], dps: tuple[float, ...]) -> None:
    chip.measure(g) if isinstance(chip, chips.Lis3dh) else chip.measure(g, dps)


def test_air_is_read_as_on_micropython(board_with):
    board_with({0x76: chips.Bme280(humidity=25000)})
    temperature, humidity, pressure = read(sensors.make({"SENSOR": "bme280"}))
    assert (temperature, pressure) == pytest.approx((25.08, 1006.53), abs=0.01)
    assert 30 < humidity < 40
    board_with({0x44: chips.Sht4x()})
    found = read(sensors.make({"SENSOR": "sht4x"}))
    assert found == pytest.approx([-45 + 175 * 0xBEEF / 65535, -6 + 125 * 0x6666 / 65535])


def test_readings_that_come_due_while_the_board_trains_are_counted_as_missed(board_with, clock):
    chip = chips.Mpu6050()
    board_with({0x68: chip})
    reader = sensors.make({"SENSOR": "mpu6050", "RATE_HZ": 50})
    assert read(reader) is not None
    assert read(reader) is None
    clock.now_us += 100_000
    assert read(reader) is not None
    assert read(reader) is None
    assert reader.missed == 4


def test_a_chip_that_was_unplugged_is_an_error_that_names_it(board_with, clock):
    board = board_with({0x19: chips.Lis3dh()})
    reader = sensors.make({"SENSOR": "lis3dh"})
    board.bus.gone = True
    for _ in range(9):
        assert read(reader) is None
        clock.now_us += 20_000
    with pytest.raises(OSError, match="lis3dh"):
        read(reader)


def test_nothing_at_the_address_and_another_chip_there_are_told(board_with):
    board_with({0x3C: chips.Sht4x(), 0x68: chips.Lis3dh()})
    with pytest.raises(OSError, match="0x6a or 0x6b on the board's I2C, where 0x3c, 0x68 does"):
        sensors.make({"SENSOR": "lsm6ds"})
    with pytest.raises(OSError, match=r"mpu6050 at 0x68 .*Failed to find MPU6050"):
        sensors.make({"SENSOR": "mpu6050"})


def test_a_driver_that_is_not_on_the_board_is_named(board_with, monkeypatch):
    board_with({0x44: chips.Sht4x()})
    monkeypatch.setitem(sys.modules, "adafruit_sht4x", None)
    with pytest.raises(ValueError, match="driver adafruit_sht4x is not on the board"):
        sensors.make({"SENSOR": "sht4x"})


def test_pins_are_taken_by_number_or_by_the_boards_name(board_with):
    board = board_with({0x44: chips.Sht4x()})
    board.pins[26].level = 65535
    assert read(sensors.make({"SENSOR": "adc", "PIN": "A0, 27"})) == [1, 0]
    board.pins[15].level = 1
    assert read(sensors.make({"SENSOR": "pin", "PIN": "15, 16", "PULL": "up"})) == [1, 0]
    with pytest.raises(ValueError, match="no pin 99"):
        sensors.make({"SENSOR": "pin", "PIN": 99})
    assert sensors.make({"SENSOR": "sht4x", "SDA": 4, "SCL": 5}).channels == 2
    assert board.taken == []  # the board's own bus, which may be in use already
    sensors.make({"SENSOR": "sht4x", "SDA": 2, "SCL": 3, "SENSOR_POWER": 7})
    assert board.taken == ["I2C 2 3"] and board.pins[7].level == 1


@pytest.mark.parametrize(("kind", "middle"), [("pdm", 32768), ("i2s", 0), ("analog", 32768)])
def test_a_tone_is_told_by_level_and_peak_with_every_microphone(board_with, clock, kind, middle):
    board = board_with({})
    board.wave = [middle + round(16384 * sin(2 * pi * n / 16)) for n in range(16)]
    wires = {"MICROPHONE_CLOCK": 1, "MICROPHONE_SELECT": 2, "MICROPHONE_DATA": 3, "PIN": 26}
    reader = sensors.make({"SENSOR": "microphone", "MICROPHONE": kind, **wires})
    assert read(reader) == pytest.approx([1 / pi, 0.5, 1 / 8], abs=0.01)
    assert read(reader) is None
    clock.now_us += 50_000
    assert read(reader) is not None and reader.rate_hz == 20


def test_a_camera_frame_is_shrunk_and_a_missing_one_is_missed(board_with, clock):
    board = board_with({})
    board.frame[: 48 * 96] = b"\xff" * (48 * 96)
    reader = sensors.make({"SENSOR": "camera", "WIDTH": 4, "HEIGHT": 2})
    assert read(reader) == [1, 1, 1, 1, 0, 0, 0, 0]
    board.frame = None
    clock.now_us += 1_000_000
    assert read(reader) is None and reader.missed == 1


def test_the_table_of_drivers_and_that_of_sensors_agree():
    assert set(DRIVERS) == {name for name, (_, module) in sensors.SENSORS.items() if module.endswith("chip")}
