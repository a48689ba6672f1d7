"""Reads lines from a serial port; one that goes away is opened again. It knows no telemetry."""

import errno
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import serial

from fedmote.errors import FedmoteError
from fedmote.monitor.telemetry import LINE_BYTES

READ_SECONDS = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between attempts to open


@dataclass(frozen=True)
class Line:
    """A line without its end; the first 1,000 bytes where it was longer."""

    data: bytes


@dataclass(frozen=True)
class Lost:
    """The port went away: why."""

    reason: str


@dataclass(frozen=True)
class Opened:
    """The port is open, for the first time or again. device: where; a replugged board may have moved."""

    device: str


@dataclass(frozen=True)
class Quiet:
    """Nothing new for a moment: time to look at the clock or to redraw."""


Event = Line | Lost | Opened | Quiet


def read(
    port: str,
    baud: int = 115200,
    locate: Callable[[], str | None] | None = None,
    pause: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Yield what happens on a port, without end.

    port: a device such as /dev/ttyACM0 or /dev/pts/3, or a URL of pyserial such as socket://host:4321.
    locate: tells, after a loss, which device the same board is now, None while it is away; without it
    ``port`` is opened again.
    Raises FedmoteError where the port cannot be opened the first time. Later losses are events.
    """
    try:
        connection = _open(port, baud)
    except (OSError, ValueError) as error:
        raise FedmoteError(_explained(port, error)) from None
    device = port
    while True:
        yield Opened(device)
        with connection:
            try:
                yield from _lines(connection)
            except OSError as error:  # pyserial's SerialException is one
                yield Lost(str(error))
        connection, device = yield from _reopened(locate or (lambda: port), baud, pause, clock)


def _reopened(
    locate: Callable[[], str | None],
    baud: int,
    pause: Callable[[float], Any],
    clock: Callable[[], float],
) -> Generator[Event, None, tuple[serial.Serial, str]]:
    """Open the board's port again, however long it takes: attempts grow rarer, up to one in 5 seconds."""
    wait = FIRST_PAUSE
    retry_at = clock() + wait
    while True:
        yield Quiet()
        pause(READ_SECONDS)
        if clock() >= retry_at:
            try:
                device = locate()
                if device is not None:
                    return _open(device, baud), device
            except OSError:
                pass
            wait = min(wait * 2, LONGEST_PAUSE)
            retry_at = clock() + wait


@dataclass
class Splitter:
    """Cuts a stream of bytes into lines; of an endless line only the first 1,000 bytes are ever held."""

    _rest: bytes = b""
    _cut: bool = False  # the rest of the current line has been given away or is to be dropped

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that ``data`` completes."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            yield from self._take(end)
            if not self._cut:
                yield self._rest.removesuffix(b"\r")
            self._rest, self._cut = b"", False
        yield from self._take(rest)

    def _take(self, data: bytes) -> Iterator[bytes]:
        if self._cut:
            return
        self._rest += data
        if len(self._rest) > LINE_BYTES + 1:  # one more for a carriage return
            yield self._rest[:LINE_BYTES]
            self._rest, self._cut = b"", True


def _lines(connection: serial.Serial) -> Iterator[Event]:
    splitter = Splitter()
    while True:
        for line in splitter.feed(connection.read(max(1, connection.in_waiting))):
            yield Line(line)
        yield Quiet()


def _open(port: str, baud: int) -> serial.Serial:
    return serial.serial_for_url(port, baudrate=baud, timeout=READ_SECONDS, exclusive=True)


def _explained(port: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    return f"cannot open {port}: {_HINTS.get(number, str(error))}"


_HINTS: dict[int | None, str] = {
    errno.ENOENT: "there is no such port; `fedmote monitor` without --port looks for boards",
    errno.EACCES: "no permission; on Debian and Ubuntu: sudo adduser $USER dialout, then log in again",
    errno.EBUSY: "another program is using it",
    errno.EAGAIN: "another program is using it",
}
