"""Settings of many devices as a folder with one settings.toml for each: writes it, and reads keys back. It
opens no store."""

from collections.abc import Mapping
from pathlib import Path

from fedmote.boards.image import settings_text
from fedmote.errors import FedmoteError
from fedmote.federation import private
from mote import settings as settings_file
from mote import wire

FILE = "settings.toml"

_DIGITS = 3  # kitchen-001: a fleet that grows keeps its names
_MOST = 10_000

Settings = Mapping[str, str | int | float | bool]


def names_of(prefix: str, count: int) -> list[str]:
    """Return the ids of a fleet: prefix-001 and so on. Raises FedmoteError where they cannot be ids."""
    if not 1 <= count <= _MOST:
        raise FedmoteError(f"--count {count}: 1 to {_MOST} devices at a time")
    names = [f"{prefix}-{number:0{_DIGITS}}" for number in range(1, count + 1)]
    if not wire.valid_name(names[-1]):
        raise FedmoteError(
            f"--prefix {prefix!r} makes ids such as {names[-1]!r}: they have 1 to 32 characters of "
            "a-z, 0-9, - and _"
        )
    return names


def export(folder: Path, fleet: Mapping[str, Settings], files: Mapping[str, bytes] | None = None) -> int:
    """Write folder/<device>/settings.toml for each, for the owner alone to read; return how many are new.
    files: what else every device has, name -> content.

    A file that says the same already is left as it is, with what else stands in it (a Wi-Fi). Raises
    FedmoteError where one says something else, before any is written, and where one cannot be written.
    """
    missing = {}
    for device, settings in fleet.items():
        path = folder / device / FILE
        if not path.exists():
            missing[path] = settings_text(settings)
            continue
        there = _read(path)
        different = [key for key, value in settings.items() if there.get(key) != value]
        if different:
            raise FedmoteError(
                f"{path} is there already with another {', '.join(different)}: remove it, "
                "or export to another folder"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, text in missing.items():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            private.write(path, text.encode())
        for device in fleet:
            for name, content in (files or {}).items():
                private.write(folder / device / name, content)
    except OSError as error:
        raise FedmoteError(f"cannot export to {folder}: {error}") from None
    return len(missing)


def keys_in(folder: Path, federation: str) -> dict[str, bytes]:
    """Return the key of each device that has its settings.toml in the folder, or one below it.

    Raises FedmoteError, which shows no key, for a file that cannot be read or belongs to another federation.
    """
    paths = sorted((*folder.glob(FILE), *folder.glob(f"*/{FILE}")))
    if not paths:
        raise FedmoteError(f"{folder} holds no {FILE}: name a folder that fedmote provision --export wrote")
    keys: dict[str, bytes] = {}
    for path in paths:
        settings = _read(path)
        if settings.get("FEDERATION") != federation:
            raise FedmoteError(
                f"{path} belongs to the federation {settings.get('FEDERATION')!r}, not {federation!r}: "
                "name it with --federation"
            )
        device, key = settings.get("DEVICE"), _key(settings.get("KEY"))
        if not isinstance(device, str) or not wire.valid_name(device) or key is None:
            raise FedmoteError(f"{path} has no DEVICE and KEY as fedmote provision writes them")
        if keys.setdefault(device, key) != key:
            raise FedmoteError(
                f"{path} gives the device {device!r} another key than another file in {folder}"
            )
    return keys


def _key(text: object) -> bytes | None:
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    return key if len(key) == wire.KEY_BYTES else None


def _read(path: Path) -> dict[str, str | int | float | bool]:
    try:
        return dict(settings_file.read(str(path)))
    except OSError as error:
        raise FedmoteError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # its message has the line, which may be the key's
        raise FedmoteError(
            f"{path} is no settings.toml that a board could read: see docs/settings.md"
        ) from None
