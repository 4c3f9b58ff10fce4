"""TOML files that people write, read strictly into dataclasses.

A key that is missing, unknown or of the wrong type is refused, with the nearest right one as hint.
"""

import datetime
import difflib
import importlib
import sys
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from host_tools.errors import UsageError

# tomllib came with Python 3.11; tomli is the same under another name
_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

T = TypeVar("T")
NAMES: dict[Any, str] = {
    str: "a string",
    int: "an integer",
    list[str]: "a list of strings",
    datetime.date: "a date such as 2026-11-21",
}


def load(path: Path) -> dict[str, Any]:
    """The TOML file `path` as a dict. Raises UsageError when it is unreadable or not TOML."""
    try:
        return _toml.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def table(cls: type[T], values: dict[str, Any], where: str) -> T:
    """`cls` made from exactly `values`: no key too many, none too few, each of its type."""
    specs = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in specs:
            raise UsageError(f"{where}: unknown key {key!r}", nearest(key, specs))
    for key, field in specs.items():
        if key not in values:
            if field.default is MISSING and field.default_factory is MISSING:
                raise UsageError(f"{where}: key {key!r} is missing")
        elif not _is(values[key], field.type):
            got = type(values[key]).__name__
            raise UsageError(f"{where}: {key!r} must be {_name(field.type)}, got {got}")
    return cls(**values)


def choice(what: str, value: str, known: Iterable[str]) -> str:
    """`value` itself when it is one of `known`. Raises UsageError that lists them."""
    names = list(known)
    if value not in names:
        raise UsageError(
            f"no {what} {value!r}; there are {', '.join(names)}", nearest(value, names)
        )
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to `word`, or nothing."""
    match = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {match[0]!r}?" if match else ""


def _is(value: object, kind: Any) -> bool:
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)  # type: ignore[misc]
    if kind is datetime.date:
        return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if kind in (str, int):
        return isinstance(value, kind) and not isinstance(value, bool)
    return not isinstance(value, (str, int, float, list))  # a nested table, made by the caller


def _name(kind: Any) -> str:
    return NAMES.get(kind, "a table")
