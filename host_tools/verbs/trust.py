"""`uward trust`: who may say what: the trust documents, and how the next one is made."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs import trust_view
from host_tools.verbs.options import DigestOut, Fleet, Passphrase, SignatureIn

if TYPE_CHECKING:
    from host_tools.signing.cose import PublicKey
    from host_tools.signing.trust import TrustDocument
    from host_tools.trustbook import Standing

DAY_S = 24 * 3600
WARN_S = 90 * DAY_S  # a document that ends sooner is worth a word
DAYS_MAX = 10 * 365
NEXT = "sign it with `uward trust sign`"

Holder = Annotated[str, typer.Argument(metavar="ROLE:HOLDER")]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE.pub", help="Default: keys/ROLE-HOLDER.pub."),
]
Threshold = Annotated[
    int | None, typer.Option("--threshold", metavar="N", help="How many holders must sign.")
]


def show(
    version: Annotated[int | None, typer.Argument(help="Default: the newest.")] = None,
    fleet: Fleet = None,
) -> None:
    """Show a trust document: roles, holders, thresholds, expiry; and the draft if there is one.

    Example: uward trust show
    """
    found = project.load(fleet)
    facts = trust_view.shown(found, version)
    ui.result(facts, trust_view.text(facts))
    warn(found)


def renew(
    days: Annotated[int, typer.Option(metavar="N", help="How long it is valid.")] = 730,
    fleet: Fleet = None,
) -> None:
    """Draft the next trust document with a later end, and the CA certificates of today.

    Example: uward trust renew && uward trust sign
    """
    if not 1 <= days <= DAYS_MAX:
        raise UsageError(f"--days is {days}, expected 1 to {DAYS_MAX}")
    found = project.load(fleet)
    _said(_edit(found, lambda document: document, days * DAY_S))


def add_key(
    role: Holder, key: Key = None, threshold: Threshold = None, fleet: Fleet = None
) -> None:
    """Draft: a holder gets a role, by the public key in a .pub file.

    Example: uward keys new release:anna && uward trust add-key release:anna
    """
    from host_tools.signing import trust_edit

    found = project.load(fleet)
    name, holder = _pair(role)
    public = _public(found, name, holder, key)
    _said(
        _edit(found, lambda one: trust_edit.add_key(one, _role(name), holder, public, threshold))
    )


def revoke_key(
    role: Annotated[str, typer.Argument(metavar="ROLE:HOLDER|THUMBPRINT")], fleet: Fleet = None
) -> None:
    """Draft: a key counts nowhere any more, and what it signed is not installed again.

    A device that runs what the key signed goes on running it (S1). Add the new key first when
    the role would fall below its threshold.

    Example: uward trust revoke-key release:anna
    """
    from host_tools.signing import trust_edit

    found = project.load(fleet)
    _said(_edit(found, lambda one: trust_edit.revoke_key(one, _thumbprint(one, role))))


def drop_key(role: Holder, fleet: Fleet = None) -> None:
    """Draft: a holder leaves a role; what the key signed so far stays good.

    Example: uward trust drop-key approver:bert
    """
    from host_tools.signing import trust_edit

    found = project.load(fleet)
    name, holder = _pair(role)
    _said(_edit(found, lambda one: trust_edit.drop_key(one, _role(name), holder)))


def set_threshold(
    role: Annotated[str, typer.Argument(metavar="ROLE")],
    threshold: Annotated[int, typer.Argument(metavar="N")],
    fleet: Fleet = None,
) -> None:
    """Draft: how many holders of a role must sign.

    Example: uward trust set-threshold release 2
    """
    from host_tools.signing import trust_edit

    found = project.load(fleet)
    _said(_edit(found, lambda one: trust_edit.set_threshold(one, _role(role), threshold)))


def rotate_root(
    holders: Annotated[
        list[str], typer.Argument(metavar="HOLDER...", help="Each has keys/root-HOLDER.pub.")
    ],
    threshold: Threshold = None,
    fleet: Fleet = None,
) -> None:
    """Draft: other root keys, in place of all that there are; old and new root must both sign.

    At least one of them is an HSS-LMS key (S7).

    Example: uward keys new root:next && uward trust rotate-root next
    """
    from host_tools.signing import trust_edit

    found = project.load(fleet)
    keys = [(holder, _public(found, "root", holder, None)) for holder in holders]
    needed = threshold or len(keys)
    _said(_edit(found, lambda one: trust_edit.rotate_root(one, keys, needed)))


def reset_clock(fleet: Fleet = None) -> None:
    """Draft: devices take their clock's floor back to the day of issue.

    For a fleet to which a stolen `time` key has told a time that lies ahead; change that key in
    the same draft. A device that believes in next year refuses a broker certificate of this one:
    give the broker one that reaches so far (`uward ca renew broker --days N`).

    Example: uward trust reset-clock && uward trust sign
    """
    from dataclasses import replace

    found = project.load(fleet)
    _said(_edit(found, lambda one: replace(one, resets_clock=True)))


def sign(
    holder: Annotated[
        str | None, typer.Option("--holder", metavar="NAME|KID", help="A root holder elsewhere.")
    ] = None,
    digest_out: DigestOut = None,
    signature_in: SignatureIn = None,
    passphrase_file: Passphrase = None,
    fleet: Fleet = None,
) -> None:
    """Sign the draft with the root keys that are here; publish it when it has them all.

    It needs the thresholds of the old and of the new root. For a key on another machine:
    --holder NAME --digest-out FILE, there `uward keys sign KEY FILE SIGNATURE` (or a token that
    signs these bytes), then --holder NAME --signature-in SIGNATURE.

    Example: uward trust sign
    """
    found = project.load(fleet)
    ui.result(do_sign(found, holder, digest_out, signature_in, passphrase_file))


def discard(fleet: Fleet = None) -> None:
    """Forget the draft.

    Example: uward trust discard
    """
    from host_tools import trustbook

    trustbook.discard(project.load(fleet))
    ui.result({"draft": None})


def do_sign(
    found: Project,
    holder: str | None = None,
    digest_out: Path | None = None,
    signature_in: Path | None = None,
    passphrase_file: Path | None = None,
) -> dict[str, Any]:
    """How the draft stands afterwards. Raises Refused."""
    from host_tools import trustbook
    from host_tools.pki import files
    from host_tools.signing import keys

    if holder is None:
        if digest_out or signature_in:
            raise UsageError("whose signature? expected --holder NAME")
        return trust_view.row(trustbook.sign(found, keys.passphrase_from(passphrase_file)))
    if digest_out:
        public, message = trustbook.to_be_signed(found, holder)
        files.write(digest_out, message)
        return {"to_be_signed": str(digest_out), "kid": public.kid.hex()}
    if signature_in is None:
        raise UsageError("expected --digest-out FILE or --signature-in FILE with --holder")
    return trust_view.row(trustbook.attach(found, holder, files.read(signature_in, "signature")))


def warn(found: Project) -> None:
    """Say on stderr when the newest document ends soon: devices then take no release."""
    from host_tools import keyring

    document = keyring.newest(found)
    left = None if document is None else document.expires - int(time.time())
    if document is not None and left is not None and left < WARN_S:
        days = left // DAY_S
        when = f"ends in {days} days" if left > 0 else "is over: devices install nothing"
        ui.note(f"trust document {document.version} {when}; `uward trust renew` makes the next")


def _edit(
    found: Project,
    change: Callable[["TrustDocument"], "TrustDocument"],
    life: int | None = None,
) -> "Standing":
    from host_tools import trustbook

    return trustbook.edit(found, change, life)


def _said(standing: "Standing") -> None:
    ui.result(trust_view.row(standing))
    ui.note(f"nothing has changed yet for devices: {NEXT}")


def _pair(given: str) -> tuple[str, str]:
    from host_tools.project import HOLDER

    name, _, holder = given.partition(":")
    _role(name)
    if not HOLDER.fullmatch(holder or name):
        raise UsageError(f"holder {holder!r}: expected {HOLDER.pattern}")
    return name, holder or name


def _role(name: str) -> Any:
    from host_tools.signing import roles

    return roles.role(name)


def _public(found: Project, role: str, holder: str, given: Path | None) -> "PublicKey":
    from host_tools import keyring
    from host_tools.signing import keys

    path = given or keys.public_path(keyring.default_path(found, role, holder))
    return keys.load_public(path)


def _thumbprint(document: "TrustDocument", given: str) -> bytes:
    """Of `release:anna` in this document, or as 64 hexadecimal digits. Raises UsageError."""
    from host_tools.signing import trust_document
    from host_tools.signing.trust import Holders

    name, colon, holder = given.partition(":")
    if not colon:
        try:
            found = bytes.fromhex(given)
        except ValueError:
            found = b""
        if len(found) == trust_document.THUMBPRINT_SIZE:
            return found
        holder = name
    held = document.roles.get(_role(name).number, Holders(1, ()))
    for who, key in held.keys:
        if who == holder:
            return key.thumbprint
    raise UsageError(f"role {name} has no holder {holder!r}", "`uward trust show` lists them")
