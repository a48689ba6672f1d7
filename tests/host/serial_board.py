"""A board on a serial port, for tests: real MicroPython on a pty, which starts boot.py and main.py, has a raw
REPL and can be interrupted, reset and unplugged as a board can."""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from fedmote.boards.virtual import interpreter

PICO_W = "Raspberry Pi Pico W with RP2040"
# What the stand-in parts of the interpreter print: a program runs; it is about to end, and why.
_RUNS, _RESET, _BOOTLOADER = b"\x1d<runs>", b"\x1d<reset>", b"\x1d<loader>"

_ENDING_S = 0.03


@contextlib.contextmanager
def serial_board(folder: Path, **options: object) -> Iterator[str]:
    """Run a board whose file system is ``folder`` and yield its port. options: as SerialBoard has them."""
    with SerialBoard(folder, **options) as board:  # type: ignore[arg-type]
        yield board.port


class SerialBoard:
    """One board. ``port`` can be opened; ``state`` is running, off or bootloader.

    folder: its file system, or with flash_bytes the place of flash.img, a real
    littlefs of that size. runtime, machine, build: what the board says it is.
    unplug_after: bytes that it takes from the host until its cable is pulled.
    """

    def __init__(
        self,
        folder: Path,
        *,
        runtime: str = "micropython",
        machine: str = PICO_W,
        build: str = "RPI_PICO_W",
        flash_bytes: int = 0,
        unplug_after: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = "off"
        self.starts = 0
        self.received = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._values = {
            "runtime": runtime,
            "machine": machine,
            "build": build,
            "flash": str(folder / "flash.img"),
            "flash_bytes": flash_bytes,
        }
        self._unplug_after = unplug_after
        self._outer, self._outer_slave = os.openpty()
        tty.setraw(self._outer_slave)
        os.set_blocking(self._outer, False)
        self.port = os.ttyname(self._outer_slave)
        self._from_board = self._to_board = -1
        self._wake_read, self._wake_write = os.pipe()
        self._raw = False  # whether the host has asked for the raw REPL
        self._held = b""
        self._interrupt_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "SerialBoard":
        self._start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join(5)
        self._stop()
        self._unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _start(self) -> None:
        # Pipes, for a terminal would drop what comes while the interpreter changes its mode.
        theirs, self._to_board = os.pipe()
        self._from_board, their_output = os.pipe()
        values = {**self._values, "main": not self._raw}
        self.process = subprocess.Popen(
            [*interpreter(), "-i", "-c", f"values = {values!r}\n{_ROM}"],
            cwd=self._folder,
            stdin=theirs,
            stdout=their_output,
            stderr=their_output,
            start_new_session=True,
        )
        os.close(theirs)
        os.close(their_output)
        self._mark, self._at_prompt = b"", False
        self._to_raw_repl, self._tail = self._raw, b""
        self.starts += 1
        self.state = "running"

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self._close()
        self.state = "off"

    def _unplug(self) -> None:
        if self._outer >= 0:
            os.close(self._outer)
            os.close(self._outer_slave)
        self._outer = -1

    def _give(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has just ended
            os.write(self._to_board, data)

    def _close(self) -> None:
        os.close(self._from_board)
        os.close(self._to_board)

    def _run(self) -> None:
        while True:
            with selectors.DefaultSelector() as selector:
                for descriptor in (self._outer, self._from_board, self._wake_read):
                    selector.register(descriptor, selectors.EVENT_READ)
                waiting = b"\x03" in self._held
                ready = {key.fd for key, _ in selector.select(_ENDING_S if waiting else None)}
            if self._wake_read in ready:
                return
            if self._from_board in ready and not self._pass_on():
                return
            if self._outer in ready and not self._take():
                return
            self._interrupt()

    def _pass_on(self) -> bool:
        """Pass on what the board prints; where it has ended, start it again. Return whether it is on."""
        data = os.read(self._from_board, 4096)
        if not data:
            return self._ended()
        if self._mark in (_RESET, _BOOTLOADER):
            return True  # a board says no more
        for mark in (_RUNS, _RESET, _BOOTLOADER):
            if mark in data:
                self._mark, data = mark, data.replace(mark, b"")
        if not self._at_prompt:
            self._tail = (self._tail + data)[-300:]
            if self._tail.endswith((b">>> ", b"\x04>")):
                self._at_prompt, self._mark = True, b""
                if self._to_raw_repl:  # a soft reset ends where it began
                    self._to_raw_repl, data = False, b""
                    self._give(b"\x01")
                self._give(self._held.replace(b"\x03", b""))
                self._held = b""
        with contextlib.suppress(BlockingIOError):  # nobody reads: a serial port drops it as well
            os.write(self._outer, data)
        return True

    def _ended(self) -> bool:
        assert self.process is not None
        failed = self.process.wait()
        self._close()
        self.process = None
        if self._mark == _BOOTLOADER:
            self.state = "bootloader"
            return False
        soft = self._mark != _RESET and not failed
        self._raw = self._raw and soft
        if soft:
            os.write(self._outer, b"MPY: soft reboot\r\n")
        self._start()
        return True

    def _take(self) -> bool:
        """Pass on what the host sends. Return whether the cable is still there."""
        data = os.read(self._outer, 4096)
        if self._unplug_after is not None and self.received + len(data) >= self._unplug_after:
            self._stop()
            self._unplug()
            return False
        self.received += len(data)
        for byte in data:
            if byte in (1, 2):
                self._raw = byte == 1
        if self._at_prompt:
            self._give(data)
            if self._raw and b"\x04" in data:  # code begins to run
                self._at_prompt, self._mark = False, _RUNS
        else:  # the interpreter would drop what comes before its prompt; a board's UART keeps it
            if b"\x03" in data:
                self._interrupt_at = time.monotonic() + _ENDING_S
            self._held += data
        return True

    def _interrupt(self) -> None:
        """Pass Ctrl-C on as the signal that it is, but not to code that is just about to end: outside of code
        the signal would end the interpreter."""
        if self._mark == _RUNS and b"\x03" in self._held and time.monotonic() >= self._interrupt_at:
            self._held = self._held.replace(b"\x03", b"")
            assert self.process is not None
            self.process.send_signal(signal.SIGINT)


# What makes the unix port a board: its name, machine.reset, a flash file system if wanted, and the start.
_ROM = """
def _start():
    import sys, os
    class Of:
        def __init__(self, base, **values):
            self.base = base
            for name in values:
                setattr(self, name, values[name])
        def __getattr__(self, name):
            return getattr(self.base, name)
    real = sys
    said = Of(
        sys.implementation, name=values["runtime"], _machine=values["machine"], _build=values["build"]
    )
    sys.modules["sys"] = Of(sys, implementation=said)
    import machine
    sys.modules["machine"] = Of(
        machine,
        reset=lambda: (print("\\x1d<reset>", end=""), real.exit()),
        bootloader=lambda: (print("\\x1d<loader>", end=""), real.exit()),
        unique_id=lambda: b"\\xe6\\x61\\x12",
    )
    if values["flash_bytes"]:
        import vfs
        class Flash:
            def __init__(self, path, size):
                self.count = size // 4096
                try:
                    self.file = open(path, "r+b")
                except OSError:
                    self.file = open(path, "w+b")
                    self.file.write(b"\\xff" * size)
            def readblocks(self, number, buffer, offset=0):
                self.file.seek(number * 4096 + offset)
                self.file.readinto(buffer)
            def writeblocks(self, number, buffer, offset=None):
                self.file.seek(number * 4096 + (offset or 0))
                self.file.write(buffer)
                self.file.flush()
            def ioctl(self, operation, argument):
                return {4: self.count, 5: 4096}.get(operation, 0)
        flash = Flash(values["flash"], values["flash_bytes"])
        try:
            disk = vfs.VfsLfs2(flash)
        except OSError:
            vfs.VfsLfs2.mkfs(flash)
            disk = vfs.VfsLfs2(flash)
        vfs.umount("/")
        vfs.mount(disk, "/")
        os.chdir("/")
    sys.path[:] = ["", ".frozen", "lib"]
    for name in ("boot.py", "main.py") if values["main"] else ("boot.py",):
        try:
            os.stat(name)
        except OSError:
            continue
        try:
            with open(name) as file:
                code = file.read()
            print("\\x1d<runs>", end="")
            exec(compile(code, name, "exec"), {"__name__": "__main__"})
        except KeyboardInterrupt:
            print("KeyboardInterrupt:")
            return
        except Exception as error:
            real.print_exception(error)
try:
    _start()
except KeyboardInterrupt:
    pass
finally:
    del _start, values
"""
