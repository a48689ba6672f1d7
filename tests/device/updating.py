"""For the tests of updates over the air: a drive in memory that remembers every state in which a power cut
could leave it, a broker in a dict, and a board between the two."""

import gc
import json
import os
import sys

from mote import port, staging, update, wire

sys.path.append((__file__.rpartition("/")[0] or ".") + "/../../firmware")

import starter  # noqa: E402

sys.path.pop()  # or CPython takes the folder firmware/micropython for the module

KEY = bytes(range(32))
FEDERATION, DEVICE = "ward", "board-1"
OFFER = "fedmote/ward/offer/board-1"

#: what a release never touches
FIXED = {"main.py": b"main", "starter.py": b"starter", "settings.toml": b"KEY", "recording.rec": b"rec"}
#: the board's own version: a file to be replaced, one to stay, two to go, one of another library
OLD = {
    "node.py": b"old node",
    "lib/mote/stays.py": b"stays",
    "lib/mote/gone.py": b"gone",
    "lib/mote/part/gone.py": b"gone as well",
    "lib/other/own.py": b"own",
}
#: the release: one replaced, one the same, two added, one of them in a new folder, one empty
NEW = {
    "lib/mote/added/one.py": b"one more",
    "lib/mote/stays.py": b"stays",
    "lib/mote/zero.py": b"",
    "model.mote": b"model",
    "node.py": b"new node, longer",
}
AFTER = dict(NEW)
AFTER["lib/other/own.py"] = b"own"


class Drive:
    """A drive in memory with what starter.py and staging.py need of ``os`` and ``open``.

    through: whether a write is there at once and a file that is opened for writing is empty at once (as on
    FAT), or only when the file is flushed or closed (as on littlefs). torn(length): after how many bytes a
    power cut may end a write. ``states``: the states in which a cut would have left it since the start.
    """

    def __init__(self, state, through=False, torn=None, free=1 << 20):
        files, folders = state
        self.files, self.folders = dict(files), set(folders)
        self.free = free
        self.through, self.torn = through, torn
        self.states = []

    def state(self):
        return tuple(sorted(self.files.items())), tuple(sorted(self.folders))

    def changes(self):
        """To be called before every change."""
        if self.torn is not None:
            self.states.append(self.state())

    def open(self, path, mode="r"):
        return File(self, path, mode)

    def stat(self, path):
        path = path.rstrip("/")
        if path in self.files:
            return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]))
        if path in self.folders:
            return (0x4000, 0, 0, 0, 0, 0, 0)
        raise OSError(2)

    def statvfs(self, path):
        return (16, 16, 0, (self.free - sum(len(content) for content in self.files.values())) // 16)

    def listdir(self, path):
        self.stat(path)
        start = path + "/"
        names = [
            name[len(start) :] for name in list(self.files) + list(self.folders) if name.startswith(start)
        ]
        return [name for name in names if "/" not in name]

    def mkdir(self, path):
        if path in self.files or path in self.folders or self._parent_missing(path):
            raise OSError(17)
        self.changes()
        self.folders.add(path)

    def rmdir(self, path):
        if path not in self.folders or self.listdir(path):
            raise OSError(39)
        self.changes()
        self.folders.remove(path)

    def remove(self, path):
        if path not in self.files:
            raise OSError(2)
        self.changes()
        del self.files[path]

    def put(self, path, content):
        if len(content) > len(self.files.get(path, b"")):
            if sum(len(other) for other in self.files.values()) + len(content) > self.free:
                raise OSError(28)
        self.changes()
        self.files[path] = content

    def _parent_missing(self, path):
        return "/" in path and path.rsplit("/", 1)[0] not in self.folders


class File:
    """An open file of a Drive."""

    def __init__(self, drive, path, mode):
        self._drive, self._path, self._mode, self._at = drive, path, mode, 0
        if "r" in mode:
            if path not in drive.files:
                raise OSError(2)
            self._content = drive.files[path]
            return
        if path in drive.folders or drive._parent_missing(path):
            raise OSError(2)
        self._content = drive.files.get(path, b"") if "a" in mode else b""
        if path not in drive.files or (drive.through and self._content != drive.files[path]):
            drive.put(path, b"")

    def write(self, data):
        data = data.encode() if isinstance(data, str) else bytes(data)
        drive, content = self._drive, self._content
        before, behind = content, b""
        if "+" in self._mode:
            before, behind = content[: self._at], content[self._at :]
            self._at += len(data)
        if drive.through:
            for length in drive.torn(len(data)) if drive.torn else ():
                drive.changes()
                drive.files[self._path] = before + data[:length] + behind[length:]
            drive.put(self._path, before + data + behind[len(data) :])
        self._content = before + data + behind[len(data) :]

    def flush(self):
        if self._mode != "r" and self._mode != "rb" and self._drive.files.get(self._path) != self._content:
            self._drive.put(self._path, self._content)

    def close(self):
        self.flush()

    def seek(self, offset):
        self._at = offset

    def tell(self):
        return self._at if "r" in self._mode else len(self._content)

    def read(self, count=-1):
        end = len(self._content) if count < 0 else self._at + count
        data, self._at = self._content[self._at : end], min(end, len(self._content))
        return data

    def readinto(self, buffer):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, count=-1):
        end = self._content.find(b"\n", self._at) + 1 or len(self._content)
        return self.read(end - self._at if count < 0 else min(count, end - self._at))

    def __iter__(self):
        while True:
            line = self.readline()
            if not line:
                return
            yield line if "b" in self._mode else line.decode()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.flush()


