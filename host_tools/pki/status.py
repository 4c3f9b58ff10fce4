"""What of a fleet's certificates ends when: one row each, worst first. Pure but for reading files.

State: `ok`, `renew` (less than a tenth of its life or a month is left), `ended`, `revoked`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from host_tools.pki import profiles
from host_tools.pki.ca import ISSUING, ROOT, Ca
from host_tools.pki.index import Issued

OK, RENEW, ENDED, REVOKED = "ok", "renew", "ended", "revoked"
ORDER = (ENDED, RENEW, REVOKED, OK)


@dataclass(frozen=True)
class Row:
    """kind: CA, list, broker, client, device or birth. ends: None for what has no end."""

    kind: str
    name: str
    serial: str
    issuer: str
    ends: datetime
    state: str
    note: str = ""


def rows(ca: Ca, now: datetime) -> list[Row]:
    """Every CA and list, and the newest certificate of everybody else."""
    found = [*_authorities(ca, now), *_lists(ca, now), *_leaves(ca, now)]
    return sorted(found, key=lambda row: (ORDER.index(row.state), row.ends.date(), row.name))


def _authorities(ca: Ca, now: datetime) -> list[Row]:
    found: list[Row] = []
    for kind in (ROOT, *ISSUING):
        known = ca.shelf.index().generations_of(kind)
        for base in ca.shelf.bases(kind):
            certificate = ca.shelf.certificate(base)
            number = int(base.rpartition("-")[2]) if "-" in base else 1
            note = "in use" if number == known.current else ""
            note = "prepared" if number == known.next else note or "ends"
            where = "" if ca.shelf.key_path(base).is_file() else ", its key is elsewhere"
            found.append(_row("CA", base, certificate, now, note + where))
    return found


def _lists(ca: Ca, now: datetime) -> list[Row]:
    found: list[Row] = []
    for base in [base for kind in ISSUING for base in ca.shelf.bases(kind)]:
        crl = x509.load_der_x509_crl(ca.shelf.crl_path(base).read_bytes())
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        ends = crl.next_update_utc or crl.last_update_utc
        state = _state(crl.last_update_utc, ends, now, profiles.CRL_LIFE / 2)
        note = f"{len(list(crl))} revoked"
        found.append(Row("list", base, str(number), base, ends, state, note))
    return found


def _leaves(ca: Ca, now: datetime) -> list[Row]:
    newest = {(item.kind, item.name): item for item in ca.issued()}
    found: list[Row] = []
    for item in newest.values():
        begins = datetime.fromtimestamp(item.not_before, now.tzinfo)
        ends = datetime.fromtimestamp(item.not_after, now.tzinfo)
        state = REVOKED if item.revoked is not None else _state(begins, ends, now)
        note = item.reason or "" if item.revoked is not None else _keys_note(ca, item)
        found.append(Row(item.kind, item.name, item.serial, item.issuer, ends, state, note))
    return found


def _keys_note(ca: Ca, newest: Issued) -> str:
    if newest.kind != "device":
        return ""
    others = {one.key for one in ca.standing(newest.name)} - {newest.key}
    return "a new key, not proved yet" if others else ""


def _row(kind: str, name: str, certificate: x509.Certificate, now: datetime, note: str) -> Row:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    issuer = certificate.issuer.rfc4514_string()
    serial = f"{certificate.serial_number:040x}"
    return Row(kind, name, serial, issuer, ends, _state(begins, ends, now), note)


def _state(begins: datetime, ends: datetime, now: datetime, early: timedelta | None = None) -> str:
    if now > ends:
        return ENDED
    soon = early or max((ends - begins) / 10, profiles.RENEW_LEAF)
    return RENEW if ends - now < soon else OK
