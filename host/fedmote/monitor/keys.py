"""Reads single keys from the terminal without waiting for them, and leaves the terminal as it was."""

import os
import re
import select
import sys
import termios
import tty
from typing import Any, Self

_SEQUENCES = {b"A": "up", b"B": "down"}
_KEY = re.compile(rb"\x1b[\[O]([0-9;]*[A-Za-z~])|([ -~\r\n])")


class Keyboard:
    """Keys of standard input, a context manager. Where that is no terminal, no key is ever pressed."""

    def __init__(self) -> None:
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        if sys.stdin.isatty():
            descriptor = sys.stdin.fileno()
            self._saved = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor)
            attributes = termios.tcgetattr(descriptor)
            attributes[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave a shell on the second screen
            termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
            self._saved = None

    def pressed(self) -> list[str]:
        """Return the keys since the last call: ``up``, ``down``, ``enter``, or the character."""
        if self._saved is None or not select.select([sys.stdin], [], [], 0)[0]:
            return []
        data = os.read(sys.stdin.fileno(), 256)
        if not data:  # the terminal has gone
            return ["q"]
        return [name for match in _KEY.finditer(data) if (name := _name(match))]


def _name(match: re.Match[bytes]) -> str | None:
    sequence, character = match.groups()
    if sequence is not None:
        return _SEQUENCES.get(sequence)
    return "enter" if character in b"\r\n" else character.decode()
