"""PKCS#11 URIs (RFC 7512): the name of a key in a token.

Understood are `token`, `serial`, `object`, `id`, `module-path` and `pin-source=file:PATH`; the
module may come from $UWARD_PKCS11_MODULE. A `pin-value` is refused: everybody on the machine sees
a command line.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from host_tools.errors import UsageError

PIN_ENV = "UWARD_PKCS11_PIN"
MODULE_ENV = "UWARD_PKCS11_MODULE"
SCHEME = "pkcs11:"
ATTRIBUTES = ("token", "serial", "object", "id", "module-path", "pin-source")


@dataclass(frozen=True)
class Uri:
    """Where a key is. `text` has no PIN in it and may be shown."""

    text: str
    module: str
    token: str | None
    serial: bytes | None
    label: str | None
    id: bytes | None
    pin_source: Path | None


def parse(text: str) -> Uri:
    """The URI's parts (RFC 7512 2.3). Raises UsageError."""
    if not text.startswith(SCHEME):
        raise UsageError(
            f"token: expected a URI such as pkcs11:token=...;object=..., got {text!r}"
        )
    path, _, query = text[len(SCHEME) :].partition("?")
    parts = [part for part in (*path.split(";"), *query.split("&")) if part]
    found: dict[str, bytes] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise UsageError(
                "token: a PIN in the URI is seen by everybody on this machine",
                f"use pin-source=file:PATH or ${PIN_ENV}, and change that PIN",
            )
        if name == "type" and value == "private":
            continue
        if name not in ATTRIBUTES or not equals or name in found:
            raise UsageError(f"token: expected each of {', '.join(ATTRIBUTES)} once, got {name!r}")
        found[name] = unquote_to_bytes(value)
    if not {"token", "serial"} & set(found) or not {"object", "id"} & set(found):
        raise UsageError("token: expected `token` or `serial`, and `object` or `id`, in the URI")
    module = _text(found, "module-path") or os.environ.get(MODULE_ENV)
    if not module:
        raise UsageError(
            "token: no PKCS#11 module named", f"add ?module-path=FILE, or set {MODULE_ENV}"
        )
    return Uri(
        text,
        module,
        _text(found, "token"),
        found.get("serial"),
        _text(found, "object"),
        found.get("id"),
        _pin_file(_text(found, "pin-source")),
    )


def _text(found: Mapping[str, bytes], name: str) -> str | None:
    return found[name].decode(errors="replace") if name in found else None


def _pin_file(source: str | None) -> Path | None:
    if source is None:
        return None
    path = source.removeprefix("file:").removeprefix("//")
    if not source.startswith("file:") or not path:
        raise UsageError(f"token: expected pin-source=file:PATH, got {source!r}")
    return Path(path)