class Inserted:
    """A context in which starter.py and staging.py work on a Drive, and no garbage is collected: with the
    heap of a test runner that would take longer than all the rest."""

    def __init__(self, drive):
        self._drive = drive

    def __enter__(self):
        for module in (starter, staging):
            module.os, module.open = self._drive, self._drive.open
        update.gc = self
        return self._drive

    def __exit__(self, *error):
        for module in (starter, staging):
            module.os, module.open = os, open
        update.gc = gc

    def collect(self):
        pass


def fresh(files=OLD):
    """Return the state of a drive with these files and the fixed ones."""
    content = dict(FIXED)
    content.update(files)
    folders = set()
    for path in content:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folders.add("/".join(parts[:depth]))
    return tuple(sorted(content.items())), tuple(sorted(folders))


def version_of(drive):
    """Return "old" or "new" where the board's files are wholly that, else a description of the mixture."""
    live = {path: content for path, content in drive.files.items() if not path.startswith("ota/")}
    for name, files in (("old", OLD), ("new", AFTER)):
        expected, folders = (dict(part) if n == 0 else part for n, part in enumerate(fresh(files)))
        own = tuple(sorted(folder for folder in drive.folders if not folder.startswith("ota")))
        if live == expected and own == folders:
            return name
    return "neither: %s %s" % (sorted(live.items()), sorted(drive.folders))


class Release:
    """A release, made by hand. head: the first line of its manifest."""

    def __init__(self, files=NEW, head=None, lines=None):
        if head is None:
            head = "fedmote-release 1 %s - tests 1" % port.runtime().split(" ")[0]
        if lines is None:
            lines = ["%s %d %s" % (_sha256(files[path]), len(files[path]), path) for path in sorted(files)]
        self.manifest = ("\n".join([head] + lines) + "\n").encode()
        self.body = self.manifest + b"".join(files[path] for path in sorted(files))
        self.id = _sha256(self.body)[:12]

    def offer(self, counter=1, key=KEY, device=DEVICE, changes=None):
        """Return the payload of an offer, sealed. changes: of what is in it."""
        fields = {
            "release": self.id, "bytes": len(self.body), "manifest": len(self.manifest),
            "sha256": _sha256(self.manifest), "counter": counter,
        }  # fmt: skip
        fields.update(changes or {})
        return wire.seal(key, wire.OFFER_SEAL, FEDERATION, device, json.dumps(fields).encode())

    def chunks(self):
        """Return topic -> payload of all chunks."""
        out = {}
        for index in range(wire.piece_count(len(self.body))):
            piece = self.body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
            message = bytearray(wire.HEADER_BYTES) + piece
            wire.write_header(
                message, len(piece), wire.RELEASE, int(self.id[:8], 16), 0, index, len(self.body)
            )
            out["fedmote/ward/release/%s/%d" % (self.id, index)] = bytes(message)
        return out

    def retained(self, counter=1):
        """Return what a broker keeps of it: topic -> payload."""
        messages = self.chunks()
        messages[OFFER] = self.offer(counter)
        return messages


class Board:
    """A board from one start to the next. retained: the broker's messages, topic -> payload. root: of its
    files."""

    def __init__(self, retained, root=""):
        self.retained = retained
        self.journal = starter.Journal(root)
        self.journal.recover()
        self.updater = update.Updater(FEDERATION, DEVICE, KEY, self.journal)
        self.now = 0
        self.fetched = []
        self._topics = ()

    def turn(self):
        """One turn of the loop. Return whether anything may come of another one."""
        busy = self.updater.step(self.now)
        before, self._topics = self._topics, (self.updater.offer_topic, self.updater.chunk_topic)
        came = False
        for topic in self._topics:
            if topic not in before and topic in self.retained:
                if topic != OFFER:
                    self.fetched.append(int(topic.rsplit("/", 1)[1]))
                self.updater.received(topic, self.retained[topic], self.now)
                came = True
        return busy or came

    def run(self):
        """Go on until there is nothing to do."""
        while self.turn() or self.updater.step(self.now):
            pass


def _sha256(data):
    digest = port.sha256()
    digest.update(data)
    return "".join("%02x" % byte for byte in digest.digest())
