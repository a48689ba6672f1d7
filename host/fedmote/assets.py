"""Finds the files that travel with fedmote: boards.toml, firmware, models and the device library."""

from pathlib import Path

import mote
from fedmote.errors import FedmoteError

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "assets", _PACKAGE.parent.parent)  # in a wheel; in a checkout


def path(*parts: str) -> Path:
    """Return the path of an asset, such as ``path("firmware", "micropython")``.

    Raises FedmoteError where the asset is missing, which a damaged installation alone can cause.
    """
    root = next((root for root in _ROOTS if (root / "boards.toml").is_file()), None)
    if root is None:
        raise FedmoteError(f"boards.toml is neither in {_ROOTS[0]} nor in {_ROOTS[1]}: install fedmote again")
    found = root.joinpath(*parts)
    if not found.exists():
        raise FedmoteError(f"fedmote's own file {found} is missing: install fedmote again")
    return found


def library() -> Path:
    """Return the folder of the device library, the package ``mote``."""
    return Path(mote.__file__ or "").resolve().parent
