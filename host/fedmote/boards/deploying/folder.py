"""A folder as a place for a board's files: a CIRCUITPY drive, or what is to be copied to a board later."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedmote.boards.deploying.serial_port import listen
from fedmote.boards.deploying.target import DRAFT, Advance, DiskFullError, Found, Room, parents
from fedmote.boards.repl import Identity, Repl, chip_of
from fedmote.errors import FedmoteError
from fedmote.monitor import ports

_BOOT_OUT = "boot_out.txt"  # what CircuitPython writes at each start: version, machine, board id
_SETTINGS = "settings.toml"


class FolderTarget:
    """The files below ``folder``, made where it is missing. console: port at which the board prints, None
    where it is not connected or unknown."""

    def __init__(self, folder: Path, console: str | None = None, baud: int = 115200) -> None:
        if (folder / "INFO_UF2.TXT").exists():
            raise FedmoteError(
                f"{folder} is a boot drive: the board is in its boot loader. `fedmote flash` puts an "
                "interpreter on it; if it has one, press its reset button"
            )
        self.name = str(folder)
        self._folder = folder
        self._console = console
        self._baud = baud
        self._locate = ports.follower(console) if console else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FedmoteError(f"{folder} is neither a folder nor can it be made: {error}") from None

    def identify(self) -> Identity | None:
        return identity_of(self._folder)

    def find(self, paths: Iterable[str]) -> dict[str, Found]:
        contents = {path: self.read(path) for path in paths}
        return {path: Found.of(content) for path, content in contents.items() if content is not None}

    def read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise self._failure(error) from None

    def room(self) -> Room:
        system = os.statvfs(self._folder)
        return Room(system.f_bavail * system.f_frsize, system.f_frsize)

    def write(self, path: str, content: bytes, advance: Advance) -> None:
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.startswith(_SETTINGS):  # it has the key and the Wi-Fi's password
                target.touch(mode=0o600)
            with target.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._failure(error) from None
        advance(len(content))

    def accept(self, paths: Iterable[str]) -> None:
        try:
            for path in paths:
                (self._folder / (path + DRAFT)).replace(self._folder / path)
        except OSError as error:
            raise self._failure(error) from None

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            try:
                (self._folder / path).unlink(missing_ok=True)
                for above in reversed(parents([path])):
                    (self._folder / above).rmdir()
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise self._failure(error) from None

    def restart(self) -> bool:
        os.sync()  # a drive's last blocks, before the board looks at them
        if self._console is None:
            return False
        with Repl.open(self._console, self._baud) as repl:
            repl.reset()
        return True

    def retake(self) -> None:
        """A folder is never let go of."""

    def listen(self) -> Iterator[bytes | None]:
        if self._console is None or self._locate is None:
            return iter(())
        return listen(self._console, self._baud, self._locate)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _failure(self, error: OSError) -> FedmoteError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError(f"{self.name}: no room for {error.filename or 'a file'}")
        if error.errno == errno.EROFS and identity_of(self._folder):
            return FedmoteError(
                f"{self.name} is read-only for this computer. With OTA = true in its settings.toml the "
                "board alone writes: send it updates with `fedmote ota push`, or start it in safe mode "
                "(press reset again while its light is yellow after a reset), which frees the drive"
            )
        return FedmoteError(f"{self.name}: {error}: check that the drive is connected and can be written")


def identity_of(folder: Path) -> Identity | None:
    """Return what CircuitPython has written about its board; None where a folder is no CIRCUITPY drive."""
    try:
        text = (folder / _BOOT_OUT).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head = re.match(r"Adafruit CircuitPython (\S+) on [^;]*; (.*)", text)
    if head is None:
        return None
    facts = dict(re.findall(r"^([\w ]+):(\S+)", text, re.MULTILINE))
    version, machine = head[1], head[2].strip()
    return Identity(
        "circuitpython",
        version,
        machine,
        chip_of(machine),
        facts.get("Board ID"),
        facts.get("UID", "").lower() or None,
    )
