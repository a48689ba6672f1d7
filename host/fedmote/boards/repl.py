"""Runs code on a board over its serial port, in the raw REPL of MicroPython and CircuitPython. It copies no
files and knows no telemetry."""

import ast
import contextlib
import errno
import io
import struct
import time
from dataclasses import dataclass
from typing import Any, Self

import serial
from mpremote.transport import TransportError

from fedmote.boards.raw_repl import RawTransport
from fedmote.errors import FedmoteError

_ATTEMPTS = 5
_ANSWER_S = 2.0  # of each attempt: a board that was busy, or has just been reset, answers a later one
_SILENCE_S = 10.0  # in the middle of an exchange
_GLANCE_S = 0.2
_SENDING_S = 5.0
_RELEASE_S = 1.0  # of a port that another program has


class BoardError(FedmoteError):
    """Code failed on the board. ``traceback``: what the board printed."""

    def __init__(self, traceback: str) -> None:
        super().__init__(f"the board says: {traceback.strip()}")
        self.traceback = traceback


@dataclass(frozen=True)
class Identity:
    """What a board says it is. build: name of the image (MicroPython since 1.25) or the board id
    (CircuitPython). serial_number: of the chip, in hexadecimal digits."""

    runtime: str  # micropython or circuitpython
    version: str  # such as 1.26.1
    machine: str  # such as Raspberry Pi Pico W with RP2040
    chip: str | None = None  # as in boards.toml
    build: str | None = None
    serial_number: str | None = None


