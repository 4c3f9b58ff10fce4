"""A new certificate for the key that this device has: asked for over the live session, kept so
that a cut leaves the old or the new one; the next connection shows it (SPEC 8, RFC 7030 4.2.2).

Loaded when two thirds of a certificate's life are over, dropped afterwards (S20).
"""

from uward import limits, port
from uward.codec import cbor
from uward.crypto import p256
from uward.errors import KeyRefused, ProtocolError, TrustError
from uward.trust import x509
from uward.vault import keys, sealed

_OWN = "/id/dev"


def own():
    """-> /id/dev (SPEC 6)."""
    return cbor.decode(sealed.read(keys.root(), _OWN))


def request(own):
    """-> PKCS#10 for the identity key: its signature proves that we have it."""
    secret = own[2]
    public = x509.parse_certificate(own[4]).public_key

    def sign(digest):
        return p256.sign(secret, digest)

    return x509.csr(own[1], public, sign)


def ask(uplink):
    """`up/est`: whoever reads it knows us by the seal."""
    uplink.tell("est", ["renew", request(own())])


def take(agent, uplink, purpose, payload):
    """`down/est`: `["issued", DER]` or `["refused", reason]`, sealed."""
    value = uplink.session.open("est", payload)
    if value is None:
        return  # heard before
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise ProtocolError("est: expected [name, value], got another")
    if value[0] == "refused":
        raise refused(value[1])
    if value[0] != "issued" or not isinstance(value[1], bytes):
        raise ProtocolError("est: expected a certificate, got %s" % value[0])
    if keep(own(), value[1]):
        agent.event("id.renewed", "over MQTT")


def refused(reason):
    """-> the error that says why no certificate was given; text of a peer, so it is cut."""
    error = TrustError("est: %s" % str(reason)[: limits.REASON_CHARS])
    error.event = "id.refused"
    return error


def keep(own, der):
    """Write a certificate that is ours and newer. -> False when it is the one that we
    have. KeyRefused, TrustError."""
    if der == own[4]:
        return False
    made = x509.parse_certificate(der)
    held = x509.parse_certificate(own[4])
    if made.public_key != held.public_key:
        raise KeyRefused("est: expected a certificate of our key, got another's")
    if made.common_name != own[1]:
        raise KeyRefused("est: expected CN %s, got %s" % (own[1], made.common_name))
    if made.is_ca or x509.CLIENT_AUTH not in (made.extended_key_usage or ()):
        raise KeyRefused("est: expected a certificate of a TLS client, got another")
    if made.not_after <= port.now() or made.not_before < held.not_before:
        raise TrustError(
            "est: expected a newer certificate, got one that ends at %d" % made.not_after
        )
    changed = {}
    for key in own:
        changed[key] = own[key]
    changed[4] = der
    sealed.write(keys.root(), _OWN, cbor.encode(changed))
    return True
