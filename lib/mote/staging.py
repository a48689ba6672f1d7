"""What a release changes on this board: compares its files with those that are there, and stages the others.

It decides nothing and swaps nothing; it knows no transport. docs/ota.md has the form of a release.
"""

import os
from array import array

from . import wire
from .port import arch, crc32, runtime, sha256

MANIFEST_BYTES = 16000
FILES = 250
PATH_CHARACTERS = 100
PATH_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_-./"
#: first names, at the top or in lib, that no release may hold: what starts the board, and what that imports
PROTECTED = (
    "binascii", "boot", "code", "machine", "main", "microcontroller", "os", "ota", "round", "safemode",
    "settings", "starter", "storage", "supervisor", "sys", "time", "traceback", "watchdog", "zlib",
)  # fmt: skip

_LINE_BYTES = 200
_ATTEMPTS = 3
_FLUSH_CHUNKS = 8
_SPARE_BLOCKS = 6


def check_path(path):
    """Raise ValueError where a release may not hold a file of this path, relative to the board's files."""
    if not 0 < len(path) <= PATH_CHARACTERS:
        raise ValueError("a path of %d characters" % len(path))
    for character in path:
        if character not in PATH_ALPHABET:  # upper case too: a FAT drive takes it for lower case
            raise ValueError("path %r has the character %r" % (path, character))
    parts = path.split("/")
    for part in parts:
        if not part or part.endswith("."):
            raise ValueError("path %r is not plain" % path)
    name = parts[1] if parts[0] == "lib" and len(parts) > 1 else parts[0]
    if name.split(".")[0] in PROTECTED or path == "lib":
        raise ValueError("path %r is never part of an update" % path)


