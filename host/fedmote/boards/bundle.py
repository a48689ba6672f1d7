"""The program files of a board as a bundle: what ``fedmote build`` writes and ``fedmote deploy`` copies, and
what they take."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rich.table import Table

from fedmote.boards import image
from fedmote.boards.catalogue import Board
from fedmote.errors import FedmoteError


@dataclass(frozen=True)
class Bundle:
    """files: path on the board -> content. sources: path of every source of the library -> its bytes, also of
    those that the board does not get. kernels: that the board gets."""

    board: str
    runtime: str
    kernels: tuple[str, ...]
    files: dict[str, bytes]
    sources: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    @property
    def source_size(self) -> int:
        """Bytes of all sources."""
        return sum(self.sources.values())

    def write(self, folder: Path) -> None:
        """Write the files into an empty or a new folder. Raises FedmoteError for another one."""
        try:
            if folder.exists() and any(folder.iterdir()):
                raise FedmoteError(f"{folder} is not empty: remove it, or name another folder with -o")
            for path, content in self.files.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        except OSError as error:
            raise FedmoteError(f"{folder}: {error.strerror}") from None

    def table(self) -> Table:
        """Return a row per file: bytes of its source, where it has one, and on the board."""
        table = Table("file", "source", "on the board", box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for path, size, source in self._rows():
            table.add_row(path, "generated" if source is None else f"{source:,}", f"{size:,}")
        table.add_section()
        table.add_row("all that the board gets", "", f"{self.size:,}", style="bold")
        table.add_row("all sources", f"{self.source_size:,}", "", style="dim")
        return table

    def summary(self) -> dict[str, Any]:
        """Return all figures for machines."""
        return {
            "board": self.board,
            "runtime": self.runtime,
            "kernels": list(self.kernels),
            "files": [
                {"path": path, "bytes": size, "source_bytes": source} for path, size, source in self._rows()
            ],
            "bytes": self.size,
            "source_bytes": self.source_size,
        }

    def _rows(self) -> Iterator[tuple[str, int, int | None]]:
        for path, content in sorted(self.files.items()):
            source = str(PurePosixPath(path).with_suffix(".py")) if path.endswith(".mpy") else path
            yield path, len(content), self.sources.get(source)


def build(board: Board, runtime: str | None = None) -> Bundle:
    """Return the bundle of a board, for its first interpreter by default. Raises as ``image.program``."""
    runtime = runtime or next(iter(board.runtimes))
    files = image.program(board, runtime)
    sources = {path.as_posix(): source.stat().st_size for path, source in image.sources(runtime)}
    return Bundle(board.name, runtime, image.bundled_kernels(board, runtime), files, sources)
