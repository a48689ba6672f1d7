"""Drivers against chips as their data sheets describe them: values in physical units, FIFO, loss, and
errors that name what is wrong."""

import gc
from array import array
from math import pi

import chips
from fake_machine import Board
from raising import text_of

from mote import sensors

_WIRES = {"SDA": 4, "SCL": 5}
_G = 9.80665
# sensor -> (chip, address)
_MOTION = {
    "lsm6ds": (chips.Lsm6dsox, 0x6A),
    "mpu6050": (chips.Mpu6050, 0x68),
    "lis3dh": (chips.Lis3dh, 0x18),
}


def _settings(name, **more):
    settings = {"SENSOR": name}
    settings.update(_WIRES)
    settings.update(more)
    return settings


def _read(reader):
    reading = array("f", [0] * reader.channels)
    return list(reading) if reader.read_into(reading) else None


def _near(found, wanted, tolerance):
    return len(found) == len(wanted) and all(abs(a - b) <= tolerance for a, b in zip(found, wanted))


def _measure(chip, g, dps):
    if isinstance(chip, chips.Lis3dh):
        chip.measure(g)
    else:
        chip.measure(g, dps)


def test_motion_comes_in_metres_and_radians_at_every_range():
    for make_chip, name, address in (
        (chips.Lsm6dsox, "lsm6ds", 0x6A),
        (chips.Lsm6ds3trc, "lsm6ds", 0x6B),
        (chips.Mpu6050, "mpu6050", 0x69),
        (chips.Lis3dh, "lis3dh", 0x19),
    ):
        for range_g in (2, 4, 8, 16):
            chip = make_chip()
            with Board(chips.Bus({address: chip})) as board:
                reader = sensors.make(_settings(name, RANGE_G=range_g, RANGE_DPS=125 * range_g))
                _measure(chip, (1, -0.5, 0.25), (90, -200, 12))
                board.pass_us(50000)
                wanted = [_G, -_G / 2, _G / 4] + [90 * pi / 180, -200 * pi / 180, 12 * pi / 180]
                assert _near(_read(reader), wanted[: reader.channels], 0.01 * range_g), (name, range_g)
                assert _read(reader) is None
                assert reader.missed == 0 and reader.label is None and not reader.labelled


def test_readings_wait_in_the_chip_while_the_board_trains():
    for name, (make_chip, address) in _MOTION.items():
        chip = make_chip()
        with Board(chips.Bus({address: chip})) as board:
            reader = sensors.make(_settings(name, RATE_HZ=50))
            for n in range(20):
                board.pass_us(20000)
                _measure(chip, (n / 10, 0, 0), (0, 0, 0))
            found = [_read(reader) for _ in range(21)]
            assert found[20] is None
            assert all(abs(found[n][0] - n / 10 * _G) < 0.05 for n in range(20)), name
            assert reader.missed == 0


def test_a_full_fifo_loses_the_oldest_and_tells_how_many():
    for make_chip, name, address, depth in (
        (chips.Lsm6dsox, "lsm6ds", 0x6A, 256),
        (chips.Lsm6ds3trc, "lsm6ds", 0x6A, 341),
        (chips.Mpu6050, "mpu6050", 0x68, 0),
        (chips.Lis3dh, "lis3dh", 0x18, 32),
    ):
        chip = make_chip()
        with Board(chips.Bus({address: chip})) as board:
            reader = sensors.make(_settings(name))
            period = round(1000000 / reader.rate_hz)
            for _ in range(500):
                board.pass_us(period)
                _measure(chip, (1, 1, 1), (100, 100, 100))
            found = 0
            while True:
                reading = _read(reader)
                if reading is None:
                    break
                found += 1
                assert all(abs(value - _G) < 0.1 for value in reading[:3]), name
            assert found == depth, (name, found)
            assert abs(reader.missed - (500 - depth)) <= 8, (name, reader.missed)
            board.pass_us(period)
            _measure(chip, (0, 1, 0), (0, 0, 0))
            assert abs(_read(reader)[1] - _G) < 0.1


def test_reading_motion_allocates_no_more_than_the_numbers_themselves():
    if not hasattr(gc, "mem_alloc"):
        return
    for name, (make_chip, address) in _MOTION.items():
        with Board(chips.Bus({address: make_chip()})):
            reader = sensors.make(_settings(name, RATE_HZ=100))
        reading = array("f", [0] * reader.channels)
        reader.source._device._bus = _Quiet()
        reader._waiting = 101
        reader.read_into(reading)
        number_bytes = _number_bytes()
        before = gc.mem_alloc()
        for _ in range(100):
            reader.read_into(reading)
        taken = gc.mem_alloc() - before
        assert reader._waiting == 0
        assert taken <= 100 * reader.channels * number_bytes, (name, taken)


class _Quiet:
    """A bus that allocates nothing: what a model of a chip allocates is not the driver's."""

    def readfrom_mem_into(self, address, register, buffer):
        buffer[0] = 2 << 3 if buffer[0] == 1 << 3 else 1 << 3  # the tags that an LSM6DSOX gives in turn


def _number_bytes():
    gc.collect()
    before = gc.mem_alloc()
    value = 1.5
    for _ in range(100):
        value = value * 1.0001
    return (gc.mem_alloc() - before) / 100


