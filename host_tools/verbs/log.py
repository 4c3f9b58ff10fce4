"""`uward log`: the release log, who signed it, and the witness that remembers it elsewhere."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import DigestOut, Fleet, Passphrase, SignatureIn

if TYPE_CHECKING:
    from host_tools.signing.log import Log
    from host_tools.signing.log_entry import Entry
    from host_tools.signing.trust import TrustDocument


def show(fleet: Fleet = None) -> None:
    """List what was ever released, in the order of the log.

    Example: uward log show
    """
    columns = ("index", "time", "sequence", "manifest_digest", "used", "covered")
    ui.table(do_show(project.load(fleet)), columns, "nothing was released yet")


def verify(fleet: Fleet = None) -> None:
    """Check the release log: tree, signatures, every release, every one-time index, the witness.

    Exit code 1 says that something does not agree, and what.

    Example: uward log verify
    """
    ui.result(do_verify(project.load(fleet)))


def sign(
    fleet: Fleet = None,
    role: Annotated[
        str, typer.Option(metavar="log[:HOLDER]", help="Which holder signs. Default: all here.")
    ] = "log",
    digest_out: DigestOut = None,
    signature_in: SignatureIn = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Sign the log's head: as a further holder of role log, or anew after the role changed.

    Example: uward log sign --role log:bert
    """
    found = project.load(fleet)
    ui.result(do_sign(found, role, digest_out, signature_in, passphrase_file))


def witness(fleet: Fleet = None) -> None:
    """Begin the witness, or bring it up to date: the folder that [log] in uward.toml names.

    It remembers the log's head and the next index of each HSS-LMS key here, and refuses what is
    older than what it knows.

    Example: uward log witness
    """
    ui.result(do_witness(project.load(fleet)))


def do_show(found: Project) -> list[dict[str, Any]]:
    """One row an entry. Raises Refused for a damaged log."""
    from host_tools import keyring
    from host_tools.signing import log

    book = keyring.release_log(found)
    head = book.head()
    covered = 0 if head is None else head.size
    entries = log.parse_all(book.entries())
    return [_row(i, entry, i < covered) for i, entry in enumerate(entries)]


def do_verify(found: Project) -> dict[str, Any]:
    """What was checked. Raises Refused for the first thing that does not agree."""
    from host_tools import keyring
    from host_tools.signing import log, log_entry

    book = keyring.release_log(found)
    entries, head = book.checked()
    parsed = log.parse_all(entries)
    log_entry.refuse_reuse(parsed)
    trust = keyring.current_trust(found)
    _refuse_strange_keys(found, parsed)
    released = _releases(found)
    facts: dict[str, Any] = {"entries": len(entries), "releases": len(released)}
    if head is None:
        if released:
            raise Refused("there are releases, but no signed log head")
        return {**facts, "head": None, "signed_by": [], "witness": _where(found)}
    _, signed = log.judge(book.signed_head() or b"", trust)
    covered = {entry.digest: entry for entry in parsed[: head.size]}
    for number, envelope in released:
        _compare(number, envelope, covered)
    return {**facts, "head": head.root.hex(), "signed_by": signed, "witness": _where(found)}


def do_sign(
    found: Project,
    role: str,
    digest_out: Path | None = None,
    signature_in: Path | None = None,
    passphrase_file: Path | None = None,
) -> dict[str, Any]:
    """The head that is signed now. Raises Refused while holders are missing."""
    from host_tools import keyring
    from host_tools.pki import files
    from host_tools.signing import keys

    if role.partition(":")[0] != "log":
        raise UsageError(f"role {role} signs no log head", "expected log or log:<holder>")
    book, trust = keyring.release_log(found), keyring.current_trust(found)
    if digest_out or signature_in:
        public = keyring.public_key(found, role)
        if digest_out:
            files.write(digest_out, book.to_be_signed(trust, public))
            return {"to_be_signed": str(digest_out), "kid": public.kid.hex()}
        head = book.attach(trust, public, files.read(signature_in or Path(), "signature"))
    else:
        passphrase = keys.passphrase_from(passphrase_file)
        head = book.sign_again(trust, keyring.signers(found, role, passphrase, []))
    return {"entries": head.size, "head": head.root.hex()}


def do_witness(found: Project) -> dict[str, Any]:
    """Tell the witness what is here. Raises UsageError without one, Refused when it knows more."""
    from host_tools import keyring
    from host_tools.signing import cose, keys, lms_books, lms_key

    known = keyring.witness(found)
    if known is None:
        raise UsageError("no witness", "name a folder elsewhere as [log] witness in uward.toml")
    _begin(keyring.release_log(found), keyring.current_trust(found))
    told: dict[str, int] = {}
    for name in found.roles:
        for holder in keyring.members(found, name).holders:
            path = keyring.key_path(found, name, holder)
            if not path.is_file():
                continue
            public = keys.load_public(keys.public_path(path))
            if public.alg != cose.HSS_LMS:
                continue
            used = lms_key.status(path).used
            if known.next_index(public.thumbprint) is not None:
                lms_books.ask(keyring.elsewhere(found, public), lms_books.State(used, "", ""))
            known.note_index(public.thumbprint, used)
            told[path.name] = used
    return {"witness": str(known.folder), "next_indices": told}


def _begin(book: "Log", trust: "TrustDocument") -> None:
    """The head goes there once it is known to continue what is there, or nothing is there."""
    from host_tools.signing import log

    signed = book.signed_head()
    watching = book.witness
    if watching is None:
        return
    if watching.knows_a_head():
        book.checked()
    else:
        log.Log(book.folder).checked()
    if signed is not None:
        log.judge(signed, trust)
        watching.note_head(signed)


def _refuse_strange_keys(found: Project, parsed: "list[Entry]") -> None:
    """Each kid in the log is that of a key that some trust document gave to a release role."""
    from host_tools import keyring
    from host_tools.signing import trust
    from host_tools.signing.roles import APPROVER, RELEASE

    known: set[bytes] = set()
    for paper in keyring.documents(found).values():
        document = trust.parse(trust.split(paper)[0])
        for role in (RELEASE, APPROVER):
            known |= {key.kid for _, key in document.roles[role.number].keys}
    for number, entry in enumerate(parsed):
        strange = [kid for kid, _ in entry.used if kid not in known]
        if strange:
            raise Refused(
                f"log entry {number}: key {strange[0].hex()} never had role release or approver"
            )


def _compare(number: str, envelope: bytes, covered: "dict[bytes, Entry]") -> None:
    from host_tools.signing import log_entry, suit

    entry = covered.get(suit.parse(envelope).digest)
    if entry is None:
        raise Refused(f"release {number} is not in the log", "devices refuse it: upd.not_logged")
    if log_entry.entry_for(envelope, entry.time) != entry:
        raise Refused(f"release {number} is in the log with other signatures than it has")


def _releases(found: Project) -> list[tuple[str, bytes]]:
    from host_tools.pki import files

    paths = sorted(found.folder("releases").glob("[0-9]*/envelope.suit"))
    return [(path.parent.name, files.read(path, "envelope")) for path in paths]


def _row(index: int, entry: "Entry", covered: bool) -> dict[str, Any]:
    return {
        "index": index,
        "time": datetime.datetime.fromtimestamp(entry.time).isoformat(" ", "seconds"),
        "sequence": entry.sequence,
        "manifest_digest": entry.digest.hex(),
        "used": [f"{kid.hex()}:{q}" for kid, q in entry.used],
        "covered": covered,
    }


def _where(found: Project) -> str | None:
    return str(found.witness) if found.witness else None
