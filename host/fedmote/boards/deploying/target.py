"""What deploying needs of a place that holds a board's files, whatever the way there."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

from fedmote.boards.repl import Identity
from fedmote.errors import FedmoteError

#: what is added to a file's name while it is not complete
DRAFT = ".new"

Advance = Callable[[int], None]  # so many bytes more are written


class Found(NamedTuple):
    """A file that is there: its size in bytes and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return what a file with this content is found as."""
        return cls(len(content), sha256(content).hexdigest())


class Room(NamedTuple):
    """Free space of a file system in bytes, and the size of its blocks."""

    free_bytes: int
    block_bytes: int


class DiskFullError(FedmoteError):
    """The board's file system had no room for a file."""


class Target(Protocol):
    """A board's files. Paths are relative to the root of its file system.

    Every method raises FedmoteError where the board cannot be reached or refuses.
    """

    name: str  # for messages: a port, a folder, an address

    def identify(self) -> Identity | None:
        """Return what the board says it is, None where nothing tells."""

    def find(self, paths: Iterable[str]) -> dict[str, Found]:
        """Return those of the files that exist."""

    def read(self, path: str) -> bytes | None:
        """Return a small file, None where it does not exist."""

    def room(self) -> Room:
        """Return how much fits."""

    def write(self, path: str, content: bytes, advance: Advance) -> None:
        """Write a file and the folders above it. Raises DiskFullError."""

    def accept(self, paths: Iterable[str]) -> None:
        """Put drafts, path + DRAFT, in the place of their files, in this order."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, where they exist, and folders that are empty without them."""

    def restart(self) -> bool:
        """Start the board anew. Return False where it cannot be: a folder is no board."""

    def retake(self) -> None:
        """Start the board and take hold of it again: what it began to do, such as a watchdog, has ended."""

    def listen(self) -> Iterator[bytes | None]:
        """Yield the lines that the board prints after ``restart``, None when a moment was quiet."""

    def close(self) -> None:
        """Let go of the board."""


def parents(paths: Iterable[str]) -> list[str]:
    """Return the folders above the files, the outer ones first."""
    folders = set()
    for path in paths:
        while path := posixpath.dirname(path):
            folders.add(path)
    return sorted(folders)


def differing(found: Mapping[str, Found], wanted: Mapping[str, bytes]) -> list[str]:
    """Return the paths whose content is not the wanted one, in the order of ``wanted``."""
    return [path for path, content in wanted.items() if found.get(path) != Found.of(content)]