def test_a_rate_that_the_chip_lacks_is_refused_with_those_it_has():
    with Board(chips.Bus({0x6A: chips.Lsm6dsox(), 0x18: chips.Lis3dh(), 0x68: chips.Mpu6050()})):
        assert sensors.make(_settings("lsm6ds", RATE_HZ=50)).rate_hz == 52
        assert sensors.make(_settings("mpu6050", RATE_HZ=50)).rate_hz == 50
        assert "12.5, 26, 52" in text_of(ValueError, sensors.make, _settings("lsm6ds", RATE_HZ=20))
        assert "RATE_HZ = 75" in text_of(ValueError, sensors.make, _settings("lis3dh", RATE_HZ=75))
        assert "RANGE_G = 3" in text_of(ValueError, sensors.make, _settings("lis3dh", RANGE_G=3))


def test_air_is_compensated_as_in_the_example_of_the_data_sheet():
    with Board(chips.Bus({0x76: chips.Bme280()})):
        temperature, humidity, pressure = _read(sensors.make(_settings("bme280")))
    assert abs(temperature - 25.08) < 0.001
    assert abs(pressure - 1006.5327) < 0.001
    assert abs(humidity - _humidity(30000, 128422)) < 0.02


def test_humidity_follows_the_formula_in_floats_over_its_whole_range():
    for counts in (0, 20000, 25000, 32000, 40000, 65535):
        with Board(chips.Bus({0x76: chips.Bme280(humidity=counts)})):
            assert abs(_read(sensors.make(_settings("bme280")))[1] - _humidity(counts, 128422)) < 0.02


def _humidity(counts, fine):
    """The data sheet's formula in floating point (8.1)."""
    h1, h2, h3, h4, h5, h6 = chips.Bme280.H
    value = fine - 76800.0
    value = (counts - (h4 * 64.0 + h5 / 16384.0 * value)) * (
        h2 / 65536.0 * (1.0 + h6 / 67108864.0 * value * (1.0 + h3 / 67108864.0 * value))
    )
    return min(max(value * (1.0 - h1 * value / 524288.0), 0.0), 100.0)


def test_negative_calibration_values_are_read_as_such():
    class Odd(chips.Bme280):
        H = (75, 370, 3, -300, -50, -30)

    with Board(chips.Bus({0x76: Odd(humidity=5000)})):
        found = _read(sensors.make(_settings("bme280")))[1]
    kept, chips.Bme280.H = chips.Bme280.H, Odd.H
    try:
        assert abs(found - _humidity(5000, 128422)) < 0.02
    finally:
        chips.Bme280.H = kept


def test_temperature_and_humidity_of_an_sht4x():
    with Board(chips.Bus({0x44: chips.Sht4x()})):
        found = _read(sensors.make(_settings("sht4x")))
    assert _near(found, [-45 + 175 * 0xBEEF / 65535, -6 + 125 * 0x6666 / 65535], 0.001)


def test_an_answer_with_a_wrong_check_sum_is_missed_and_ten_in_a_row_are_an_error():
    chip = chips.Sht4x()
    with Board(chips.Bus({0x44: chip})) as board:
        reader = sensors.make(_settings("sht4x"))
        chip.damaged = True
        for _ in range(5):
            assert _read(reader) is None
            board.pass_us(1000000)
        assert reader.missed == 5
        chip.damaged = False
        assert _read(reader) is not None
        chip.damaged = True
        for _ in range(9):
            board.pass_us(1000000)
            assert _read(reader) is None
        board.pass_us(1000000)
        assert "check sum" in text_of(OSError, _read, reader)


def test_a_chip_that_was_unplugged_is_an_error_that_names_it():
    for name, (make_chip, address) in _MOTION.items():
        bus = chips.Bus({address: make_chip()})
        with Board(bus) as board:
            reader = sensors.make(_settings(name))
            bus.gone = True
            for _ in range(9):
                board.pass_us(50000)
                assert _read(reader) is None
            board.pass_us(50000)
            assert "0x%02x on SDA 4, SCL 5" % address in text_of(OSError, _read, reader)


def test_a_chip_that_lost_its_power_for_a_moment_is_an_error_too():
    chip = chips.Mpu6050()
    with Board(chips.Bus({0x68: chip})) as board:
        reader = sensors.make(_settings("mpu6050"))
        chip.reset()
        errors = 0
        for _ in range(100):
            board.pass_us(20000)
            try:
                assert _read(reader) is None
            except OSError as error:
                assert "power" in str(error)
                errors += 1
        assert errors


def test_nothing_at_the_address_is_told_with_pins_and_what_else_answers():
    with Board(chips.Bus({0x3C: chips.Sht4x()})):
        text = text_of(OSError, sensors.make, _settings("lsm6ds"))
    assert "0x6a or 0x6b on SDA 4, SCL 5" in text and "where 0x3c does" in text
    with Board(chips.Bus({})):
        text = text_of(OSError, sensors.make, _settings("bme280", SENSOR_ADDRESS=0x77))
    assert "at 0x77 on" in text and "nor does anything else" in text


def test_another_chip_at_the_address_is_told_by_its_identity():
    with Board(chips.Bus({0x68: chips.Lis3dh()})):
        text = text_of(OSError, sensors.make, _settings("mpu6050"))
    assert "register 0x75 is 0x00, not 0x68" in text


def test_any_pins_will_do_and_the_power_pin_is_switched_on():
    with Board(chips.Bus({0x18: chips.Lis3dh()})) as board:
        sensors.make({"SENSOR": "lis3dh", "SDA": 16, "SCL": 17, "SENSOR_POWER": 7})
        assert board.driven[7] == 1


def test_missing_pins_are_told_by_their_keys():
    with Board(chips.Bus({})):
        assert "needs SDA" in text_of(ValueError, sensors.make, {"SENSOR": "lis3dh"})
        assert "needs PIN" in text_of(ValueError, sensors.make, {"SENSOR": "adc"})
        assert "choose one of: adc, bme280" in text_of(ValueError, sensors.make, {"SENSOR": "nose"})
