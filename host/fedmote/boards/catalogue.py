"""Reads and checks boards.toml: what every supported board is. It opens no port and changes no board."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fedmote import assets
from fedmote.errors import FedmoteError
from mote.kernels import KERNELS

RUNTIMES = ("micropython", "circuitpython")
# What each way of flashing needs beyond its name: keys of the table flash, keys of every runtime.
METHODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "uf2": (("family", "drive"), ()),
    "esptool": ((), ("offset",)),
    "none": ((), ()),
}


class Kind(NamedTuple):
    """A kind of value: its name in messages and documentation, and whether a value is of it."""

    name: str
    accepts: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != ""


def _one_of(*words: str) -> Kind:
    return Kind("one of " + ", ".join(words), lambda value: value in words)


def _list_of(*words: str) -> Kind:
    return Kind(
        "a list of " + ", ".join(words),
        lambda value: isinstance(value, list) and all(item in words for item in value),
    )


_TEXT = Kind("a text", _is_text)
_COUNT = Kind("a whole number, at least 0", _whole)
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))
_TABLE = Kind("a table", lambda value: isinstance(value, dict))
_PINS = Kind(
    "a table of GPIO numbers", lambda value: isinstance(value, dict) and all(map(_whole, value.values()))
)
_USB_IDS = Kind(
    'a list of "vendor:product", 4 hexadecimal digits each',
    lambda value: (
        isinstance(value, list)
        and all(isinstance(item, str) and re.fullmatch("[0-9a-f]{4}:[0-9a-f]{4}", item) for item in value)
    ),
)


def _key(meaning: str, kind: Kind) -> dict[str, Any]:
    return {"meaning": meaning, "kind": kind}


@dataclass(frozen=True, kw_only=True)
class Flash:
    """How an interpreter gets onto the board."""

    method: str = field(metadata=_key("how to write an image", _one_of(*METHODS)))
    family: int | None = field(metadata=_key("UF2 family id", _COUNT), default=None)
    drive: str | None = field(metadata=_key("label of the boot drive", _TEXT), default=None)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """An interpreter on a board."""

    image: str = field(metadata=_key("the image's name on the project's download site", _TEXT))
    kernels: tuple[str, ...] = field(
        metadata=_key(
            "kernels in order of preference; the first that the interpreter offers is used",
            _list_of(*KERNELS),
        )
    )
    offset: int | None = field(metadata=_key("where in flash esptool writes the image", _COUNT), default=None)
    heap_bytes: int | None = field(
        metadata=_key("free heap after start-up; none: unknown", _COUNT), default=None
    )
    heap_measured: bool = field(
        metadata=_key("heap_bytes is our measurement, not a typical value", _FLAG), default=False
    )


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board of boards.toml. ``runtimes`` maps a name of RUNTIMES to what the board offers of it."""

    name: str
    title: str = field(metadata=_key("what it is sold as", _TEXT))
    chip: str = field(
        metadata=_key(
            "microcontroller",
            _one_of("rp2040", "rp2350", "esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6", "host"),
        )
    )
    arch: str = field(
        metadata=_key(
            "native architecture, as in mpy-cross -march",
            _one_of("armv6m", "armv7emsp", "xtensawin", "rv32imc", "x64"),
        )
    )
    cores: int = field(metadata=_key("processor cores", _COUNT))
    fpu: bool = field(metadata=_key("computes float32 in hardware", _FLAG))
    flash_bytes: int = field(metadata=_key("flash memory", _COUNT))
    ram_bytes: int = field(metadata=_key("RAM on the chip", _COUNT))
    psram_bytes: int = field(metadata=_key("RAM beside the chip", _COUNT), default=0)
    wireless: tuple[str, ...] = field(metadata=_key("radios", _list_of("wifi", "ble", "802.15.4")))
    sensors: tuple[str, ...] = field(
        metadata=_key(
            "what is on the board itself",
            _list_of("imu", "microphone", "camera", "temperature", "battery", "replay"),
        )
    )
    usb: tuple[str, ...] = field(
        metadata=_key("USB ids under which it shows up with a runtime or its serial bridge", _USB_IDS)
    )
    flash: Flash = field(metadata=_key("how an image is written", _TABLE))
    pins: dict[str, int] = field(metadata=_key("default pins", _PINS), default_factory=dict)
    runtimes: dict[str, Runtime] = field(default_factory=dict)


