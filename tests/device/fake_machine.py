"""A board's ``machine`` for tests of sensor drivers, with a clock that only the test moves. Not for other
tests: it takes the place of the real one while a ``Board`` is entered."""

import sys

from mote import port


class Board:
    """Pins, buses, timers and microphones of one board. bus: I2C with its chips, behind pins SDA 4 and SCL 5.

    Entered, it is what ``import machine`` finds, and its clock is the sensors' clock.
    """

    def __init__(self, bus=None):
        self.bus = bus
        self.now_us = 0
        self.levels = {}  # pin -> 0 or 1, or 0 to 65535
        self.driven = {}  # pin -> what the driver set
        self.timers = []
        self.timer_kinds = [(-1, True), (-1, False), (0, False)]  # (number, hard)
        self.i2s = None

    def __enter__(self):
        self._kept = port.ticks_us, port.sleep_ms
        port.ticks_us, port.sleep_ms = self.ticks_us, self.sleep_ms
        _Machine.board = self
        sys.modules["machine"] = _MACHINE
        return self

    def __exit__(self, *_):
        port.ticks_us, port.sleep_ms = self._kept
        del sys.modules["machine"]

    def ticks_us(self):
        return self.now_us

    def sleep_ms(self, milliseconds):
        self.now_us += 1000 * milliseconds

    def pass_us(self, microseconds, held_up=False):
        """Let time pass; timers ring in it, or all at its end where interrupts are held up."""
        end = self.now_us + microseconds
        while True:
            ringing = [timer for timer in self.timers if timer.next_us <= end]
            if not ringing:
                break
            timer = min(ringing, key=lambda one: one.next_us)
            self.now_us = end if held_up else timer.next_us
            timer.next_us += timer.period_us
            timer.callback(timer)
        self.now_us = end


class _Pin:
    def __init__(self, board, name):
        self.board, self.name = board, name

    def value(self, *value):
        if value:
            self.board.driven[self.name] = value[0]
        return self.board.levels.get(self.name, 0)


class _Adc:
    def __init__(self, pin):
        self._pin = pin

    def read_u16(self):
        return self._pin.board.levels.get(self._pin.name, 0)


class _Timer:
    def __init__(self, freq, callback):
        self.period_us = self.next_us = round(1000000 / freq)
        self.callback = callback


class I2s:
    """Sound comes in by DMA at its rate: ``hear`` adds samples, and a block that is full is told by a
    callback."""

    def __init__(self, options):
        self.options = options
        self._samples = []
        self._block = self._callback = None

    def irq(self, callback):
        self._callback = callback

    def readinto(self, block):
        self._block = block
        self._fill()

    def hear(self, samples):
        self._samples.extend(samples)
        kept = self.options["ibuf"] // 8
        del self._samples[: max(0, len(self._samples) - kept)]
        self._fill()

    def _fill(self):
        block = self._block
        if block is not None and len(self._samples) >= len(block):
            for n in range(len(block)):
                block[n] = self._samples[n]
            del self._samples[: len(block)]
            self._block = None
            self._callback(self)


class _Machine:
    """Names as in MicroPython's module, for the board that is entered; drivers keep them for good."""

    board = None

    def __init__(self):
        self.Pin = _Named(self._pin, IN=0, OUT=1, PULL_UP=1, PULL_DOWN=2)
        self.ADC = _Adc
        self.Timer = _Named(self._timer, PERIODIC=1)
        self.I2S = _Named(self._i2s, RX=0, MONO=1)

    def _pin(self, name, mode=0, pull=None):
        self.board.driven["pull of %s" % name] = pull
        return _Pin(self.board, name)

    def I2C(self, number, scl, sda, freq):  # noqa: N802
        """Hardware bus 0 has the pins 4 and 5, bus 1 none."""
        if (number, sda.name, scl.name) != (0, 4, 5):
            raise ValueError("bad SCL pin")
        return self.board.bus

    def SoftI2C(self, scl, sda, freq):  # noqa: N802
        return self.board.bus

    def _timer(self, number, freq, mode, callback, hard=False):
        if (number, hard) not in self.board.timer_kinds:
            raise ValueError("no such timer")
        timer = _Timer(freq, callback)
        timer.next_us += self.board.now_us
        self.board.timers.append(timer)
        return timer

    def _i2s(self, number, **options):
        self.board.i2s = I2s(options)
        return self.board.i2s


class _Named:
    """A callable with constants, as a class of ``machine`` is."""

    def __init__(self, function, **constants):
        self._function = function
        for name, value in constants.items():
            setattr(self, name, value)

    def __call__(self, *arguments, **options):
        return self._function(*arguments, **options)


_MACHINE = _Machine()
