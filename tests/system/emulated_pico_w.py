"""A Pico W for rp2040py's ``--board-spec``: its Wi-Fi finds this machine at 10.0.0.1, and brokers are patient
with it."""

import asyncio
import dataclasses
from typing import Any

from rp2040py.boards import BOARDS
from rp2040py.external.cyw43.chip import Cyw43439

_HOST = "10.0.0.1"
_CONNECT = 0x10  # the first byte of MQTT's first packet
_LONGEST = bytes([255, 255])  # seconds; 0, for no end, is refused by the embedded broker
_KEEP_ALIVE_AT = 8  # behind its length: after the protocol's name, its version and the flags


class _Wifi(Cyw43439):
    def attach(self, rp2040: Any) -> None:
        super().attach(rp2040)
        self.bus.nat_bridge._tcp._connect_fn = _connect  # type: ignore[union-attr]


class _Patient:
    """A connection whose client may stay silent: a second of the emulated board takes many here."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._first = True

    def write(self, data: bytes) -> None:
        if self._first and data[0] == _CONNECT:
            at = next(n for n in range(1, 5) if data[n] < 128) + 1 + _KEEP_ALIVE_AT
            data = data[:at] + _LONGEST + data[at + 2 :]
        self._first = False
        self._writer.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1" if host == _HOST else host, port)
    return reader, _Patient(writer)


_PICO_W = BOARDS["pico_w"]
BOARD = dataclasses.replace(
    _PICO_W, extras=tuple(_Wifi if extra is Cyw43439 else extra for extra in _PICO_W.extras)
)
