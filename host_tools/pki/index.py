"""The CA's book: every certificate issued, which are revoked, the last CRL numbers."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from host_tools.errors import Refused
from host_tools.pki import files

FORMAT = 1
FIELDS = {"serial", "issuer", "kind", "name", "key", "not_before", "not_after"}


@dataclass(frozen=True)
class Issued:
    """One certificate. `serial` and `key` (SHA-256 of the SPKI) are hex, times unix seconds."""

    serial: str
    issuer: str
    kind: str
    name: str
    key: str
    not_before: int
    not_after: int
    revoked: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Index:
    """All that the CA has done; a change makes a new index, which is then written whole."""

    issued: tuple[Issued, ...] = ()
    crl_numbers: tuple[tuple[str, int], ...] = ()

    def of(self, kind: str, name: str) -> list[Issued]:
        """All certificates of this kind for this name, oldest first."""
        return [item for item in self.issued if (item.kind, item.name) == (kind, name)]

    def with_issued(self, item: Issued) -> "Index":
        return replace(self, issued=(*self.issued, item))

    def with_revoked(self, serial: str, when: int, reason: str) -> "Index":
        """Raises Refused for an unknown serial; one that is revoked keeps its first date."""
        if all(item.serial != serial for item in self.issued):
            raise Refused(f"no certificate with serial {serial} was issued here")
        changed = tuple(
            replace(item, revoked=when, reason=reason)
            if item.serial == serial and item.revoked is None
            else item
            for item in self.issued
        )
        return replace(self, issued=changed)

    def with_next_crl(self, issuer: str) -> tuple["Index", int]:
        """The index with this issuer's CRL number raised, and the number."""
        numbers = dict(self.crl_numbers)
        numbers[issuer] = numbers.get(issuer, 0) + 1
        return replace(self, crl_numbers=tuple(sorted(numbers.items()))), numbers[issuer]


def load(path: Path) -> Index:
    """The index at `path`. Raises Refused when it is absent or damaged: never begin anew."""
    try:
        body = cast(dict[str, Any], json.loads(files.read(path, "index of the CA")))
        if body["format"] != FORMAT:
            raise Refused(f"{path}: expected format {FORMAT}, got {body['format']!r}")
        issued = tuple(Issued(**item) for item in body["issued"])
        return Index(issued, tuple((name, int(n)) for name, n in body["crl_numbers"].items()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{path} is damaged: {error}", "restore it from a backup") from error


def save(path: Path, index: Index) -> None:
    """Write the index whole."""
    body = {
        "format": FORMAT,
        "issued": [asdict(item) for item in index.issued],
        "crl_numbers": dict(index.crl_numbers),
    }
    files.write(path, json.dumps(body, indent=1).encode() + b"\n", force=True)
