"""The little of WebSocket (RFC 6455) that a board's console needs: text both ways, over plain HTTP."""

import base64
import os
import socket
from collections.abc import Iterator
from typing import Self

from fedmote.errors import FedmoteError

_CONNECT_S = 10
_QUIET_S = 0.5
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_LARGEST_FRAME = 1 << 16


class WebSocket:
    """A connection to ws://host:port/path, a context manager.

    Raises FedmoteError where it is refused or lost.
    """

    def __init__(self, host: str, port: int, path: str, authorization: str) -> None:
        self._name = f"ws://{host}:{port}{path}"
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Authorization: {authorization}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        try:
            self._socket = socket.create_connection((host, port), _CONNECT_S)
        except OSError as error:
            raise FedmoteError(f"{self._name}: {error}") from None
        self._pending = b""
        try:
            self._socket.sendall("\r\n".join((*lines, "", "")).encode())
            while b"\r\n\r\n" not in self._pending:
                self._fill()
        except OSError as error:
            self._socket.close()
            raise FedmoteError(f"{self._name}: {error}") from None
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        status = head.split(b" ")[1:2]
        if status != [b"101"]:
            self._socket.close()
            raise FedmoteError(f"{self._name} refuses: {head.splitlines()[0].decode(errors='replace')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, text: bytes) -> None:
        """Send at most 125 bytes of UTF-8."""
        self._frame(_TEXT, text)

    def receive(self) -> Iterator[bytes]:
        """Yield what arrives, empty when a moment was quiet, until the other side closes."""
        self._socket.settimeout(_QUIET_S)
        try:
            while True:
                try:
                    opcode, content = self._next()
                except TimeoutError:
                    yield b""
                    continue
                if opcode == _CLOSE:
                    return
                if opcode == _PING:
                    self._frame(_PONG, content)
                else:
                    yield content
        except OSError as error:
            raise FedmoteError(f"{self._name}: {error}") from None

    def _next(self) -> tuple[int, bytes]:
        """Return opcode and content of a frame. A time-out loses nothing: what has come waits in _pending."""
        while True:
            size, start = self._pending[1] & 0x7F if len(self._pending) > 1 else 0, 2
            if size == 126:
                size, start = int.from_bytes(self._pending[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self._pending[2:10], "big"), 10
            if size > _LARGEST_FRAME:
                raise OSError(f"a frame of {size} bytes")
            if len(self._pending) >= max(2, start) + size:
                opcode, content = self._pending[0] & 0xF, self._pending[start : start + size]
                self._pending = self._pending[start + size :]
                return opcode, content
            self._fill()

    def _fill(self) -> None:
        data = self._socket.recv(4096)
        if not data:
            raise OSError("the connection was closed")
        self._pending += data

    def _frame(self, opcode: int, content: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(content))
        self._socket.sendall(bytes((0x80 | opcode, 0x80 | len(content))) + mask + masked)