class Repl:
    """The raw REPL of one board. A context manager: leaving it closes the port, and the board then waits at
    its prompt unless it was told to ``resume`` or ``reset``."""

    def __init__(self, transport: RawTransport) -> None:
        self.port = transport.device_name
        self._transport = transport

    @classmethod
    def open(cls, port: str, baud: int = 115200) -> "Repl":
        """Open a port and interrupt what runs there.

        port: a device such as /dev/ttyACM0 or a pty, or a URL of pyserial such as
        socket://host:4321. Raises FedmoteError where there is no such port, where
        it is in use, and where no interpreter answers.
        """
        try:
            connection = _connect(port, baud)
        except (OSError, ValueError) as error:
            raise FedmoteError(f"cannot open {port}: {_hint(error)}") from None
        transport = RawTransport(connection, port, _SILENCE_S)
        try:
            heard = transport.interrupt(_ATTEMPTS, _ANSWER_S)
            if heard is not None:
                hint = next((hint for sign, hint in _HEARD if sign in heard), _HEARD_NOTHING)
                raise FedmoteError(f"{port}: no interpreter answers: {hint}")
        except OSError as error:
            transport.close()
            raise FedmoteError(f"{port}: the connection was lost ({error})") from None
        except BaseException:
            transport.close()
            raise
        return cls(transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the raw REPL and close the port."""
        with contextlib.suppress(OSError):  # it may be closed, or gone
            if self._transport.in_raw_repl:
                self._transport.exit_raw_repl()
        self._transport.close()

    def execute(self, code: str, timeout_s: float = 10) -> str:
        """Run code and return what it prints.

        Raises BoardError where it fails, FedmoteError where the port is lost or
        silent for timeout_s.
        """
        with self._explained():
            output, error = self._transport.exec_raw(code, timeout=timeout_s)
        if error:
            raise BoardError(error.decode(errors="replace"))
        return str(output.decode(errors="replace")).replace("\r\n", "\n")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression that is a literal: a number, a text, or a tuple of such.

        Raises as ``execute``.
        """
        text = self.execute(f"print(repr({expression}))")
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            raise FedmoteError(
                f"{self.port}: {expression} is {text.strip()!r}, which is no literal"
            ) from None

    def identify(self) -> Identity:
        """Ask the board what it is. Raises as ``execute``."""
        answer = self.execute(_IDENTIFY)
        try:
            runtime, version, machine, build, number = ast.literal_eval(answer.strip())
        except (ValueError, SyntaxError):
            raise FedmoteError(f"{self.port}: cannot tell what this board is from {answer[:200]!r}") from None
        return Identity(runtime, version, machine, chip_of(machine), build or None, number or None)

    def refresh(self) -> None:
        """Empty the heap of what has run: a soft reset that ends in the raw REPL; boot.py has run, main.py
        has not. For MicroPython alone: CircuitPython would start code.py. Raises as ``execute``."""
        with self._explained():
            self._transport.enter_raw_repl(soft_reset=True)

    def resume(self) -> None:
        """Start the board's own program again with a soft reset, which keeps the port. Returns at once."""
        with self._explained():
            self._transport.exit_raw_repl()
            self._transport.serial.write(b"\x04")

    def reset(self) -> None:
        """Reset the board as if its power had been cut. Returns at once; a port on the chip's own USB goes
        away and comes back."""
        self._depart(_RESET)

    def enter_bootloader(self) -> None:
        """Put the board into its boot loader. Returns at once; the port goes away."""
        self._depart(_BOOTLOADER)

    def _depart(self, code: str) -> None:
        with self._explained():
            self._transport.exec_raw_no_follow(code)
        self._transport.in_raw_repl = False

    @contextlib.contextmanager
    def _explained(self) -> Any:
        """Turn what mpremote and pyserial raise, and what mpremote prints, into one message."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except (TransportError, struct.error) as error:
            raise FedmoteError(f"{self.port}: the board stopped answering ({error}): try again") from None
        except OSError as error:
            raise FedmoteError(
                f"{self.port}: the connection was lost ({error}): check the cable, then try again"
            ) from None


def _connect(port: str, baud: int) -> serial.Serial:
    """Open a port. A program that is about to end, or to start another one, still has it for a moment."""
    until = time.monotonic() + _RELEASE_S
    while True:
        try:
            return serial.serial_for_url(
                port, baudrate=baud, timeout=_GLANCE_S, write_timeout=_SENDING_S, exclusive=True
            )
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EBUSY) or time.monotonic() > until:
                raise
        time.sleep(_GLANCE_S)


def _hint(error: Exception) -> str:
    return _OPENING.get(getattr(error, "errno", None), str(error))


def chip_of(machine: str) -> str | None:
    """Return the chip as boards.toml names it, from such as ``Raspberry Pi Pico W with RP2040``."""
    _, _, chip = machine.rpartition(" with ")
    chip = chip.lower().replace("-", "")
    return next((known for known in _CHIPS if chip.startswith(known)), None)


_CHIPS = ("rp2040", "rp2350", "esp32s2", "esp32s3", "esp32c3", "esp32c6", "esp32")  # esp32 begins the others

_OPENING: dict[int | None, str] = {
    errno.ENOENT: "there is no such port; without --port the board is looked for. "
    "A drive RPI-RP2 or RP2350 instead of a port is a board in its boot loader: press its reset button",
    errno.EACCES: "no permission; on Debian and Ubuntu: sudo adduser $USER dialout, then log in again",
    errno.EBUSY: "another program is using it: close it, such as a monitor or an editor's serial console",
    errno.EAGAIN: "another program is using it: close it, such as a monitor or an editor's serial console",
}

_HEARD = (
    ("waiting for download", "it is in its boot loader: press its reset button (EN), then try again"),
    ("invalid header", "its flash is empty: put an interpreter on it with `fedmote flash`"),
    ("flash read err", "its flash is empty: put an interpreter on it with `fedmote flash`"),
)
_HEARD_NOTHING = (
    "press its reset button and try again; if it has no MicroPython or CircuitPython yet, "
    "`fedmote flash` puts it there"
)

_IDENTIFY = """
import sys
def _of(module, *names):
    try:
        value = __import__(module)
        for name in names:
            value = getattr(value, name)
        return value() if callable(value) else value
    except (ImportError, AttributeError):
        return None
_n = _of("machine", "unique_id") or _of("microcontroller", "cpu", "uid") or b""
_u = _of("os", "uname")
print(repr((
    sys.implementation.name,
    ".".join(str(part) for part in sys.implementation.version[:3]),
    getattr(sys.implementation, "_machine", None) or (_u[4] if _u else ""),
    _of("board", "board_id") or getattr(sys.implementation, "_build", None) or "",
    "".join("%02x" % byte for byte in _n),
)))
del _n, _u, _of
"""

_RESET = """
try:
    from machine import reset
except ImportError:
    from microcontroller import reset
reset()
"""

_BOOTLOADER = """
try:
    from machine import bootloader
except ImportError:
    import microcontroller
    def bootloader():
        mode = microcontroller.RunMode
        microcontroller.on_next_reset(mode.UF2 if hasattr(mode, "UF2") else mode.BOOTLOADER)
        microcontroller.reset()
bootloader()
"""
