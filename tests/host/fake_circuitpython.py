"""CircuitPython's modules for a board that a test describes: just what sensors use of them.

The I2C bus carries the chips of tests/device/chips.py, so that the drivers of the Adafruit bundle run
against them.
"""

from types import ModuleType, SimpleNamespace
from typing import Any


class Pin:
    def __init__(self, number: int) -> None:
        self.number = number
        self.level = 0  # 0 or 1, or 0 to 65535


class I2C:
    """busio.I2C over a bus of tests/device/chips.py."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self._locked = False

    def try_lock(self) -> bool:
        locked, self._locked = self._locked, True
        return not locked

    def unlock(self) -> None:
        self._locked = False

    def scan(self) -> list[int]:
        assert self._locked
        return self._bus.scan()

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        data = bytes(buffer)[start:end]
        if data:
            self._bus.writeto(address, data)
        elif address not in self._bus.scan():
            raise OSError(19, "no such device")

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        part = memoryview(buffer)[start:end]
        data = bytearray(len(part))
        self._bus.readfrom_into(address, data)
        part[:] = data

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: Any,
        in_buffer: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        self.writeto(address, out_buffer, start=out_start, end=out_end)
        self.readfrom_into(address, in_buffer, start=in_start, end=in_end)


class Board:
    """GPIO 0 to 30 by number; SDA is 4 and SCL is 5, with the bus ``bus``.

    waves: what each kind of microphone records, sample by sample. frame: what the camera takes, 96 * 96
    bytes.
    """

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self.pins = [Pin(number) for number in range(31)]
        self.wave: list[int] = []
        self.frame: bytearray | None = bytearray(96 * 96)
        self.taken: list[str] = []  # what drivers opened

    def modules(self) -> dict[str, ModuleType]:
        """Return the modules by their names, for sys.modules."""
        pins = self.pins
        own = I2C(self.bus)
        contents: dict[str, dict[str, Any]] = {
            "board": {
                "SDA": pins[4],
                "SCL": pins[5],
                "A0": pins[26],
                "I2C": lambda: own,
                "CAM_DATA": tuple(pins[10:18]),
                "CAM_XCLK": pins[18],
                "CAM_PCLK": pins[19],
                "CAM_VSYNC": pins[20],
                "CAM_HREF": pins[21],
            },
            "busio": {"I2C": self._i2c, "SPI": object},
            "microcontroller": {"pin": SimpleNamespace(**{f"GPIO{pin.number}": pin for pin in pins})},
            "micropython": {"const": lambda value: value},
            "digitalio": {
                "DigitalInOut": _Digital,
                "DriveMode": object,
                "Pull": SimpleNamespace(UP="up", DOWN="down"),
            },
            "analogio": {"AnalogIn": lambda pin: SimpleNamespace(value=pin.level)},
            "analogbufio": {"BufferedIn": self._buffered},
            "audiobusio": {"PDMIn": self._pdm},
            "audioi2sin": {"I2SIn": self._i2s},
            "espcamera": {
                "Camera": self._camera,
                "PixelFormat": SimpleNamespace(GRAYSCALE="grey"),
                "FrameSize": SimpleNamespace(R96X96="96x96"),
                "GrabMode": SimpleNamespace(LATEST="latest"),
            },
        }
        for name in ("circuitpython_typing", "circuitpython_typing.device_drivers"):  # for hints alone
            contents[name] = {"__getattr__": lambda _: object}
        modules = {}
        for name, names in contents.items():
            modules[name] = ModuleType(name)
            vars(modules[name]).update(names)
        return modules

    def _i2c(self, scl: Pin, sda: Pin) -> I2C:
        self.taken.append(f"I2C {sda.number} {scl.number}")
        return I2C(self.bus)

    def _buffered(self, pin: Pin, *, sample_rate: int) -> Any:
        return SimpleNamespace(readinto=self._record)

    def _pdm(self, clock: Pin, data: Pin, *, sample_rate: int, bit_depth: int) -> Any:
        assert bit_depth == 16
        return SimpleNamespace(record=self._record)

    def _i2s(
        self, clock: Pin, select: Pin, data: Pin, *, sample_rate: int, bit_depth: int, output_bit_depth: int
    ) -> Any:
        assert (bit_depth, output_bit_depth) == (32, 16)
        return SimpleNamespace(record=self._record)

    def _record(self, block: Any, count: int | None = None) -> int:
        for n in range(len(block)):
            block[n] = self.wave[n % len(self.wave)]
        return len(block)

    def _camera(self, *, data_pins: tuple[Pin, ...], i2c: I2C, **options: Any) -> Any:
        assert len(data_pins) == 8 and options["pixel_format"] == "grey"
        assert all(
            isinstance(options[name], Pin)
            for name in ("external_clock_pin", "pixel_clock_pin", "vsync_pin", "href_pin")
        )
        return SimpleNamespace(width=96, height=96, take=lambda timeout: self.frame)


class _Digital:
    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def switch_to_input(self, pull: Any = None) -> None:
        self.pull = pull

    def switch_to_output(self, value: bool = False) -> None:
        self._pin.level = int(value)

    @property
    def value(self) -> bool:
        return bool(self._pin.level)
