"""A new key pair, and a certificate for it: asked for over the live session, kept beside the old
pair until a connection has proved it (SPEC 8, RFC 7030 4.2.2).

    /id/renew {2: key}                  asked for; the key is there before anybody hears of it
    /id/renew {2: key, 4: certificate}  given; the next connection shows it
    /id/dev                             takes both over when that connection's time is proved

So a cut at any step leaves a pair that works, and so does a certificate that the broker refuses:
the connection after that one shows the old pair, and once it is proved the new one is forgotten.
Loaded when two thirds of a certificate's life are over, dropped afterwards (S20).
"""

import os

from uward import limits, port
from uward.codec import cbor
from uward.crypto import p256, rng
from uward.errors import KeyRefused, ProtocolError, TrustError
from uward.trust import x509
from uward.vault import keys, sealed

_OWN = "/id/dev"
_NEW = "/id/renew"
_DOMAIN = b"uward.renew.v1"
_ENOENT = 2


def own():
    """-> /id/dev (SPEC 6)."""
    return cbor.decode(sealed.read(keys.root(), _OWN))


def _pending():
    """-> /id/renew, or None."""
    try:
        return cbor.decode(sealed.read(keys.root(), _NEW))
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return None


def request(device, secret):
    """-> PKCS#10 for this key: its signature proves that we have it (RFC 2986 4.2)."""

    def sign(digest):
        return p256.sign(secret, digest)

    return x509.csr(device, p256.public_key(secret), sign)


def proved(agent, uplink):
    """The time of a session is proved, and with it the pair that its connection has shown; ask
    for the next one when it is time."""
    station = uplink.station
    if station.trial is not None:
        _judge(agent, station.trial)
        station.trial = None
    if station.renewal_due():
        ask(uplink)


def _judge(agent, shown):
    """shown: whether this session was made with the new pair; else the new one has failed."""
    new, held = _pending(), own()
    if shown and held[4] != new[4]:  # the same after a cut between the two steps
        held[2], held[4] = new[2], new[4]
        sealed.write(keys.root(), _OWN, cbor.encode(held))
        agent.event("id.renewed", "a new key, proved by this connection")
    elif not shown:
        agent.event("id.kept", "no connection could be made with the new key")
    os.remove(_NEW)


def ask(uplink):
    """`up/est`: the new key asks, the present one vouches for it."""
    held, new = own(), _pending()
    if new is None:
        new = {2: p256.keygen(rng.random)[0]}
        sealed.write(keys.root(), _NEW, cbor.encode(new))
    from uward.guard import signed

    uplink.tell("est", ["renew", signed.sign1(held[2], request(held[1], new[2]), _DOMAIN)])


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
    if _keep_new(own(), value[1]):
        agent.event("id.issued", "for a new key, which the next connection shows")
    elif keep(own(), value[1]):
        agent.event("id.renewed", "over MQTT")


def refused(reason):
    """-> the error that says why no certificate was given; text of a peer, so it is cut."""
    error = TrustError("est: %s" % str(reason)[: limits.REASON_CHARS])
    error.event = "id.refused"
    return error


def _keep_new(held, der):
    """A certificate of the new key goes beside it. -> False when it is of another key."""
    new = _pending()
    if new is None:
        return False
    public = p256.public_key(new[2])
    if x509.parse_certificate(der).public_key != public:
        return False
    _check(held, der, public)
    new[4] = der
    sealed.write(keys.root(), _NEW, cbor.encode(new))
    return True


def keep(held, der):
    """Write a certificate that is of the present key, and newer. -> False when it is the one that
    we have. KeyRefused, TrustError."""
    if der == held[4]:
        return False
    _check(held, der, x509.parse_certificate(held[4]).public_key)
    held[4] = der
    sealed.write(keys.root(), _OWN, cbor.encode(held))
    return True


def _check(held, der, public):
    """Nothing but a newer TLS client's certificate of this key and our name is kept."""
    made = x509.parse_certificate(der)
    before = x509.parse_certificate(held[4])
    if made.public_key != public:
        raise KeyRefused("est: expected a certificate of our key, got another's")
    if made.common_name != held[1]:
        raise KeyRefused("est: expected CN %s, got %s" % (held[1], made.common_name))
    if made.is_ca or x509.CLIENT_AUTH not in (made.extended_key_usage or ()):
        raise KeyRefused("est: expected a certificate of a TLS client, got another")
    if made.not_after <= port.now() or made.not_before < before.not_before:
        raise TrustError(
            "est: expected a newer certificate, got one that ends at %d" % made.not_after
        )
