"""Finds the serial ports of boards: on USB by boards.toml, and those of running fleets of virtual boards.

A fleet registers its folder in a file named by its process id; its ports are the links
``<folder>/<device>/serial``.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fedmote.boards import catalogue
from fedmote.errors import FedmoteError


class Port(NamedTuple):
    """A serial port: what to open, what a person should know of it, and the names in boards.toml that its
    board may have."""

    device: str
    description: str
    boards: tuple[str, ...] = ()


def find() -> list[Port]:
    """Return the ports of every board that can be found: USB first, then virtual boards."""
    return [*_on_usb(), *_virtual()]


def only() -> Port:
    """Return the port of the one board there is; raises FedmoteError where there are none or several."""
    ports = find()
    if not ports:
        raise FedmoteError(
            "no board found: connect one over USB, start virtual boards (fedmote demo), "
            "or name a port with --port"
        )
    if len(ports) > 1:
        listing = "".join(f"\n  --port {port.device}    {port.description}" for port in ports)
        raise FedmoteError(
            f"{len(ports)} boards found, choose one:{listing}\nor watch all that a broker knows: --broker URL"
        )
    return ports[0]


def follower(device: str) -> Callable[[], str | None]:
    """Return a function that tells where the board at ``device`` is now, None while it is away.

    A board on USB is known by its ids and serial number, whatever port it comes back as; one without a
    serial number, and everything else, by its port.
    """
    known = _identity(device)
    if known is None:
        return lambda: device

    def locate() -> str | None:
        present = [port for port in _usb_ports() if _identity_of(port) == known]
        return min((port.device for port in present), key=lambda name: (name != device, name), default=None)

    return locate


@contextmanager
def register_fleet(folder: Path) -> Iterator[None]:
    """Make the virtual boards below ``folder`` known to ``find`` while the context lasts."""
    registry = _registry()
    registry.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = registry / str(os.getpid())
    draft = registry / f".{os.getpid()}"  # find never sees half a path
    draft.write_text(str(folder.resolve()), encoding="utf-8")
    draft.replace(entry)
    try:
        yield
    finally:
        entry.unlink(missing_ok=True)


def _registry() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"fedmote-{os.getuid()}" / "fleets"


def _virtual() -> Iterator[Port]:
    for folder in _fleets():
        for link in sorted(folder.glob("*/serial")):
            if link.exists():
                yield Port(str(link), f"virtual board {link.parent.name}", ("virtual",))


def _fleets() -> list[Path]:
    """Return the folders of the fleets that run; entries of processes that have ended are removed."""
    registry = _registry()
    if not registry.is_dir() or registry.stat().st_uid != os.getuid():  # the folder may lie in a shared /tmp
        return []
    folders = []
    for entry in sorted(registry.iterdir()):
        if entry.name.isdecimal() and _alive(int(entry.name)):
            folders.append(Path(entry.read_text(encoding="utf-8")))
        else:
            entry.unlink(missing_ok=True)
    return folders


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _on_usb() -> Iterator[Port]:
    for port in sorted(_usb_ports()):
        if boards := catalogue.by_usb(port.vid, port.pid):
            names = ", ".join(board.name for board in boards)
            serial_number = f", serial number {port.serial_number}" if port.serial_number else ""
            description = f"{names} ({port.vid:04x}:{port.pid:04x}{serial_number})"
            yield Port(port.device, description, tuple(board.name for board in boards))


def _usb_ports() -> list[Any]:
    from serial.tools.list_ports import comports  # slow to import on some systems, and only needed here

    return [port for port in comports() if port.vid is not None and port.pid is not None]


def _identity(device: str) -> tuple[Any, ...] | None:
    real = os.path.realpath(device)  # of /dev/serial/by-id/... too
    port = next((port for port in _usb_ports() if port.device in (device, real)), None)
    return port and _identity_of(port)


def _identity_of(port: Any) -> tuple[Any, ...] | None:
    """Return what stays the same of a board's port, also where a board has several; None without any."""
    if not port.serial_number:
        return None
    interface = (port.location or "").partition(":")[2]
    return port.vid, port.pid, port.serial_number, interface
