"""The raw REPL's bytes: mpremote's transport, made to give up in time and to survive a board that talks
meanwhile. It explains nothing to people."""

import contextlib
import io
import time
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

_MOMENT_S, _MOMENTS = 0.1, 20


class RawTransport(SerialTransport):
    """mpremote's transport on a port that is open already: its own way of opening hides why it failed.

    connection: of pyserial, with a short time-out. silence_s: how long to wait for the
    board in the middle of an exchange.
    """

    def __init__(self, connection: Any, port: str, silence_s: float) -> None:
        self.serial = _Patient(connection, silence_s)
        self.device_name = port
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.mounted = False

    def close(self) -> None:
        """Close the port; first RTS, then DTR, for the other order resets an ESP32."""
        connection = self.serial.connection
        with contextlib.suppress(OSError):  # a pty has neither
            connection.rts = False
            connection.dtr = False
        connection.close()

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """Return what comes until ``ending``, or until a time is over. mpremote's own looks every 10 ms, and
        never at the time while a board goes on printing."""
        data = bytearray()
        begun = heard = time.monotonic()
        while not data.endswith(ending):
            new = self.serial.connection.read(1)
            now = time.monotonic()
            if new:
                data += new
                heard = now
            if timeout_overall is not None and now >= begun + timeout_overall:
                break
            if timeout is not None and now >= heard + timeout:
                break
        return bytes(data)

    def interrupt(self, attempts: int, answer_s: float) -> str | None:
        """Enter the raw REPL, whatever runs; each attempt waits answer_s.

        Return None once in it, else what was heard instead. Raises OSError where the
        port is lost.
        """
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):  # mpremote prints what it does not understand
            for attempt in range(attempts):
                try:
                    self.enter_raw_repl(soft_reset=False, timeout_overall=answer_s)
                    if attempt:  # answers to earlier attempts come too, and would be taken for later ones
                        self._drain()
                        self.enter_raw_repl(soft_reset=False, timeout_overall=answer_s)
                    return None
                except TransportError:
                    continue
        return heard.getvalue()

    def _drain(self) -> None:
        """Drop what comes until there is a moment's silence; a board that never stops is given up."""
        for _ in range(_MOMENTS):
            time.sleep(_MOMENT_S)
            if not self.serial.in_waiting:
                return
            self.serial.reset_input_buffer()


class _Patient:
    """A serial connection whose ``read`` waits for all that it is asked for, up to ``silence_s``."""

    def __init__(self, connection: Any, silence_s: float) -> None:
        self.connection = connection
        self._silence_s = silence_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def read(self, count: int = 1) -> bytes:
        data = b""
        end = time.monotonic() + self._silence_s
        while len(data) < count and time.monotonic() < end:
            data += self.connection.read(count - len(data))
        return data
