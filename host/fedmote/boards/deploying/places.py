"""Finds the place that ``--port`` names: a serial port, a drive or folder, or a board on the network."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from fedmote.boards.deploying.folder import FolderTarget, identity_of
from fedmote.boards.deploying.serial_port import SerialTarget
from fedmote.boards.deploying.target import Target
from fedmote.boards.deploying.web import WebTarget
from fedmote.boards.flashing import drives
from fedmote.boards.repl import Repl
from fedmote.errors import FedmoteError
from fedmote.monitor import ports

_DEVICES = Path("/dev")


def open_target(port: str | None, baud: int, password: Callable[[str], str]) -> Target:
    """Return the board's files.

    port: /dev/ttyACM0, socket://host:port, a folder (a new one ends with /), http://host; None: the one board
    that is connected. password: asked with the address of a board on the network. Raises FedmoteError.
    """
    port = port or ports.only().device
    if port.startswith(("http://", "https://")):
        return WebTarget(port, password(port))
    folder = Path(port)
    if folder.is_dir() or (port.endswith("/") and "://" not in port):
        identity = identity_of(folder)
        return FolderTarget(folder, _console(identity.serial_number) if identity else None, baud)
    if "://" not in port and not _is_device(folder) and folder.parent != _DEVICES:
        raise FedmoteError(
            f"{port} is neither a port nor a folder; a new folder is written with a slash: {port}/"
        )
    return _on_serial(port, baud)


def _on_serial(port: str, baud: int) -> Target:
    """Return a MicroPython board's files over its port, or a CircuitPython board's on its drive."""
    repl = Repl.open(port, baud)
    try:
        identity = repl.identify()
        if identity.runtime == "micropython":
            return SerialTarget(port, baud, repl, identity)
        repl.resume()
        repl.close()
    except BaseException:
        repl.close()
        raise
    for folder in drives.mounted():
        found = identity_of(folder)
        if found is not None and found.serial_number == (identity.serial_number or "").lower():
            return FolderTarget(folder, port, baud)
    raise FedmoteError(
        f"{port}: a board with CircuitPython takes files on its drive CIRCUITPY, which is not mounted here: "
        "mount it, name its folder with --port, or use its web workflow, --port http://ADDRESS"
    )


def _console(serial_number: str | None) -> str | None:
    """Return the port at which the board of a drive prints; None where it is not found."""
    from serial.tools.list_ports import comports

    for port in comports():
        if serial_number and (port.serial_number or "").lower() == serial_number:
            return str(port.device)
    return None


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False
