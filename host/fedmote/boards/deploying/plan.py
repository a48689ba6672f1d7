"""Compares what a board holds with what it is to hold, and says what to do. It changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fedmote.boards.deploying.contents import MANIFEST, SETTINGS, Contents, manifest, owned
from fedmote.boards.deploying.target import DRAFT, Room, Target, differing, parents
from fedmote.errors import FedmoteError

#: in this order, after everything else: what starts a board comes when all is there that it starts
LAST = ("starter.mpy", "starter.py", "safemode.py", "boot.py", "code.py", "main.py")

#: what is added to the name of a program that was there before, when ours takes its place
ASIDE = ".before"

_SPARE_BLOCKS = 4
_FOLDER_BLOCKS = 2
_TWINS = {".mpy": ".py", ".py": ".mpy"}


class Change(NamedTuple):
    """A file to be written, and the size of the one that it replaces, None where there is none."""

    path: str
    content: bytes
    replaced_bytes: int | None

    @property
    def waits(self) -> bool:
        """Whether it takes its place only when all others are there; other files are not missed before."""
        return self.replaced_bytes is not None or self.path in LAST


@dataclass(frozen=True)
class Plan:
    """What to do. groups: files that take their places together. first, remove: files of ours that are no
    longer part, which go before and after. unchanged: how many files are right already."""

    groups: tuple[tuple[Change, ...], ...]
    first: tuple[str, ...]
    remove: tuple[str, ...]
    unchanged: int
    room: Room
    manifest: bytes

    @property
    def changes(self) -> Iterator[Change]:
        """All files to be written, in order."""
        for group in self.groups:
            yield from group

    @property
    def obsolete(self) -> list[str]:
        """All files to be removed."""
        return [*self.first, *self.remove]

    @property
    def size(self) -> int:
        """Bytes to be written."""
        return sum(len(change.content) for change in self.changes)


def make(target: Target, contents: Contents, application: str) -> Plan:
    """Return what is to be done. Raises FedmoteError where the file system has no room for it."""
    _, before = owned(target.read(MANIFEST))
    wanted = dict(sorted(contents.files.items(), key=lambda item: (_rank(item[0]), item[0])))
    ours = frozenset(wanted) | contents.kept
    candidates = (before | {twin for path in wanted if (twin := _twin(path))}) - ours - {SETTINGS, MANIFEST}
    asked = [*wanted, *candidates]
    found = target.find([*asked, *(path + DRAFT for path in asked)])
    wrong = differing(found, wanted)
    changes = [
        *_set_aside(target, [path for path in wrong if path in found and path not in before]),
        *(Change(path, wanted[path], found[path].size if path in found else None) for path in wrong),
    ]
    drafts = [path for path in found if path.endswith(DRAFT)]
    stale = [path for path in found if path not in ours and path not in drafts]
    room = target.room()

    def cost(*sizes: int) -> int:
        return sum(-(-size // room.block_bytes) for size in sizes) * room.block_bytes

    folders = set(parents(change.path for change in changes)) - set(parents(found))
    free = room.free_bytes - (_SPARE_BLOCKS + _FOLDER_BLOCKS * len(folders)) * room.block_bytes
    free += cost(*(found[path].size for path in drafts))
    groups: tuple[tuple[Change, ...], ...] = (tuple(changes),) if changes else ()
    first, last = drafts, stale
    if cost(*(len(change.content) for change in changes)) > free:
        groups = tuple((change,) for change in changes)
        first, last = drafts + stale, []
        free += cost(*(found[path].size for path in stale))
        for change in changes:
            left = free - cost(len(change.content))
            if left < 0:
                raise FedmoteError(
                    f"{target.name}: the board's file system is too full: "
                    f"{room.free_bytes / 1000:.0f} kB are free, and for {change.path} "
                    f"{-left / 1000:.0f} kB are missing. Remove files of your own from it; "
                    "nothing was changed"
                )
            free = left + cost(change.replaced_bytes or 0)
    return Plan(
        groups,
        tuple(first),
        tuple(last),
        len(wanted) - len(wrong),
        room,
        manifest(application, ours - {SETTINGS}),
    )


def _rank(path: str) -> int:
    return LAST.index(path) + 1 if path in LAST else 0


def _twin(path: str) -> str | None:
    """Return the file that would be imported in place of this one, or beside it."""
    stem, dot, suffix = path.rpartition(".")
    other = _TWINS.get(dot + suffix)
    return stem + other if other else None


def _set_aside(target: Target, foreign: list[str]) -> list[Change]:
    """Return copies of the programs of somebody else that are about to be replaced, but for those that have
    been set aside before."""
    copies = {path: path + ASIDE for path in foreign if path in LAST}
    there = target.find(copies.values())
    return [
        Change(copy, content, None)
        for path, copy in copies.items()
        if copy not in there and (content := target.read(path)) is not None
    ]
