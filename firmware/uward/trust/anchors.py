"""Trust documents (SPEC 4, S7): who may say what. Pure: bytes in, Document or a refusal out.

A threshold counts distinct keys of a role that signed; a kid only says which key to try first.
"""

from uward import limits
from uward.codec import cbor, cose
from uward.codec.cosekey import ECDH_SS, ESP256, HSS_LMS
from uward.codec.cosekey import parse as parse_key
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import BadSignature, CodecError, KeyRefused, TrustError, UpdateRefused
from uward.trust import suit

ROOT = const(0)
RELEASE = const(1)
APPROVER = const(2)
OPERATOR = const(3)
ADMIN = const(4)
TIME = const(5)
COLLECTOR = const(6)
LOG = const(7)
POLICY = const(8)
BREAKGLASS = const(9)

_NAMES = ("root", "release", "approver", "operator", "admin", "time", "collector", "log")
_NAMES += ("policy", "breakglass")
_DOMAIN = b"uward.trust.v1"
_SHORT = const(16)  # bytes of a digest in the boot record


def name(role):
    """What a role is called (SPEC 4)."""
    return _NAMES[role]


class Document:
    """version, fleet, issued, expires (unix seconds), anchors [DER], previous digest or None.

    roles: {role: (threshold, [(holder, Key)])}; digest: SHA-256 of the payload; resets_clock:
    the floor of the clock falls back to `issued` (S10).
    """

    def __init__(self, message, payload, wanted=None):
        self.digest = sha256(message.payload)
        self.message = message
        self.version = _uint(payload, 1)
        self.fleet = _sized(payload.get(2), 16, "fleet id")
        self.issued = _uint(payload, 3)
        self.expires = _uint(payload, 4)
        self.roles = _roles(payload.get(5), wanted)
        self.anchors = _list(payload.get(6), limits.TRUST_ANCHORS, "anchors")
        for der in self.anchors:
            if not isinstance(der, bytes):
                raise CodecError("trust: expected anchors in DER, got another type")
        self.revoked = _list(payload.get(7, []), limits.TRUST_REVOKED, "revoked thumbprints")
        self.previous = payload.get(8)
        self.resets_clock = 9 in payload
        if self.resets_clock and payload[9] is not True:
            raise CodecError("trust: expected true as member 9, got %r" % (payload[9],))
        if self.version > 1 or 8 in payload:
            _sized(self.previous, 32, "digest of the previous document")

    def keys(self, role):
        """-> (threshold, [Key]) without those revoked; a role that is absent has no keys."""
        threshold, holders = self.roles.get(role, (1, ()))
        keys = [key for _, key in holders]
        if self.revoked:
            keys = [key for key in keys if key.thumbprint() not in self.revoked]
        return threshold, keys


def parse(data):
    """Bytes -> Document; nobody has checked its signatures. CodecError, KeyRefused, TrustError."""
    message = cose.parse(data, cose.SIGN)
    if message.payload is None:
        raise CodecError("trust: expected a payload inside, got none")
    values = [block.value for block in message.blocks]
    if len(set(values)) < len(values):
        raise CodecError("trust: expected each signature once, got one twice")
    return Document(message, _payload(message.payload))


def judged(data, digest, wanted):
    """Bytes of a document that was accepted before; only some roles of it.

    digest: its first 16 bytes, as a slot's record keeps them (SPEC 6).
    """
    value = cbor.decode(data)
    body = value.value if isinstance(value, cbor.Tag) else None
    payload = body[2] if isinstance(body, list) and len(body) == 4 else None
    if not isinstance(payload, bytes) or sha256(payload)[:_SHORT] != digest:
        raise TrustError("trust: expected the document that was accepted, got another")
    message = cose.Message(cose.SIGN, b"", {}, payload, ())
    return Document(message, _payload(payload), wanted)


def _payload(raw):
    payload = cbor.decode(raw)
    if not isinstance(payload, dict):
        raise CodecError("trust: expected a map, got %s" % type(payload).__name__)
    for key in payload:
        if type(key) is not int or not 1 <= key <= 9:
            raise CodecError("trust: expected members 1..9, got %r" % (key,))
    return payload


def accept_first(document, threshold, thumbprints, fleet):
    """Believe the factory's document: signed by enough of the root keys that stage 0 pins."""
    _same_fleet(document, fleet)
    own, keys = document.keys(ROOT)
    pinned = [key for key in keys if key.thumbprint() in thumbprints]
    if len(pinned) < len(keys):
        raise TrustError("trust: expected only pinned root keys, got another")
    _demand_root(document, max(own, threshold), keys)


def accept_next(document, current):
    """Believe a new document: the next version, signed by the old *and* the new root (S7)."""
    _same_fleet(document, current.fleet)
    if document.version != current.version + 1:
        raise TrustError(
            "trust: expected version %d, got %d" % (current.version + 1, document.version)
        )
    if document.previous != current.digest:
        raise TrustError("trust: expected to follow version %d, got another" % current.version)
    _demand_root(document, *current.keys(ROOT))
    _demand_root(document, *document.keys(ROOT))


