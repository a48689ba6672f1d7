"""Sees which serial ports there are on USB, and waits for one to come. It opens none."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

Found = TypeVar("Found")

_PAUSE_S = 0.2


class UsbPort(NamedTuple):
    """A serial port on USB. usb: vendor:product, four hexadecimal digits each."""

    device: str
    usb: str
    serial_number: str = ""

    @property
    def description(self) -> str:
        """What a person should know of it."""
        return f"USB {self.usb}" + (f", serial number {self.serial_number}" if self.serial_number else "")


def ports() -> list[UsbPort]:
    """Return the serial ports on USB, in the order of their names."""
    from serial.tools.list_ports import comports  # slow to import on some systems

    return [
        UsbPort(port.device, f"{port.vid:04x}:{port.pid:04x}", port.serial_number or "")
        for port in sorted(comports())
        if port.vid is not None and port.pid is not None
    ]


def with_ids(ids: Iterable[str]) -> list[UsbPort]:
    """Return the ports whose vendor:product is one of ``ids``."""
    wanted = set(ids)
    return [port for port in ports() if port.usb in wanted]


def id_of(device: str) -> str | None:
    """Return vendor:product of a port, or None where it is not on USB."""
    return next((port.usb for port in ports() if port.device == device), None)


def named(port: str) -> str:
    """Return the device of a port that the user names: it may be a link, as those of /dev/serial/by-id."""
    return str(Path(port).resolve()) if Path(port).is_symlink() else port


def await_first(look: Callable[[], Iterable[Found]], patience_s: float) -> Found | None:
    """Look again and again until there is something; return the first of it, or None after patience_s."""
    deadline = time.monotonic() + patience_s
    while True:
        for found in look():
            return found
        if time.monotonic() > deadline:
            return None
        time.sleep(_PAUSE_S)
