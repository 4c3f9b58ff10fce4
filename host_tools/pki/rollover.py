"""One CA takes over from another of its kind, in three steps, with nobody locked out (S7, S11).

    prepare   a new key and certificate: verifiers trust it, nothing is issued by it yet
    switch    it issues from now on; the old one is still trusted
    finish    the old one is not trusted any more, and what it issued ends

Between `prepare` and `switch` of the services' CA devices need a trust document that pins both
(key 6); between `switch` and `finish` one that no longer needs the old. A new root comes the same
way: after its `prepare` the issuing CAs that are prepared are signed by it.
"""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.pki import files, profiles
from host_tools.pki.ca import ISSUING, ROOT, Ca
from host_tools.pki.index import Generations
from host_tools.pki.shelf import base_name, pem
from host_tools.signing import hsm

RETIRED = "retired"  # folder of what is not trusted any more


def prepare(ca: Ca, kind: str, fleet: str, token: hsm.TokenKey | None = None) -> str:
    """Make the next CA of `kind`, its key in `token` if there is one; returns its base name.

    Raises Refused.
    """
    shelf = ca.shelf
    with shelf.locked():
        book = shelf.index()
        known = book.generations_of(kind)
        if known.next is not None:
            raise Refused(f"{kind}: the next CA is there already", "switch to it, or wait")
        number = _free(ca, kind, max(known.all) + 1)
        base = base_name(kind, number)
        signer = _signing_root(ca)
        root_key = None if kind == ROOT else shelf.key(signer)  # missed before anything is made
        start = shelf.clock() - profiles.BACKDATE
        key = shelf.new_key(base) if token is None else _from_token(ca, base, token)
        if root_key is None:
            request = replace(
                profiles.root(fleet, key.public_key()), name=_name(fleet, kind, number)
            )
            certificate = profiles.make(request, None, key, start)
        else:
            request = profiles.issuing(fleet, kind, key.public_key())
            request = replace(request, name=_name(fleet, kind, number))
            certificate = profiles.make(request, shelf.certificate(signer), root_key, start)
        files.write(shelf.certificate_path(base), pem(certificate))
        shelf.save(book.with_generations(kind, replace(known, next=number)))
    _publish(ca, kind)
    return base


def switch(ca: Ca, kind: str) -> str:
    """Issue by the next CA from now on; returns its base name. Raises Refused."""
    with ca.shelf.locked():
        book = ca.shelf.index()
        known = book.generations_of(kind)
        if known.next is None:
            raise Refused(f"{kind}: no next CA is prepared", f"uward ca rollover {kind} prepare")
        changed = Generations(known.next, None, (known.current, *known.old))
        ca.shelf.save(book.with_generations(kind, changed))
    _publish(ca, kind)
    return base_name(kind, changed.current)


def finish(ca: Ca, kind: str, force: bool = False) -> list[str]:
    """Trust the old CAs no longer; returns their base names.

    Raises Refused while a certificate of theirs is in use, unless `force`.
    """
    shelf = ca.shelf
    with shelf.locked():
        book = shelf.index()
        known = book.generations_of(kind)
        old = [base_name(kind, number) for number in known.old]
        if not old:
            raise Refused(f"{kind}: no old CA is left")
        living = _living(ca, kind, old)
        if living and not force:
            raise Refused(
                f"{kind}: {len(living)} certificates of {', '.join(old)} are in use, "
                f"the first is that of {living[0]}",
                "wait until they are renewed; --force locks them out",
            )
        shelf.save(book.with_generations(kind, replace(known, old=())))
        _publish_chains(ca, kind)
        for base in old:
            _retire(ca, base)
    return old


def _from_token(ca: Ca, base: str, token: hsm.TokenKey) -> ec.EllipticCurvePrivateKey:
    hsm.write_reference(ca.shelf.key_path(base), token)
    return hsm.private_key(token)


def _living(ca: Ca, kind: str, old: list[str]) -> list[str]:
    """Names of what the old CAs issued and what is neither ended, revoked nor replaced."""
    shelf = ca.shelf
    if kind == ROOT:
        roots = [shelf.certificate(base).subject for base in old]
        bases = [base for issuing in ISSUING for base in shelf.bases(issuing)]
        return [base for base in bases if shelf.certificate(base).issuer in roots]
    newest = {(item.kind, item.name): item for item in ca.issued()}
    return [
        item.name
        for item in newest.values()
        if item.issuer in old and item.revoked is None and item.not_after > shelf.now()
    ]


def _name(fleet: str, kind: str, number: int) -> str:
    return f"{fleet} {kind} CA {number}"


def _free(ca: Ca, kind: str, number: int) -> int:
    """A generation of which nothing is here: a run that was cut off may have left a key, and no
    key is ever overwritten."""
    while ca.shelf.key_path(base_name(kind, number)).exists():
        number += 1
    return number


def _signing_root(ca: Ca) -> str:
    known = ca.shelf.index().generations_of(ROOT)
    return base_name(ROOT, known.next or known.current)


def _publish(ca: Ca, kind: str) -> None:
    """The chains, and a revocation list of each CA: verifiers want one before they believe it."""
    _publish_chains(ca, kind)
    if kind == ROOT:
        return
    for base in ca.shelf.bases(kind):
        if not ca.shelf.crl_path(base).is_file():
            ca.renew_crl(base)


def _publish_chains(ca: Ca, kind: str) -> None:
    for one in ISSUING if kind == ROOT else (kind,):
        ca.shelf.write_chain(one, ca.shelf.bases(one))


def _retire(ca: Ca, base: str) -> None:
    folder = ca.shelf.directory / RETIRED
    folder.mkdir(exist_ok=True)
    for path in (ca.shelf.certificate_path(base), ca.shelf.key_path(base)):
        if path.is_file():
            path.rename(folder / path.name)
    for path in (ca.shelf.crl_path(base), ca.shelf.crl_pem_path(base)):
        path.unlink(missing_ok=True)
