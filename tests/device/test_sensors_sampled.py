"""Pins, analog pins and microphones: evenly spaced samples while the board is busy, loss that is told, blocks
of sound and images as readings."""

from array import array
from math import pi, sin

import chips
from fake_machine import Board
from raising import text_of

from mote import sensors
from mote.sensors.image import Shrink
from mote.sensors.sound import Sound


def _read(reader):
    reading = array("f", [0] * reader.channels)
    return list(reading) if reader.read_into(reading) else None


def _all(reader):
    found = []
    while True:
        reading = _read(reader)
        if reading is None:
            return found
        found.append(reading)


def _near(found, wanted, tolerance):
    return len(found) == len(wanted) and all(abs(a - b) <= tolerance for a, b in zip(found, wanted))


def test_pins_are_read_at_their_rate_and_missed_readings_counted():
    with Board() as board:
        reader = sensors.make({"SENSOR": "pin", "PIN": "15, 16", "PULL": "down", "RATE_HZ": 10})
        board.levels[16] = 1
        assert _read(reader) == [0, 1]
        assert _read(reader) is None
        board.pass_us(100000)
        assert _read(reader) == [0, 1]
        board.pass_us(450000)
        assert _read(reader) == [0, 1] and _read(reader) is None
        assert reader.missed == 3
        assert board.driven["pull of 15"] == 2
        assert reader.channels == 2 and reader.rate_hz == 10 and reader.unit == ""


def test_polled_readings_allocate_nothing():
    lock = _heap_lock()
    with Board() as board:
        reader = sensors.make({"SENSOR": "pin", "PIN": 15, "RATE_HZ": 10})
        reading = array("f", [0])
        reader.read_into(reading)
        with lock:
            for _ in range(10):
                board.now_us += 100000
                assert reader.read_into(reading)


def test_analog_samples_are_evenly_spaced_while_nobody_asks():
    for kinds in ([(-1, True)], [(-1, False)], [(0, False)]):
        with Board() as board:
            board.timer_kinds = kinds
            reader = sensors.make({"SENSOR": "adc", "PIN": 26, "RATE_HZ": 1000})
            for millisecond in range(1, 101):
                board.levels[26] = 600 * millisecond
                board.pass_us(1000)
            found = _all(reader)
            assert len(found) == 100 and reader.missed == 0
            assert all(abs(found[n][0] - 600 * (n + 1) / 65535) < 1e-6 for n in range(100))


def test_several_analog_pins_are_one_reading():
    with Board() as board:
        reader = sensors.make({"SENSOR": "adc", "PIN": "26, 27"})
        board.levels[26], board.levels[27] = 65535, 0
        board.pass_us(40000)
        assert _all(reader) == [[1, 0], [1, 0]]


def test_samples_that_nobody_took_in_time_are_counted_as_missed():
    with Board() as board:
        reader = sensors.make({"SENSOR": "adc", "PIN": 26, "RATE_HZ": 1000})
        board.pass_us(1000000)
        kept = len(_all(reader))
        assert 250 <= kept < 300
        _read(reader)
        assert reader.missed == 1000 - kept
        board.pass_us(5000)
        assert len(_all(reader)) == 5


def test_samples_of_a_timer_that_was_held_up_are_counted_as_missed():
    with Board() as board:
        reader = sensors.make({"SENSOR": "adc", "PIN": 26, "RATE_HZ": 1000})
        board.pass_us(10000)
        board.pass_us(20300, held_up=True)
        board.pass_us(9700)
        found = _all(reader)
        _read(reader)
        assert len(found) + reader.missed == 40
        assert reader.missed == 19


def test_sampling_in_an_interrupt_allocates_nothing():
    lock = _heap_lock()
    with Board() as board:
        sensors.make({"SENSOR": "adc", "PIN": "26, 27", "RATE_HZ": 1000})
        timer = board.timers[0]
        timer.callback(timer)
        with lock:
            for _ in range(400):  # the ring is full in the end
                board.now_us += 1100
                timer.callback(timer)


def _heap_lock():
    """Return a context in which MicroPython raises MemoryError where anything is allocated."""
    try:
        import micropython

        return _HeapLock(micropython)
    except (ImportError, AttributeError):  # CPython
        return _HeapLock(None)


class _HeapLock:
    def __init__(self, interpreter):
        self._interpreter = interpreter

    def __enter__(self):
        if self._interpreter:
            self._interpreter.heap_lock()

    def __exit__(self, kind, error, traceback):
        if self._interpreter:
            self._interpreter.heap_unlock()


_I2S = {"SENSOR": "microphone", "MICROPHONE_CLOCK": 1, "MICROPHONE_SELECT": 2, "MICROPHONE_DATA": 3}


def _tone(count, loud, first=0):
    """A sine of 32 bits, 16 samples a period."""
    return [int(loud * 0x7FFFFFFF * sin(2 * pi * n / 16)) for n in range(first, first + count)]


