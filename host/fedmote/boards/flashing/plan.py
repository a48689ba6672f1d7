"""What flashing a board takes, as a list of steps: the same list is printed by a dry run and carried out by a
real one. What the steps do is in the other modules of this package."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fedmote.boards import images
from fedmote.boards.catalogue import Board
from fedmote.boards.flashing.contents import Contents
from fedmote.boards.repl import Identity
from fedmote.errors import FedmoteError

SCHEMA = 1  # of Plan.as_json; a change that breaks scripts raises it


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the user wants. port: serial port or boot drive, or None to look for it; firmware: an image of the
    user's own, or None for the official one; sha256: what the image must have."""

    board: Board
    runtime: str
    port: str | None = None
    firmware: Path | None = None
    sha256: str | None = None
    erase: bool = False
    baud: int = 460_800


class Watcher(Protocol):
    """Who is told how it goes."""

    def begins(self, step: "Step") -> None:
        """A step begins."""

    def progress(self, done: int, total: int | None) -> None:
        """Bytes done in this step, of how many; total is None where unknown."""

    def note(self, text: str) -> None:
        """Something found out that a person should know."""


@dataclass
class Job:
    """A plan under way: the order, and what the steps so far have found out for those to come."""

    order: Order
    watcher: Watcher
    resources: ExitStack
    target: str = ""  # the serial port or boot drive, for people
    port: str | None = None  # the serial port, where there is one
    drive: Path | None = None  # the boot drive, where there is one
    data: bytes = b""  # the image
    file: str = ""  # its name
    contents: Contents | None = None
    loader: Any = None  # esptool's connection
    others: frozenset[tuple[str, str]] = (
        frozenset()
    )  # ports of other boards, so that ours is known when it returns
    identity: Identity | None = None


@dataclass(frozen=True)
class Step:
    """action: its name for scripts; text: what it does, for people. changes_board: the board is as it was
    until the first of these begins."""

    action: str
    text: str
    run: Callable[[Job], None]
    changes_board: bool = False


@dataclass(frozen=True)
class Plan:
    """Steps that carry out an order, and the image that they take."""

    order: Order
    image: images.Image
    steps: tuple[Step, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the plan for scripts; the keys are promised in docs/flash.md."""
        own = self.order.firmware
        place = own or self.image.place
        return {
            "schema": SCHEMA,
            "board": self.order.board.name,
            "runtime": self.order.runtime,
            "method": self.order.board.flash.method,
            "port": self.order.port,
            "image": {
                "file": place.name,
                "path": str(place),
                "present": place.is_file(),
                "url": None if own else self.image.url,
                "release": None if own else self.image.release,
                "bytes": None if own else self.image.size,
                "sha256": self.order.sha256 or (None if own else self.image.sha256),
            },
            "steps": [
                {"action": step.action, "text": step.text, "changes_board": step.changes_board}
                for step in self.steps
            ],
        }

    def run(self, watcher: Watcher, confirm: Callable[[str], bool]) -> Job:
        """Carry the steps out, and return what they found out.

        confirm: asked once, with a question, before the board is changed. Raises
        FedmoteError where a step fails or the answer is no.
        """
        with ExitStack() as resources:
            job = Job(self.order, watcher, resources)
            asked = False
            for step in self.steps:
                if step.changes_board and not asked:
                    if not confirm(question(job)):
                        raise FedmoteError("nothing was done to the board")
                    asked = True
                watcher.begins(step)
                step.run(job)
        return job


def question(job: Job) -> str:
    """Return what the user is asked before the board is changed."""
    lost = "all that is in its flash is erased" if job.order.erase else "the interpreter on it is replaced"
    return f"Write {job.file} to {job.order.board.title} at {job.target}? What it runs is stopped and {lost}."
