"""Official images of MicroPython and CircuitPython: names, addresses, and their download into a cache where
every use checks them. It does not look into an image."""

import hashlib
import http.client
import os
import re
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from fedmote import __version__
from fedmote.boards.catalogue import Board
from fedmote.errors import FedmoteError

Progress = Callable[[int, int | None], None]
"""Called with the bytes done, and all that there are or None where that is unknown."""

SUFFIXES = {"uf2": "uf2", "esptool": "bin"}  # by flash method
_LISTING = Path(__file__).with_name("images.toml")
_LARGEST = 32 << 20  # bytes; no image comes near
_PIECE = 1 << 16
_TIMEOUT_S = 30


class Image(NamedTuple):
    """An official image. size and sha256 are None where images.toml does not know them."""

    file: str
    url: str
    page: str
    release: str
    size: int | None = None
    sha256: str | None = None

    @property
    def place(self) -> Path:
        """Where the image is kept on this computer, whether it is there or not."""
        return folder() / self.file


class Fetched(NamedTuple):
    """An image on this computer. trust: whose SHA-256 it was held to, see TRUST."""

    path: Path
    sha256: str
    trust: str


TRUST = {
    "given": "its SHA-256 is the one you gave",
    "known": "its SHA-256 is the one fedmote knows",
    "recorded": "its SHA-256 is the one of its first download",
    "first": "fedmote knows none of it: trusted as its site serves it over HTTPS, held to from now on",
    "file": "your file, taken as it is; --sha256 would check it",
}


def official(board: Board, runtime: str) -> Image:
    """Return the official image of a runtime of a board. The board must have the runtime."""
    listing = _listing()
    site = listing[runtime]
    name = board.runtimes[runtime].image
    words = {"image": name, "suffix": SUFFIXES[board.flash.method], "page": name.partition("-")[0]}
    words["file"] = site["file"].format(**words)
    known = listing["files"].get(words["file"], {})
    return Image(
        words["file"],
        site["url"].format(**words),
        site["page"].format(**words),
        site["release"],
        known.get("bytes"),
        known.get("sha256"),
    )


def folder() -> Path:
    """Return the folder of downloaded images: fedmote/images below the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fedmote" / "images"


def fetch(image: Image, sha256: str | None, progress: Progress) -> Fetched:
    """Return the image from the cache, or download it there.

    sha256: what the user demands, or None. Raises FedmoteError where it cannot be
    downloaded or is not what it should be; such a file is never kept.
    """
    if sha256 and image.sha256 and sha256 != image.sha256:
        raise FedmoteError(
            f"--sha256 is {sha256}, but fedmote knows {image.file} as {image.sha256}: leave --sha256 out, or "
            "name your own file with --firmware"
        )
    recorded = _recorded(image.place)
    wanted = sha256 or image.sha256 or recorded
    trust = "given" if sha256 else "known" if image.sha256 else "recorded" if recorded else "first"
    found = digest(image.place) if image.place.is_file() else None
    if found is None or wanted not in (None, found):
        found = _download(image, wanted, progress)
    _record(image.place, found)
    return Fetched(image.place, found, trust)


def check(path: Path, sha256: str | None) -> Fetched:
    """Return a file of the user's; raises FedmoteError where it is missing or has another SHA-256."""
    try:
        found = digest(path)
    except OSError as error:
        raise FedmoteError(f"cannot read the image {path}: {error.strerror}") from None
    if sha256 not in (None, found):
        raise FedmoteError(f"{path} has SHA-256 {found}, not {sha256}: download it again")
    return Fetched(path, found, "given" if sha256 else "file")


def digest(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in lower-case hexadecimal digits."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


@cache
def _listing() -> dict[str, Any]:
    return tomllib.loads(_LISTING.read_text(encoding="utf-8"))


def _record_of(place: Path) -> Path:
    return place.with_name(place.name + ".sha256")


def _recorded(place: Path) -> str | None:
    """Return the SHA-256 of the first download, kept as sha256sum writes it."""
    try:
        word = _record_of(place).read_text(encoding="utf-8").partition(" ")[0]
    except (OSError, UnicodeDecodeError):
        return None
    return word if is_sha256(word) else None


def _record(place: Path, sha256: str) -> None:
    if _recorded(place) != sha256:
        draft = place.with_name(f".{place.name}.{os.getpid()}.sha256")
        draft.write_text(f"{sha256}  {place.name}\n", encoding="utf-8")
        draft.replace(_record_of(place))


def _download(image: Image, wanted: str | None, progress: Progress) -> str:
    """Download an image to its place, all or nothing, and return its SHA-256."""
    try:
        image.place.parent.mkdir(parents=True, exist_ok=True)
        draft = tempfile.NamedTemporaryFile(dir=image.place.parent, prefix=".", delete=False)  # noqa: SIM115
    except OSError as error:
        raise FedmoteError(f"cannot write {image.place.parent}: {error.strerror}") from None
    try:
        with draft:
            found = _receive(image, draft, progress)
        if wanted not in (None, found):
            raise FedmoteError(
                f"{image.url} has SHA-256 {found}, not {wanted}: not the file it should be, not kept"
            )
        os.replace(draft.name, image.place)
    finally:
        Path(draft.name).unlink(missing_ok=True)
    return found


def _receive(image: Image, file: Any, progress: Progress) -> str:
    request = urllib.request.Request(image.url, headers={"User-Agent": f"fedmote/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            if urlsplit(response.url).scheme != urlsplit(image.url).scheme:
                raise FedmoteError(f"{image.url} leads to {response.url}: not followed")
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else image.size
            if image.size not in (None, total):
                raise FedmoteError(f"{image.url} has {total} bytes, not {image.size}: not downloaded")
            count, found = _copy(response, file, total, progress)
    except urllib.error.HTTPError as error:
        raise FedmoteError(f"{image.url}: {error.code} {error.reason}. {_by_hand(image)}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FedmoteError(f"cannot download {image.file}: {reason}. {_by_hand(image)}") from None
    if total is not None and count != total:
        raise FedmoteError(f"{image.url}: the download ended after {count} of {total} bytes: try again")
    return found


def _copy(source: BinaryIO, file: Any, total: int | None, progress: Progress) -> tuple[int, str]:
    hashing = hashlib.sha256()
    count = 0
    while piece := source.read(_PIECE):
        count += len(piece)
        if count > _LARGEST:
            raise FedmoteError(f"more than {_LARGEST} bytes arrived, which no image has: not kept")
        hashing.update(piece)
        file.write(piece)
        progress(count, total)
    return count, hashing.hexdigest()


def _by_hand(image: Image) -> str:
    return (
        f"Where there is Internet, download\n  {image.url}\n"
        f"(or choose a release on {image.page}), then put it here as\n  {image.place}\n"
        "or anywhere, and name it with --firmware FILE"
    )
