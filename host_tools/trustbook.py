"""The next trust document of a fleet: drafted, signed by old and new root, published.

    trust/draft       the next version, with the signatures that it has so far, or absent
    trust/<version>   published: devices take it from here

A draft changes until its first signature is given; after that a change starts its signatures anew.
It is published the moment that the thresholds of both root roles are reached (S7).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from host_tools import keyring
from host_tools.errors import Refused
from host_tools.pki import files
from host_tools.pki.ca import Ca
from host_tools.project import Project
from host_tools.signing import cose, cosign, trust, trust_edit
from host_tools.signing.roles import ROOT
from host_tools.signing.trust import Holders, TrustDocument

LIFE_S = 2 * 365 * 24 * 3600  # a document is renewed yearly, with a year to spare
Edit = Callable[[TrustDocument], TrustDocument]


@dataclass(frozen=True)
class Standing:
    """A draft: what it says, who signed, whom it lacks; `published` once it is in force."""

    document: TrustDocument
    signed: list[str]
    missing: list[str]
    changes: list[str]
    published: bool = False


def edit(found: Project, change: Edit, life: int | None = None) -> Standing:
    """Apply `change` to the draft, or begin one. Its signatures are gone. Raises Refused.

    life: seconds from now until it expires; default: as it is, or LIFE_S for a new draft.
    """
    current = keyring.current_trust(found)
    draft = _draft(found, current)
    now = int(time.time())
    if draft is None:
        draft = trust_edit.successor(current, now, life or LIFE_S)
        draft = replace(draft, anchors=_anchors(found) or draft.anchors)
    elif life is not None:
        draft = replace(draft, issued=now, expires=now + life)
    changed = change(draft)
    envelope = trust.sign(trust.encode_payload(changed), [])
    files.write(draft_path(found), envelope, force=True)
    return _standing(current, changed, envelope)


def standing(found: Project) -> Standing | None:
    """How the draft stands, or None when there is none."""
    current = keyring.current_trust(found)
    draft = _draft(found, current)
    if draft is None:
        return None
    return _standing(current, draft, _envelope(found))


def sign(found: Project, passphrase: bytes | None) -> Standing:
    """Sign the draft with every root key, old and new, whose file is here; publish when it is
    complete. Raises Refused when there is nothing to sign, or no key for it."""
    current, draft = _both(found)
    envelope = _envelope(found)
    wanted = dict.fromkeys(key for one in (current, draft) for _, key in one.holders(ROOT).keys)
    here = {key: path for key in wanted if (path := keyring.find(found, key)) is not None}
    if not here:
        raise Refused(
            "no root key of this fleet is here",
            "on the machine that has it: `uward trust sign --holder NAME --digest-out FILE`",
        )
    for path in here.values():
        signer = keyring.signer_at(found, path, passphrase)
        if not _has_signed(envelope, signer.public):
            envelope = trust.add_signature(envelope, signer)
            files.write(draft_path(found), envelope, force=True)  # a one-time key was spent
    return _publish(found, current, draft, envelope)


def to_be_signed(found: Project, holder: str) -> tuple[cose.PublicKey, bytes]:
    """What a root holder elsewhere signs: (key, Sig_structure). Raises Refused."""
    current, draft = _both(found)
    public = _root_key(current, draft, holder)
    payload, _ = trust.split(_envelope(found))
    return public, trust.to_be_signed(payload, public.alg)


def attach(found: Project, holder: str, signature: bytes) -> Standing:
    """Add a signature that was made elsewhere; publish when it is complete. Raises Refused."""
    current, draft = _both(found)
    public = _root_key(current, draft, holder)
    envelope = trust.attach(_envelope(found), public, signature)
    files.write(draft_path(found), envelope, force=True)
    return _publish(found, current, draft, envelope)


def discard(found: Project) -> None:
    """Forget the draft."""
    draft_path(found).unlink(missing_ok=True)


def draft_path(found: Project) -> Path:
    return found.folder("trust") / "draft"


def _both(found: Project) -> tuple[TrustDocument, TrustDocument]:
    current = keyring.current_trust(found)
    draft = _draft(found, current)
    if draft is None:
        raise Refused("there is no draft of a trust document", "`uward trust renew` begins one")
    return current, draft


def _draft(found: Project, current: TrustDocument) -> TrustDocument | None:
    if not draft_path(found).is_file():
        return None
    draft = trust.parse(trust.split(_envelope(found))[0])
    if draft.version != current.version + 1 or draft.previous != trust.digest(current):
        raise Refused(
            f"{draft_path(found)} does not follow version {current.version}",
            "`uward trust discard` forgets it",
        )
    return draft


def _publish(
    found: Project, current: TrustDocument, draft: TrustDocument, envelope: bytes
) -> Standing:
    now = _standing(current, draft, envelope)
    if now.missing:
        return now
    trust.verify_next(envelope, current)
    files.write(found.folder("trust") / str(draft.version), envelope)
    discard(found)
    return Standing(draft, now.signed, [], now.changes, published=True)


def _standing(current: TrustDocument, draft: TrustDocument, envelope: bytes) -> Standing:
    payload, blocks = trust.split(envelope)
    signed: list[str] = []
    missing: list[str] = []
    for one, label in ((current, "old"), (draft, "new")):
        held = one.holders(ROOT)
        got = cosign.signed_by(trust.KIND, payload, blocks, held)
        signed += [name for name in got if name not in signed]
        if len(got) < held.threshold:
            left = ", ".join(name for name, _ in held.keys if name not in got)
            missing.append(f"{held.threshold - len(got)} of the {label} root ({left})")
    return Standing(draft, signed, missing, trust_edit.changes(current, draft))


def _root_key(current: TrustDocument, draft: TrustDocument, holder: str) -> cose.PublicKey:
    """The holder's key, where old and new root may give one name two keys: the unsigned one is
    named by its kid. Raises Refused."""
    known: Holders = current.holders(ROOT)
    pairs = [*known.keys, *(item for item in draft.holders(ROOT).keys if item not in known.keys)]
    found = [key for name, key in pairs if holder in (name, key.kid.hex())]
    if len(found) != 1:
        names = ", ".join(f"{name} ({key.kid.hex()})" for name, key in pairs)
        raise Refused(f"expected one root key for {holder!r}, got {len(found)}: {names}")
    return found[0]


def _has_signed(envelope: bytes, public: cose.PublicKey) -> bool:
    payload, blocks = trust.split(envelope)
    held = Holders(1, (("", public),))
    return bool(cosign.signed_by(trust.KIND, payload, blocks, held))


def _envelope(found: Project) -> bytes:
    return files.read(draft_path(found), "draft of a trust document")


def _anchors(found: Project) -> tuple[bytes, ...] | None:
    """What the CA here says that devices should trust; None where the CA is elsewhere."""
    folder = found.folder("ca")
    return Ca(folder).anchors() if folder.is_dir() else None
