"""Reads a TOML table into a dataclass; what is missing, unknown or out of bounds is named with its key."""

from dataclasses import MISSING, Field, field, fields
from math import isfinite
from typing import Any, TypeVar, get_args, get_type_hints

from fedmote.errors import FedmoteError

T = TypeVar("T")


def between(low: float, high: float, **options: Any) -> Any:
    """A dataclass field for a number, or for numbers, from ``low`` to ``high``."""
    return field(
        metadata={"check": lambda value: low <= value <= high, "rule": f"{low:g} to {high:g}"}, **options
    )


def one_of(*choices: str, **options: Any) -> Any:
    """A dataclass field for one of these texts."""
    return field(
        metadata={"check": lambda value: value in choices, "rule": "one of " + ", ".join(choices)}, **options
    )


def read(kind: type[T], table: Any, where: str, **given: Any) -> T:
    """Return the dataclass ``kind`` filled from ``table``. where: file and table, for messages. given: fields
    not in it.

    Texts, numbers and tuples of them are taken. Raises FedmoteError.
    """
    if not isinstance(table, dict):
        raise FedmoteError(f"{where}: {table!r} is not a table")
    hints = get_type_hints(kind)
    every: tuple[Field[Any], ...] = fields(kind)  # type: ignore[arg-type]
    wanted = {one.name: one for one in every if one.name not in given}
    for key in table:
        if key not in wanted:
            raise FedmoteError(f"{where}: {key} is unknown, there are: {', '.join(wanted)}")
    for key, one in wanted.items():
        if key not in table and one.default is MISSING:
            raise FedmoteError(f"{where}: {key} is missing")
    for key, value in table.items():
        given[key] = _value(value, hints[key], wanted[key], f"{where}: {key} = {value!r}")
    return kind(**given)


_NAMES = {str: "text", int: "a whole number", float: "a number"}


def _value(value: Any, kind: Any, to: Field[Any], what: str) -> Any:
    if kind not in _NAMES:  # tuple[item, ...]
        if not isinstance(value, list) or not value:
            raise FedmoteError(f"{what}: must be a list, not empty")
        return tuple(_value(item, get_args(kind)[0], to, what) for item in value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not isfinite(value)):
        raise FedmoteError(f"{what}: must be {_NAMES[kind]}")
    if "check" in to.metadata and not to.metadata["check"](value):
        raise FedmoteError(f"{what}: must be {to.metadata['rule']}")
    return value