def _same_fleet(document, fleet):
    if document.fleet != fleet:
        raise TrustError("trust: expected fleet %s, got %s" % (fleet.hex(), document.fleet.hex()))


def count(message, threshold, keys, domain):
    """-> how many distinct keys signed a COSE_Sign; it stops at the threshold (S7)."""

    def check(block, key):
        cose.verify(message, block, key, domain)

    signed = [(block, block.headers) for block in message.blocks]
    return _count(threshold, keys, signed, check)[0]


def _demand_root(document, threshold, keys):
    got = count(document.message, threshold, keys, _DOMAIN)
    if got < threshold:
        raise TrustError("trust: expected %d of role root, got %d" % (threshold, got))


def release(document, envelope):
    """A release is signed by the thresholds of `release` and of `approver` (the two-person rule).

    UpdateRefused `upd.quorum` names the role that is missing, `upd.bad_sig` the one whose
    signature is wrong.
    """

    def check(message, key):
        suit.check(envelope, message, key)

    signed = [(message, message.headers) for message in envelope.signatures]
    for role in (RELEASE, APPROVER):
        threshold, keys = document.keys(role)
        got, forged = _count(threshold, keys, signed, check)
        if got < threshold:
            raise UpdateRefused(
                "upd.bad_sig" if forged or not signed else "upd.quorum",
                "expected %d of role %s, got %d" % (threshold, _NAMES[role], got),
            )


def _count(threshold, keys, signed, check):
    """-> (distinct keys that signed, whether a signature is not by the key that its kid names).

    First each block against the key of its kid, then the rest; stops at the threshold.
    """
    valid = []
    forged = False
    kids = [key.thumbprint()[:8] for key in keys]
    for hint in (True, False):
        for block, headers in signed:
            for i in range(len(keys)):
                if len(valid) >= threshold:
                    return len(valid), forged
                key = keys[i]
                likely = headers.get(cose.KID) == kids[i]
                if key in valid or likely != hint or headers.get(cose.ALG) != key.alg:
                    continue
                try:
                    check(block, key)
                except (BadSignature, KeyRefused):
                    forged |= hint
                    continue
                valid.append(key)
    return len(valid), forged


def _roles(value, wanted):
    if not isinstance(value, dict):
        raise CodecError("trust: expected roles in a map, got %s" % type(value).__name__)
    roles = {}
    seen = []
    for role in value:
        if type(role) is not int or not 0 <= role < len(_NAMES):
            raise TrustError("trust: expected a role in 0..9, got %r" % (role,))
        if not isinstance(value[role], bytes):
            raise CodecError("trust: expected role %s in bytes, got another" % _NAMES[role])
        if wanted is None or role in wanted:
            roles[role] = _role(role, cbor.decode(value[role]), seen)
    if wanted is not None:
        return roles
    for role in (ROOT, RELEASE, APPROVER):
        if role not in roles:
            raise TrustError("trust: expected role %s, got none" % _NAMES[role])
    if HSS_LMS not in [key.alg for _, key in roles[ROOT][1]]:
        raise TrustError("trust: expected an HSS-LMS key in role root, got none")
    return roles


def _role(role, value, seen):
    name = _NAMES[role]
    if not isinstance(value, list) or len(value) != 2:
        raise CodecError("trust: expected threshold and keys of %s, got another" % name)
    threshold = value[0]
    holders = []
    names = []
    for item in _list(value[1], limits.TRUST_KEYS, "keys of " + name):
        if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
            raise CodecError("trust: expected holder and key in %s, got another" % name)
        key = parse_key(item[1])
        if key.alg not in ((ECDH_SS,) if role == COLLECTOR else (ESP256, HSS_LMS)):
            raise TrustError("trust: expected another algorithm in %s, got %r" % (name, key.alg))
        if key.public in seen:
            raise TrustError("trust: expected each key once, got one twice in %s" % name)
        if item[0] in names:
            raise TrustError("trust: expected each holder once, got %s twice" % item[0])
        seen.append(key.public)
        names.append(item[0])
        holders.append((item[0], key))
    if type(threshold) is not int or not 1 <= threshold <= len(holders):
        raise TrustError(
            "trust: expected a threshold in 1..%d of %s, got %r" % (len(holders), name, threshold)
        )
    return threshold, holders


def _uint(payload, key):
    value = payload.get(key)
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise CodecError("trust: expected member %d as u32, got %r" % (key, value))
    return value


def _sized(value, size, what):
    if not isinstance(value, bytes) or len(value) != size:
        raise CodecError("trust: expected %d bytes as %s, got another" % (size, what))
    return value


def _list(value, most, what):
    if not isinstance(value, list) or len(value) > most:
        raise CodecError("trust: expected <= %d %s, got another" % (most, what))
    return value
