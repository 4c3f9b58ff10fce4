"""COSE_Key of the public keys that we trust (RFC 9052 7, RFC 9053 7.1, RFC 8778), thumbprints."""

from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, KeyRefused

EC2 = const(2)
HSS = const(5)
ES256 = const(-7)
ESP256 = const(-9)
ECDH_SS = const(-27)  # ECDH-SS + HKDF-256: a key that agrees, never signs
HSS_LMS = const(-46)

_ALGORITHMS = {EC2: (ES256, ESP256, ECDH_SS), HSS: (HSS_LMS,)}


class Key:
    """A public key: kty, alg (None if unstated), kid (None if unstated) and public.

    public: x | y, 64 bytes (EC2, P-256), or the HSS public key (HSS).
    """

    def __init__(self, kty, public, alg=None, kid=None):
        self.kty = kty
        self.public = public
        self.alg = alg
        self.kid = kid

    def required(self):
        """The members that a thumbprint covers (RFC 9679 4)."""
        if self.kty == HSS:
            return {1: HSS, -1: self.public}
        return {1: EC2, -1: 1, -2: self.public[:32], -3: self.public[32:]}

    def to_map(self):
        members = self.required()
        if self.alg is not None:
            members[3] = self.alg
        if self.kid is not None:
            members[2] = self.kid
        return members

    def thumbprint(self):
        """SHA-256, 32 bytes (RFC 9679 3)."""
        return sha256(cbor.encode(self.required()))


def parse(members):
    """COSE_Key map (or its bytes) -> Key. CodecError for its form, KeyRefused for its kind."""
    if isinstance(members, bytes):
        members = cbor.decode(members)
    if not isinstance(members, dict):
        raise CodecError("cose key: expected a map, got %s" % type(members).__name__)
    kty = members.get(1)
    if kty == EC2:
        known = (1, 2, 3, -1, -2, -3)
        public = _point(members)
    elif kty == HSS:
        known = (1, 2, 3, -1)
        public = _bytes(members, -1)
    else:
        raise KeyRefused("cose key: expected kty 2 or 5, got %r" % (kty,))
    for label in members:
        if label not in known:
            raise CodecError("cose key: expected known labels, got %r" % (label,))
    alg = members.get(3)
    if alg is not None and alg not in _ALGORITHMS[kty]:
        raise KeyRefused("cose key: expected an algorithm of kty %d, got %r" % (kty, alg))
    return Key(kty, public, alg, _bytes(members, 2) if 2 in members else None)


def _point(members):
    if members.get(-1) != 1:
        raise KeyRefused("cose key: expected curve P-256 (1), got %r" % (members.get(-1),))
    x = _bytes(members, -2)
    y = _bytes(members, -3)
    if len(x) != 32 or len(y) != 32:
        raise KeyRefused("cose key: expected 32 bytes each, got %d and %d" % (len(x), len(y)))
    return x + y


def _bytes(members, label):
    value = members.get(label)
    if not isinstance(value, bytes):
        raise CodecError("cose key: expected bytes at %d, got %s" % (label, type(value).__name__))
    return value


def key_thumbprint(members):
    """COSE_Key map -> its RFC 9679 thumbprint, 32 bytes."""
    return parse(members).thumbprint()
