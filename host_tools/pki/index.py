"""The CA's book: every certificate issued, which are revoked, the last CRL numbers."""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.pki import files

FORMAT = 1


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
class Generations:
    """Of one kind of CA: `current` issues, `next` is only trusted, `old` only ends."""

    current: int = 1
    next: int | None = None
    old: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """The current one first."""
        return (self.current, *([] if self.next is None else [self.next]), *self.old)


@dataclass(frozen=True)
class Index:
    """All that the CA has done; a change makes a new index, which is then written whole."""

    issued: tuple[Issued, ...] = ()
    crl_numbers: tuple[tuple[str, int], ...] = ()
    generations: tuple[tuple[str, Generations], ...] = ()

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

    def generations_of(self, kind: str) -> Generations:
        return dict(self.generations).get(kind, Generations())

    def with_generations(self, kind: str, changed: Generations) -> "Index":
        known = {**dict(self.generations), kind: changed}
        return replace(self, generations=tuple(sorted(known.items())))

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
        numbers = tuple((name, int(n)) for name, n in body["crl_numbers"].items())
        kinds = tuple((kind, _generations(one)) for kind, one in body["generations"].items())
        return Index(issued, numbers, kinds)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{path} is damaged: {error}", "restore it from a backup") from error


def _generations(body: dict[str, Any]) -> Generations:
    return Generations(body["current"], body["next"], tuple(body["old"]))


def save(path: Path, index: Index) -> None:
    """Write the index whole."""
    body = {
        "format": FORMAT,
        "issued": [asdict(item) for item in index.issued],
        "crl_numbers": dict(index.crl_numbers),
        "generations": {kind: asdict(one) for kind, one in index.generations},
    }
    files.write(path, json.dumps(body, indent=1).encode() + b"\n", force=True)


def spki_hash(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(key.public_bytes(serialization.Encoding.DER, spki)).hexdigest()


def entry(certificate: x509.Certificate, issuer: str, kind: str, name: str) -> Issued:
    """What the book keeps of a certificate."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused(f"certificate for {name}: expected a P-256 key")
    return Issued(
        f"{certificate.serial_number:040x}",
        issuer,
        kind,
        name,
        spki_hash(key),
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
    )


def refuse_foreign_key(
    book: Index, key: ec.EllipticCurvePublicKey, device_id: str, kind: str
) -> None:
    """A key is one device's, and of one kind: that of its birth says nothing else."""
    alike = [item for item in book.issued if item.key == spki_hash(key)]
    same = [item for item in alike if (item.kind, item.name) != (kind, device_id)]
    if same:
        raise Refused(f"request: this key is that of {same[0].name} already: a clone?")
