"""Ends an update over the air that a board is in the middle of: what is deployed takes its place."""

import importlib.util
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from fedmote import assets
from fedmote.boards.deploying.target import DRAFT, Target

_JOURNALS = ("ota/journal.0", "ota/journal.1")


def end(target: Target) -> None:
    """Let the board's journal say that no update is under way and that no release is installed.

    The counter of offers stays, so that no old offer is taken again. A release on trial has a watchdog, which
    would bite while files are copied: such a board is started once more before.
    """
    contents = {path: target.read(path) for path in _JOURNALS}
    if not any(contents.values()):
        return
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "ota").mkdir()
        for path, content in contents.items():
            if content is not None:
                (root / path).write_bytes(content)
        journal = _starter().Journal(f"{folder}/")
        state = journal.state
        if state == journal.NONE and journal.installed == "-":
            return
        journal.save(journal.NONE, release="-", installed="-", starts=0)
        for path in _JOURNALS:
            written = (root / path).read_bytes() if (root / path).exists() else None
            if written is not None and written != contents[path]:
                target.write(path + DRAFT, written, lambda count: None)
                target.accept([path])
    if state == journal.TRIAL:
        target.retake()


@cache
def _starter() -> ModuleType:
    """Return the module that owns the journal's form."""
    path = assets.path("firmware", "starter.py")
    spec = importlib.util.spec_from_file_location("fedmote_starter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