def _microphone(**more):
    settings = {"SAMPLE_HZ": 8000, "RATE_HZ": 20}
    settings.update(_I2S)
    settings.update(more)
    return sensors.make(settings)


def test_a_tone_is_told_by_level_peak_and_crossings():
    with Board() as board:
        reader = _microphone()
        assert board.i2s.options["rate"] == 8000
        assert _read(reader) is None
        board.now_us += 50000
        board.i2s.hear(_tone(400, 0.5))
        level, peak, crossings = _read(reader)
        assert abs(level - 0.5 * 2 / pi) < 0.01 and abs(peak - 0.5) < 0.01
        assert abs(crossings - 2 / 16) < 0.01
        assert reader.rate_hz == 20 and reader.missed == 0


def test_sound_goes_on_while_the_board_trains():
    with Board() as board:
        reader = _microphone(SAMPLES=400)
        for block in range(4):
            board.now_us += 50000
            board.i2s.hear(_tone(400, (block + 1) / 8))
        peaks = [reading[1] for reading in _all(reader)]
        assert _near(peaks, [1 / 8, 2 / 8, 3 / 8, 4 / 8], 0.01) and reader.missed == 0


def test_sound_beyond_the_buffer_is_counted_as_missed():
    with Board() as board:
        reader = _microphone()
        for _ in range(40):
            board.now_us += 50000
            board.i2s.hear(_tone(400, 0.5))
        found = len(_all(reader))
        assert abs(found + reader.missed - 40) <= 1 and reader.missed > 30
        missed = reader.missed
        for _ in range(40):
            board.now_us += 50000
            board.i2s.hear(_tone(400, 0.5))
            assert _read(reader) and _read(reader) is None
        assert reader.missed == missed


def test_the_wave_itself_can_be_the_reading():
    with Board() as board:
        reader = _microphone(WAVEFORM=True, SAMPLES=32)
        assert reader.channels == 32
        board.i2s.hear(_tone(400, 0.5))
        assert _near(_read(reader), [0.5 * sin(2 * pi * n / 16) for n in range(32)], 0.001)


def test_an_analog_microphone_is_sampled_by_a_timer():
    with Board() as board:
        reader = sensors.make({"SENSOR": "microphone", "MICROPHONE": "analog", "PIN": 26, "SAMPLE_HZ": 4000})
        for n in range(200):
            board.levels[26] = 32768 + (8192 if n & 1 else -8192)
            board.pass_us(250)
        level, peak, crossings = _read(reader)
        assert abs(level - 0.25) < 0.001 and abs(peak - 0.25) < 0.001 and crossings > 0.9
        assert _read(reader) is None and reader.missed == 0


def test_silence_off_the_middle_is_silence():
    reading = array("f", [9, 9, 9])
    sound = Sound({"SAMPLE_HZ": 8000}, 32768)
    sound.read_into(array("H", [40000] * sound.stride), reading)
    assert list(reading) == [0, 0, 0]


def test_an_image_is_shrunk_to_means_of_boxes():
    frame = bytearray(9 * 7)
    for y in range(7):
        for x in range(9):
            frame[9 * y + x] = 255 if x >= 5 else 51 if y >= 3 else 0
    shrink = Shrink({"WIDTH": 2, "HEIGHT": 2}, 9, 7)
    reading = array("f", [0] * 4)
    shrink.read_into(memoryview(frame), reading)
    # boxes of 4 * 3 pixels: columns 0 to 3 and 4 to 7, rows 0 to 2 and 3 to 5
    assert _near(list(reading), [0, 0.75, 0.2, 0.8], 1e-6)


def test_settings_that_do_not_fit_are_told_by_their_keys():
    with Board(chips.Bus({})):
        for settings, words in (
            (
                {"SENSOR": "adc", "PIN": 26, "RATE_HZ": 5000},
                "RATE_HZ = 5000 must be a number from 0.01 to 2000",
            ),
            ({"SENSOR": "adc", "PIN": "26,"}, "PIN = '26,'"),
            ({"SENSOR": "pin", "PIN": 3, "PULL": "left"}, "PULL = 'left' is not one of"),
            ({"SENSOR": "microphone"}, "needs MICROPHONE_CLOCK"),
            ({"SENSOR": "microphone", "MICROPHONE": "pdm"}, "MICROPHONE = 'pdm'"),
            ({"SENSOR": "microphone", "MICROPHONE": "analog", "PIN": "26,27"}, "one pin"),
        ):
            assert words in text_of(ValueError, sensors.make, settings), words


def test_a_sensor_that_the_interpreter_cannot_read_is_told():
    with Board():
        text = text_of(ValueError, sensors.make, {"SENSOR": "camera"})
    assert "SENSOR = 'camera' does not work on" in text
