"""The settings.toml of a board: what stands there stays, what is given is changed. It copies nothing."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fedmote.boards.image import settings_text
from fedmote.errors import FedmoteError
from mote import settings as settings_file

Value = str | int | float | bool
Settings = Mapping[str, Value]

_KEY = re.compile(r"[A-Z][A-Z0-9_]*")


def read(text: str, where: str) -> dict[str, Value]:
    """Return the settings of a text. Raises FedmoteError with the line where a board could not read it."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            found: dict[str, Value] = settings_file.read(file.name)
        except ValueError as error:
            raise FedmoteError(f"{where}: {str(error).replace(file.name, 'settings.toml')}") from None
    return found


def merged(text: str, values: Mapping[str, Value | None]) -> str:
    """Return the text with these values: its other lines stay as they are; None removes a key."""
    lines = []
    missing = dict(values)
    for line in text.splitlines():
        key = line.partition("=")[0].strip()
        if key not in values:
            lines.append(line + "\n")
        elif (value := missing.pop(key, None)) is not None:
            lines.append(settings_text({key: value}))
    rest = {key: value for key, value in missing.items() if value is not None}
    return "".join(lines) + settings_text(rest)


def parse(assignments: list[str]) -> dict[str, Value | None]:
    """Return the values of texts such as ``RATE_HZ=50``; an empty value is None. Raises FedmoteError."""
    values: dict[str, Value | None] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not _KEY.fullmatch(key):
            raise FedmoteError(
                f"--set {assignment!r}: expected KEY=VALUE, as keys of settings.toml are written"
            )
        values[key] = _value(text.strip()) if text.strip() else None
    return values


def wifi_of(path: Path) -> dict[str, Value | None]:
    """Return name and password of a Wi-Fi from a file of lines as in settings.toml. Raises FedmoteError."""
    try:
        found = read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FedmoteError(f"{path}: {error}") from None
    if SSID not in found:
        raise FedmoteError(f'{path} has no {SSID}: expected lines {SSID} = "..." and {PASSWORD} = "..."')
    return {SSID: found[SSID], PASSWORD: found.get(PASSWORD, "")}


SSID, PASSWORD = "CIRCUITPY_WIFI_SSID", "CIRCUITPY_WIFI_PASSWORD"


def _value(text: str) -> Value:
    """Read a value as settings.toml has it; what is no number, true or false is a text, quoted or not."""
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return text[1:-1]
    try:
        return next(iter(read(f"VALUE = {text}", "").values()))
    except FedmoteError:
        return text
