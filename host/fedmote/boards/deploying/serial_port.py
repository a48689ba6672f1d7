"""A board with MicroPython on a serial port as a place for files, through its raw REPL."""

import ast
import contextlib
import errno
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator

from fedmote.boards.deploying.target import DRAFT, Advance, DiskFullError, Found, Room, parents
from fedmote.boards.repl import BoardError, Identity, Repl
from fedmote.errors import FedmoteError
from fedmote.monitor import lines, ports

_CHUNK_BYTES = 4096  # of a file in one exchange: it stands twice in the board's heap, once as base64
_PATHS = 40  # in one exchange
_PATIENCE_S = 60  # with a board that says nothing: erasing flash takes its time
_RETRY_S = 0.2
_RETURN_S = 15  # for a port on the chip's own USB to come back


class SerialTarget:
    """The files of a board at ``port``. What runs there is interrupted, the heap is emptied."""

    def __init__(self, port: str, baud: int, repl: Repl, identity: Identity) -> None:
        self.name = port
        self._baud = baud
        self._repl = repl
        self._identity = identity
        self._locate = ports.follower(port)
        self._started = False
        self._folders: set[str] = set()  # that are there for sure
        self._prepare()

    def identify(self) -> Identity:
        return self._identity

    def find(self, paths: Iterable[str]) -> dict[str, Found]:
        paths = list(paths)
        found: dict[str, Found] = {}
        for start in range(0, len(paths), _PATHS):
            text = self._run(f"find({paths[start : start + _PATHS]!r})")
            for line in text.splitlines():
                path, size, digest = ast.literal_eval(line)
                found[path] = Found(size, digest)
        return found

    def read(self, path: str) -> bytes | None:
        content: bytes | None = ast.literal_eval(self._run(f"read({path!r})"))
        return content

    def room(self) -> Room:
        block, free = ast.literal_eval(self._run("print(room())"))
        return Room(block * free, block)

    def write(self, path: str, content: bytes, advance: Advance) -> None:
        pieces = [content[at : at + _CHUNK_BYTES] for at in range(0, len(content), _CHUNK_BYTES)] or [b""]
        try:
            if missing := [folder for folder in parents([path]) if folder not in self._folders]:
                self._run(f"folders({missing!r})")
                self._folders.update(missing)
            for number, piece in enumerate(pieces):
                mode = "ab" if number else "wb"
                self._run(f"write({path!r}, {mode!r}, {b64encode(piece)!r})")
                advance(len(piece))
        except BoardError as error:
            if _is(error, errno.ENOSPC):
                raise DiskFullError(f"{self.name}: no room for {path}") from None
            raise

    def accept(self, paths: Iterable[str]) -> None:
        # In one exchange: a cable that is pulled leaves all of them or none.
        self._run(f"accept({list(paths)!r}, {DRAFT!r})")

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._run(f"remove({path!r}, {parents([path])[::-1]!r})")
            self._folders.clear()

    def restart(self) -> bool:
        self._repl.reset()
        self._started = True
        self._repl.close()
        return True

    def retake(self) -> None:
        self._repl.reset()
        self._repl.close()
        deadline = time.monotonic() + _RETURN_S
        while True:
            time.sleep(_RETRY_S)
            try:
                self._repl = Repl.open(self._locate() or self.name, self._baud)
                break
            except FedmoteError:
                if time.monotonic() > deadline:
                    raise
        self._prepare()

    def _prepare(self) -> None:
        self._repl.refresh()
        self._run(_TOOLS)

    def _run(self, code: str) -> str:
        return self._repl.execute(code, _PATIENCE_S).strip()

    def listen(self) -> Iterator[bytes | None]:
        return listen(self.name, self._baud, self._locate)

    def close(self) -> None:
        if not self._started:  # what was interrupted goes on
            with contextlib.suppress(FedmoteError):
                self._repl.resume()
        self._repl.close()


def listen(port: str, baud: int, locate: Callable[[], str | None]) -> Iterator[bytes | None]:
    """Yield the lines of a board that has just been reset, None when a moment was quiet.

    locate: tells where the board is now. Raises FedmoteError where its port does not come back.
    """
    deadline = time.monotonic() + _RETURN_S
    while True:
        events = lines.read(locate() or port, baud, locate)
        try:
            next(events)  # it is open
            break
        except FedmoteError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
    for event in events:
        yield event.data if isinstance(event, lines.Line) else None


def _is(error: BoardError, number: int) -> bool:
    """Tell whether the board's traceback ends with this OSError: ``OSError: 28`` or ``[Errno 28] ENOSPC``."""
    last = error.traceback.strip().splitlines()[-1]
    return last.startswith("OSError") and str(number) in last.replace("]", " ").replace(":", " ").split()


_TOOLS = """
import os
from binascii import a2b_base64
from hashlib import sha256

def find(paths):
    buffer = bytearray(512)
    view = memoryview(buffer)
    for path in paths:
        try:
            file = open(path, "rb")
        except OSError:
            continue
        with file:
            digest, size = sha256(), 0
            while True:
                try:
                    count = file.readinto(buffer)
                except OSError:
                    count = 0
                if not count:
                    break
                digest.update(view[:count])
                size += count
        print((path, size, "".join("%02x" % byte for byte in digest.digest())))

def read(path):
    try:
        with open(path, "rb") as file:
            print(file.read())
    except OSError:
        print(None)

def count(folder):
    total = 1
    for entry in os.ilistdir(folder):
        if entry[1] & 0x4000:
            total += count(folder + "/" + entry[0])
    return total

def room():
    system = os.statvfs(os.getcwd())
    free = system[3] - (1 << 32 if system[3] > system[2] else 0)
    try:
        free += 2 * count("lib")  # littlefs takes two blocks for a folder, and MicroPython counts them twice
    except OSError:
        pass
    return system[1] or system[0], free

def folders(paths):
    for path in paths:
        try:
            os.mkdir(path)
        except OSError as error:
            if error.errno != 17:
                raise

def write(path, mode, text):
    with open(path, mode) as file:
        file.write(a2b_base64(text))

def accept(paths, suffix):
    for path in paths:
        try:
            os.rename(path + suffix, path)
        except OSError:  # FAT does not replace
            os.remove(path)
            os.rename(path + suffix, path)
        print(path)

def remove(path, above):
    try:
        os.remove(path)
        for folder in above:
            os.rmdir(folder)
    except OSError:
        pass
"""