class Staging:
    """Stages one release.

    journal: starter.Journal, for its paths. release: id. total: bytes of the body. manifest: bytes of the
    manifest at its beginning, digest: its SHA-256. ``wanted``: index of the chunk that is needed next, or
    None. ``changed``: once the work is done, whether the release differs from what is on the board.
    """

    def __init__(self, journal, release, total, manifest, digest):
        self._journal, self._total, self._manifest, self._digest = journal, total, manifest, digest
        self._number = int(release[:8], 16)
        self._piece = bytearray(wire.PIECE_BYTES)
        self._index = -1  # which chunk that is
        self._length = 0
        self._done = self._needed = 0
        self.wanted = None
        self._planned = self.changed = False

    @property
    def progress(self):
        """How much has been fetched, in chunks; empty until it is known how much is needed."""
        if not self._planned:
            return ""
        return "%d/%d" % (wire.piece_count(self._done), wire.piece_count(self._needed))

    def take(self, chunk):
        """Take a chunk where it is the one that is wanted. chunk: wire.Chunk."""
        if (
            chunk.kind != wire.RELEASE
            or chunk.number != self._number
            or chunk.total != self._total
            or chunk.index != self.wanted
        ):
            return
        self._length = len(chunk.piece)
        self._piece[: self._length] = chunk.piece
        self._index = chunk.index
        self.wanted = None

    def work(self):
        """Return a generator that stages the release in slices: it yields True where it can go on at once,
        False where it waits for a chunk.

        What is staged already is not fetched again. Raises ValueError for a release that cannot be taken,
        OSError where the drive fails.
        """
        if self._manifest > MANIFEST_BYTES:
            raise ValueError("a manifest of %d bytes" % self._manifest)
        journal = self._journal
        self._make_folders()
        yield from self._fetch_manifest()
        paths = yield from self._check()
        yield from self._write_plan(paths)
        paths = None
        self._planned = True
        if not self.changed:
            return
        self._check_room()
        for _ in range(_ATTEMPTS):
            self._done = 0
            for number, _, size, start, _ in self._entries():
                yield from self._fetch(journal.new(number), start, start + size)
            damaged = None
            for number, path, _, _, digest in self._entries():
                if (yield from self._digest_of(journal.new(number))) != digest:
                    os.remove(journal.new(number))
                    damaged = path
            if damaged is None:
                return
        raise ValueError("wrong SHA-256: %s" % damaged)

    def _make_folders(self):
        folder = self._journal.folder
        for path in (folder, folder + "/new"):
            try:
                os.mkdir(path)
            except OSError:
                if _size(path) is None:
                    raise

    def _fetch_manifest(self):
        path = self._journal.manifest_path
        for _ in range(_ATTEMPTS):
            yield from self._fetch(path, 0, self._manifest)
            if (yield from self._digest_of(path)) == _hex(self._digest):
                return
            os.remove(path)
        raise ValueError("wrong SHA-256: the manifest")

    def _fetch(self, path, start, end):
        """Append to a file what it lacks of the body's bytes from start to end."""
        size = _size(path) or 0
        if size > end - start:
            os.remove(path)
            size = 0
        at = start + size
        self._done += size
        with open(path, "ab") as file:
            while at < end:
                index = at // wire.PIECE_BYTES
                if self._index != index:
                    if index % _FLUSH_CHUNKS == 0:
                        file.flush()
                    self.wanted = index
                    while self._index != index:
                        yield False
                offset = at - index * wire.PIECE_BYTES
                count = min(self._length - offset, end - at)
                file.write(memoryview(self._piece)[offset : offset + count])
                at += count
                self._done += count
                yield True

    def _digest_of(self, path):
        """Return the SHA-256 of a file as hexadecimal digits, None where there is no file."""
        if _size(path) is None:
            return None
        digest = sha256()
        self._index = -1  # the buffer is needed
        view = memoryview(self._piece)
        with open(path, "rb") as file:
            while True:
                count = file.readinto(self._piece)
                if not count:
                    return _hex(digest.digest())
                digest.update(view[:count])
                yield True

    def _files(self):
        """Yield (path, bytes, SHA-256 in hexadecimal) of the manifest's lines."""
        with open(self._journal.manifest_path, "rb") as file:
            _check_head(file.readline(_LINE_BYTES))
            while True:
                line = file.readline(_LINE_BYTES)
                if not line:
                    return
                parts = line.decode().split()
                if len(parts) != 3 or len(parts[0]) != 64 or not line.endswith(b"\n"):
                    raise ValueError("a line of the manifest is not understood")
                yield parts[2], int(parts[1]), parts[0]

    def _check(self):
        """Check the whole manifest. Return its paths, as an array of numbers that stand for them."""
        at, before = self._manifest, ""
        paths = array("I")
        for path, size, _ in self._files():
            check_path(path)
            if path <= before or size < 0 or len(paths) == FILES:
                raise ValueError("path %r is out of order, or one too many" % path)
            before = path
            at += size
            paths.append(_mark(path))
            yield True
        if at != self._total:
            raise ValueError("files of %d bytes, the release has %d" % (at - self._manifest, self._total))
        return paths

    def _write_plan(self, paths):
        """Write what starter.py is to do: "-" and a path to be removed; "+", a path to be put, and for us its
        bytes, where they start in the body, and their SHA-256."""
        root = self._journal.root
        with open(self._journal.plan_path, "w") as plan:
            for path in self._obsolete(paths):
                if path is not None:
                    plan.write("- %s\n" % path)
                    self.changed = True
                yield True
            at = self._manifest
            for path, size, digest in self._files():
                if _size(root + path) != size or (yield from self._digest_of(root + path)) != digest:
                    plan.write("+ %s %d %d %s\n" % (path, size, at, digest))
                    self._needed += size
                    self.changed = True
                at += size
                yield True

    def _obsolete(self, paths):
        """Yield the path of each file that the release replaces by nothing, and None in between: what else
        there is in the folders of lib that it has files in, and the other form of a module (.py, .mpy)."""
        root = self._journal.root
        owned = ""
        for path, _, _ in self._files():
            yield None
            parts = path.split("/")
            if parts[0] == "lib" and len(parts) > 2:
                folder = parts[0] + "/" + parts[1]
                if folder != owned:
                    owned = folder
                    for other in _walk(root, folder):
                        yield None if " " in other or _among(paths, other) else other
                continue
            stem, _, suffix = path.rpartition(".")
            other = stem + (".mpy" if suffix == "py" else ".py")
            if suffix in ("py", "mpy") and _size(root + other) is not None and not _among(paths, other):
                yield other

    def _entries(self):
        """Yield (number, path, bytes, start in the body, SHA-256) of what is to be put, as planned."""
        with open(self._journal.plan_path) as plan:
            for number, line in enumerate(plan):
                parts = line.split()
                if parts[0] == "+":
                    yield number, parts[1], int(parts[2]), int(parts[3]), parts[4]

    def _check_room(self):
        """Demand room for the new files, staged and in place, and for the old ones kept meanwhile."""
        journal = self._journal
        info = os.statvfs(journal.root or "/")
        block, free = info[1], info[3]
        needed, largest = 0, 0
        with open(journal.plan_path) as plan:
            for number, line in enumerate(plan):
                parts = line.split()
                old = _blocks(_size(journal.root + parts[1]), block)
                needed += old
                if parts[0] == "+":
                    new = _blocks(int(parts[2]), block)
                    needed += new - _blocks(_size(journal.new(number)), block) + max(0, new - old)
                    largest = max(largest, new)
        needed += largest + _SPARE_BLOCKS
        if needed > free:
            raise ValueError("%d kB free, %d needed" % (free * block // 1000, needed * block // 1000))


def _check_head(line):
    """Demand the first line of a manifest that this board can run."""
    parts = line.decode().split()
    if len(parts) < 4 or parts[:2] != ["fedmote-release", "1"]:
        raise ValueError("a manifest of an unknown form")
    own, native = runtime().split(" ")[0], arch()
    if parts[2] != own:
        raise ValueError("made for %s, this board runs %s" % (parts[2], own))
    if parts[3] not in ("-", native):
        raise ValueError("made for %s, this board is %s" % (parts[3], native))


def _walk(root, folder):
    """Yield the paths, relative to ``root``, of all files below a folder, where there is one."""
    if _size(root + folder) is None:
        return
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        for name in sorted(os.listdir(root + folder)):
            path = folder + "/" + name
            if os.stat(root + path)[0] & 0x4000:
                waiting.append(path)
            else:
                yield path


def _mark(path):
    return crc32(path.encode()) & 0x3FFFFFFF  # a small integer on every board


def _among(paths, path):
    mark = _mark(path)
    for other in paths:
        if other == mark:
            return True
    return False


def _size(path):
    """Return the bytes of a file, None where there is nothing."""
    try:
        return os.stat(path)[6]
    except OSError:
        return None


def _blocks(size, block):
    return 0 if size is None else 1 + (size + block - 1) // block


def _hex(digest):
    return "".join("%02x" % byte for byte in digest)
