"""Files that only their owner may read, and a warning about those that others can. What is in them is not its
matter."""

import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write(path: Path, content: bytes) -> bool:
    """Write a file of mode 0600 that is complete or not there; return whether it changed. Raises OSError."""
    if path.exists() and path.read_bytes() == content and not path.stat().st_mode & _OTHERS:
        return False
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
    return True


def warn_of_readers(path: Path) -> None:
    """Log a warning where others than the owner can get at a file that holds keys."""
    if path.stat().st_mode & _OTHERS and path.resolve().parent.stat().st_mode & _OTHERS:
        logger.warning("others can read the keys in %s: chmod 600 %s", path, path)
