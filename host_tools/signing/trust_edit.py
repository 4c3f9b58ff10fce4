"""How the next trust document differs from the one in force (SPEC 4, S7). Pure.

Each function returns another document and checks nothing but its own request;
`trust_document.check` says what no device would take, when the draft is written.
"""

from dataclasses import replace

from host_tools.errors import Refused
from host_tools.signing.cose import PublicKey
from host_tools.signing.roles import BY_NUMBER, ROOT, Role
from host_tools.signing.trust_document import Holders, TrustDocument, digest


def successor(current: TrustDocument, now: int, life: int) -> TrustDocument:
    """The next version, saying the same for `life` seconds from now on."""
    return replace(
        current,
        version=current.version + 1,
        issued=now,
        expires=now + life,
        previous=digest(current),
        resets_clock=False,
    )


def add_key(
    document: TrustDocument, role: Role, holder: str, key: PublicKey, threshold: int | None = None
) -> TrustDocument:
    """`holder` gets `role` with this key. Raises Refused for a revoked key, or a second one."""
    held = document.roles.get(role.number, Holders(1, ()))
    if any(name == holder for name, _ in held.keys):
        raise Refused(
            f"holder {holder} of role {role.name} has a key already",
            f"revoke it first: `uward trust revoke-key {role.name}:{holder}`",
        )
    if key.thumbprint in document.revoked:
        raise Refused(f"key {key.kid.hex()} was revoked and does not come back")
    return _with(document, role, Holders(threshold or held.threshold, (*held.keys, (holder, key))))


def revoke_key(document: TrustDocument, thumbprint: bytes) -> TrustDocument:
    """The key counts nowhere any more, also where it judges what was installed earlier (S1)."""
    if thumbprint in document.revoked:
        raise Refused(f"key {thumbprint.hex()} is revoked already")
    left = document
    for number, held in document.roles.items():
        kept = tuple(pair for pair in held.keys if pair[1].thumbprint != thumbprint)
        left = _with(left, BY_NUMBER[number], Holders(held.threshold, kept))
    return replace(left, revoked=(*document.revoked, thumbprint))


def drop_key(document: TrustDocument, role: Role, holder: str) -> TrustDocument:
    """The holder leaves the role; what the key signed stays good. Raises Refused."""
    held = document.roles.get(role.number, Holders(1, ()))
    left = tuple(item for item in held.keys if item[0] != holder)
    if len(left) == len(held.keys):
        raise Refused(f"role {role.name} has no holder {holder!r}")
    return _with(document, role, Holders(held.threshold, left))


def set_threshold(document: TrustDocument, role: Role, threshold: int) -> TrustDocument:
    held = document.holders(role)
    return _with(document, role, Holders(threshold, held.keys))


def rotate_root(
    document: TrustDocument, keys: list[tuple[str, PublicKey]], threshold: int
) -> TrustDocument:
    """These keys are the root from now on, in place of every other one."""
    return _with(document, ROOT, Holders(threshold, tuple(keys)))


def changes(old: TrustDocument, new: TrustDocument) -> list[str]:
    """What a holder is asked to sign, in words: one line a difference."""
    lines: list[str] = []
    for number in sorted({*old.roles, *new.roles}):
        was, now = (doc.roles.get(number, Holders(0, ())) for doc in (old, new))
        name = BY_NUMBER[number].name
        lines += [f"- {name}:{_said(one)}" for one in was.keys if one not in now.keys]
        lines += [f"+ {name}:{_said(one)}" for one in now.keys if one not in was.keys]
        if was.threshold != now.threshold:
            lines.append(f"~ {name} threshold {was.threshold} -> {now.threshold}")
    lines += [f"! revoked {item.hex()}" for item in new.revoked if item not in old.revoked]
    if old.anchors != new.anchors:
        lines.append(f"~ CA certificates {len(old.anchors)} -> {len(new.anchors)}")
    if new.resets_clock:
        lines.append("~ clocks fall back to the day of issue")
    return lines


def _said(pair: tuple[str, PublicKey]) -> str:
    return f"{pair[0]} {pair[1].kid.hex()}"


def _with(document: TrustDocument, role: Role, held: Holders) -> TrustDocument:
    roles = {**document.roles, role.number: held}
    return replace(document, roles={n: one for n, one in roles.items() if one.keys})