@cache
def load(path: Path | None = None) -> dict[str, Board]:
    """Return every board of a boards.toml (default: fedmote's own) by name, in the order of the file.

    Raises FedmoteError with file, line, board, key and value where the file does not fit the schema.
    """
    path = path or assets.path("boards.toml")
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, ValueError) as error:  # not there, not UTF-8, not TOML
        raise FedmoteError(f"{path}: {error}") from None
    source = _Source(path, text)
    return {name: _board(name, table, source) for name, table in tables.items()}


def find(name: str) -> Board:
    """Return the board called ``name``; raises FedmoteError, with the closest names, if there is none."""
    boards = load()
    if name in boards:
        return boards[name]
    close = get_close_matches(name, boards, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`fedmote boards` lists all"
    raise FedmoteError(f"no board is called {name!r}: {hint}")


def by_usb(vendor: int, product: int) -> list[Board]:
    """Return the boards that show up on USB as vendor:product; several share one id."""
    return [board for board in load().values() if f"{vendor:04x}:{product:04x}" in board.usb]


class _Source:
    """A file and where its keys are, for messages. An inline table's keys count as on the table's line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines: dict[tuple[str, ...], int] = {}
        section: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*\[([\w.\-\"' ]+)\]", line):
                section = _words(header[1])
                self.lines.setdefault(section, number)
            elif assignment := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
                self.lines.setdefault(section + _words(assignment[1]), number)

    def error(self, keys: tuple[str, ...], problem: str) -> FedmoteError:
        near = next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), None)
        line = f", line {self.lines[near]}" if near else ""
        return FedmoteError(f"{self.path}{line}: board {keys[0]}: {problem}")


def _words(dotted: str) -> tuple[str, ...]:
    return tuple(word.strip(" \"'") for word in dotted.split("."))


def _board(name: str, table: Any, source: _Source) -> Board:
    if not isinstance(table, dict):
        raise source.error((name,), f"{name} = {table!r} must be a table, [{name}]")
    own = {key: value for key, value in table.items() if key not in RUNTIMES}
    values = _checked(Board, (name,), own, source, more=RUNTIMES)
    flash = Flash(**_checked(Flash, (name, "flash"), values.pop("flash"), source))
    runtimes = {
        runtime: Runtime(**_checked(Runtime, (name, runtime), table[runtime], source))
        for runtime in RUNTIMES
        if runtime in table
    }
    if not runtimes:
        raise source.error((name,), f"needs a table {' or '.join(RUNTIMES)}")
    _check_method(flash, runtimes, (name,), source)
    return Board(name=name, flash=flash, runtimes=runtimes, **values)


def _check_method(flash: Flash, runtimes: dict[str, Runtime], keys: tuple[str, ...], source: _Source) -> None:
    of_flash, of_runtime = METHODS[flash.method]
    tables = [("flash", flash, of_flash), *((name, table, of_runtime) for name, table in runtimes.items())]
    for name, table, needed in tables:
        for key in needed:
            if getattr(table, key) is None:
                raise source.error((*keys, name), f"key {name}.{key} is missing: {flash.method} needs it")


def _checked(
    schema: type, keys: tuple[str, ...], table: Any, source: _Source, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the table's values, lists as tuples, if each key is in the schema and each value of its kind."""
    inside = ".".join(keys[1:])
    if not isinstance(table, dict):
        raise source.error(keys, f"{inside} = {table!r} must be a table")
    known = {key.name: key for key in fields(schema) if "kind" in key.metadata}
    values = {}
    for name, value in table.items():
        where = ".".join((*keys[1:], name))
        if name not in known:
            close = get_close_matches(name, (*known, *more), 1)
            hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join((*known, *more))}"
            raise source.error((*keys, name), f"unknown key {where}: {hint}")
        kind: Kind = known[name].metadata["kind"]
        if not kind.accepts(value):
            raise source.error((*keys, name), f"{where} = {value!r} must be {kind.name}")
        values[name] = tuple(value) if isinstance(value, list) else value
    for name, key in known.items():
        if name not in values and key.default is MISSING and key.default_factory is MISSING:
            raise source.error(keys, f"key {'.'.join((*keys[1:], name))} is missing")
    return values
