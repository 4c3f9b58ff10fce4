"""What the collector hands down beside updates: trust documents, revocation lists, group KEKs.

Loaded when one arrives, dropped afterwards (S20). Nothing here is believed for its sender's sake.
"""

import os

from uward import limits, port
from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import BadSignature, KeyRefused, ProtocolError, TrustError
from uward.link.stream import recheck
from uward.vault import keys, sealed

_DIGEST = const(3)  # place in an entry of `station.crl`
TRUST = "/trust/new"  # u16 length and document, one after the other


def take(agent, uplink, purpose, payload):
    """`down/trust`, `down/crl` or `down/share`."""
    if purpose == "trust":
        keep(agent, payload)
        return
    if purpose == "crl":
        crl(uplink.station, payload, uplink.leaf)
        return
    value = uplink.session.open("share", payload)
    if value is not None:
        share(value)


def keep(agent, data):
    """A trust document: kept behind those that came before it, judged at the next boot (S20).

    Not on trial, not twice, and not beyond limits.TRUST_NEW_BYTES: then it is asked for again.
    """
    digest = sha256(data)
    kept = agent.info.setdefault("kept", [])
    if agent.info["trial"] or digest in agent.info.get("seen", ()) or digest in kept:
        return
    try:
        size = os.stat(TRUST)[6]
    except OSError:
        size = 0
    if size + 2 + len(data) > limits.TRUST_NEW_BYTES:
        return
    with open(TRUST, "ab") as f:
        f.write(len(data).to_bytes(2, "big"))
        f.write(data)
    kept.append(digest)
    agent.reset_soon(limits.TRUST_MS)


def crl(station, data, leaf):
    """A revocation list of a pinned CA, its number above that of the one before (S11, T02).

    One that is known, also encoded anew, is not written again: flash wears. TlsRefused when the
    live peer's certificate is on it.
    """
    digest = sha256(data)
    if digest in [entry[_DIGEST] for entry in station.crl]:
        return
    from uward.trust import x509

    revocations = x509.parse_crl(data)
    place = sha256(_signer(x509, revocations, station.anchors))[:8]
    for known, number, _, _ in station.crl:
        if known != place or number < revocations.number:
            continue
        if number == revocations.number:
            return
        error = TrustError(
            "crl: expected number %d or above, got %d" % (number, revocations.number)
        )
        error.event = "crl.rollback"
        raise error
    until = revocations.this_update + limits.CRL_AGE_S
    if revocations.next_update is not None:
        until = min(until, revocations.next_update)
    _keep(station, [place, revocations.number, until, digest, revocations.serials])
    recheck(leaf, port.now(), station.revoked)


def _keep(station, entry):
    """The new list beside that of the other pinned CA; those of others go."""
    root = keys.root()
    pinned = [sha256(anchor)[:8] for anchor in station.anchors]
    lists = [old for old in station.lists(root) if old[0] in pinned and old[0] != entry[0]]
    lists.append(entry)
    sealed.write(root, "/id/crl", cbor.encode(lists))
    station.revoke(lists)


def _signer(x509, revocations, anchors):
    """-> the pinned CA, DER, that has signed the list."""
    refusal = KeyRefused("crl: expected the signature of a pinned CA, got none")
    for anchor in anchors:
        try:
            revocations.verify(x509.parse_certificate(anchor))
            return anchor
        except (BadSignature, KeyRefused) as e:
            refusal = e
    raise refusal


def share(value):
    """A KEK, `[kid, KEK]`: kept with those before it; the first of too many goes."""
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError("share: expected [kid, KEK], got another")
    kid, kek = value
    if not isinstance(kid, bytes) or not isinstance(kek, bytes) or len(kek) != 32:
        raise ProtocolError("share: expected a KEK of 32 bytes, got another")
    root = keys.root()
    net = cbor.decode(sealed.read(root, "/id/net"))
    held = net.get(6) or {}
    if held.get(kid) == kek:
        return  # it comes again with each offer: no write for it
    if kid not in held and len(held) >= limits.GROUP_KEYS:
        held.pop(sorted(held)[0])
    held[kid] = kek
    net[6] = held
    sealed.write(root, "/id/net", cbor.encode(net))
