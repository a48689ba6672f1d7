"""Finds the serial ports of boards: on USB by boards.toml, and those of running fleets of virtual boards.

A fleet registers its folder in a file named by its process id; its ports are the links
``<folder>/<device>/serial``.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fedmote.boards import catalogue
from fedmote.errors import FedmoteError


class Port(NamedTuple):
    """A serial port: what to open, and what a person should know of it."""

    device: str
    description: str


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
        raise FedmoteError(f"{len(ports)} boards found, choose one:{listing}")
    return ports[0]


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
                yield Port(str(link), f"virtual board {link.parent.name}")


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
    from serial.tools.list_ports import comports  # slow to import on some systems, and only needed here

    for port in sorted(comports()):
        if port.vid is None or port.pid is None:
            continue
        if boards := catalogue.by_usb(port.vid, port.pid):
            names = ", ".join(board.name for board in boards)
            serial_number = f", serial number {port.serial_number}" if port.serial_number else ""
            yield Port(port.device, f"{names} ({port.vid:04x}:{port.pid:04x}{serial_number})")
