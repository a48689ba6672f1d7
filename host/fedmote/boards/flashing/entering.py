"""Puts a board that runs MicroPython or CircuitPython into its boot loader, over its serial port."""

import contextlib

import serial

from fedmote.boards.catalogue import Board
from fedmote.boards.repl import Repl
from fedmote.errors import FedmoteError

_TOUCH_BAUD = 1200  # opening and closing a port at this speed starts the boot loader of many boards


def enter(port: str, board: Board) -> str | None:
    """Tell what runs on a board to start the boot loader; return None, or what went wrong, where it may have.

    First through the interpreter, then by opening the port at 1200 baud, to which
    CircuitPython and some MicroPython boards react while a program holds the
    interpreter. Raises FedmoteError where the port cannot be used, or the board at
    it has another chip.
    """
    try:
        with Repl.open(port) as repl:
            identity = repl.identify()
            right = identity.chip in (None, board.chip)
            if right:
                repl.enter_bootloader()
            else:
                repl.resume()
    except FedmoteError as error:
        if not _touch(port):
            raise
        return str(error)
    if not right:
        raise FedmoteError(
            f"{port} is a {identity.machine}, but {board.name} has a {board.chip}: choose another --board or "
            "--port; the board was not changed"
        )
    return None


def _touch(port: str) -> bool:
    with contextlib.suppress(OSError, ValueError), serial.Serial(port, _TOUCH_BAUD) as connection:
        connection.dtr = False
        return True
    return False
