"""SUIT envelopes (draft-ietf-suit-manifest-37): bytes -> Envelope, one signature checked. Pure.

What a manifest demands is decided in `trust/decide.py`; whose signatures count, in `anchors`.
"""

from uward import limits
from uward.codec import cbor, cose
from uward.compat import const
from uward.crypto.hash import equal, sha256
from uward.errors import BadDigest, BadSignature, CodecError, LimitError

_TAG = const(107)
_AUTH = const(2)
_MANIFEST = const(3)
_SHA256 = const(-16)
_SEVERABLE = (14, 15, 16, 18, 20, 23)  # members that may stand beside the manifest
_MANIFEST_KEYS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 18, 20, 23, 24)


class Envelope:
    """digest: of the manifest, 32 bytes; manifest: map; members: severable ones, key -> bytes.

    signatures: Sign1 messages; signed: the bytes that each of them signs (a bstr's content).
    """

    def __init__(self, signed, digest, signatures, manifest, members):
        self.signed = signed
        self.digest = digest
        self.signatures = signatures
        self.manifest = manifest
        self.members = members

    def section(self, key):
        """Bytes of a command sequence in the manifest or beside it; None when it has none."""
        section = self.manifest.get(key)
        if isinstance(section, list):
            if key not in self.members:
                raise CodecError("suit: expected severed member %d in the envelope" % key)
            return self.members[key]
        return section


def parse(data):
    """Bytes -> Envelope, whose digests match and whose signatures nobody has checked yet.

    Raises BadDigest, CodecError or LimitError (S19: duplicates, unknown keys, indefinite lengths).
    """
    if len(data) > limits.ENVELOPE_BYTES:
        raise LimitError("suit: expected <= %d bytes, got %d" % (limits.ENVELOPE_BYTES, len(data)))
    tagged = cbor.decode(data)
    if not isinstance(tagged, cbor.Tag) or tagged.number != _TAG:
        raise CodecError("suit: expected tag 107, got another object")
    box = _map(tagged.value, "envelope")
    for key in box:
        if key != _AUTH and key != _MANIFEST and key not in _SEVERABLE:
            raise CodecError("suit: expected a known envelope member, got %r" % (key,))
        _bytes(box[key], "member %d" % key)
    if _AUTH not in box or _MANIFEST not in box:
        raise CodecError("suit: expected members 2 and 3, got %s" % sorted(box))
    signed, signatures = _authentication(box[_AUTH])
    digest = _digest(cbor.decode(signed), "authentication wrapper")
    _match(box[_MANIFEST], digest, "manifest")
    manifest = _manifest(box[_MANIFEST])
    members = {}
    for key in box:
        if key in _SEVERABLE:
            _match(box[key], _digest(manifest.get(key), "member %d" % key), "member %d" % key)
            members[key] = box[key]
    return Envelope(signed, digest, signatures, manifest, members)


def verify(envelope, key):
    """Check that one of the signatures is by a `cose.Key`. Raises BadSignature or another."""
    refusal = BadSignature("suit: expected a signature, got no authentication block")
    for message in envelope.signatures:
        try:
            return check(envelope, message, key)
        except BadSignature as e:
            refusal = e
    raise refusal


def check(envelope, message, key):
    """Check one signature: Sign1 over the digest, payload detached (RFC 9052 4.4)."""
    cose.verify(message, message.blocks[0], key, payload=envelope.signed)


def _authentication(raw):
    wrapper = cbor.decode(raw)
    if not isinstance(wrapper, list) or not wrapper:
        raise CodecError("suit: expected a digest and signatures, got none")
    if len(wrapper) - 1 > limits.COSE_SIGNATURES:
        raise LimitError(
            "suit: expected <= %d signatures, got %d" % (limits.COSE_SIGNATURES, len(wrapper) - 1)
        )
    signatures = []
    for i in range(1, len(wrapper)):
        if wrapper[i] in wrapper[1:i]:
            raise CodecError("suit: expected each signature block once, got one twice")
        message = cose.parse(_bytes(wrapper[i], "signature block"), cose.SIGN1)
        if message.payload is not None:
            raise CodecError("suit: expected a detached payload, got one inside")
        signatures.append(message)
    return _bytes(wrapper[0], "digest"), signatures


def _manifest(raw):
    manifest = _map(cbor.decode(raw), "manifest")
    for key in manifest:
        if key not in _MANIFEST_KEYS:
            raise CodecError("suit: expected a known manifest member, got %r" % (key,))
    if manifest.get(1) != 1:
        raise CodecError("suit: expected manifest version 1, got %r" % (manifest.get(1),))
    sequence = manifest.get(2)
    if type(sequence) is not int or not 0 <= sequence < 1 << 32:
        raise CodecError("suit: expected a sequence number u32, got %r" % (sequence,))
    _bytes(manifest.get(3), "common")
    return manifest


def _digest(value, what):
    """A SUIT_Digest [-16, 32 bytes] -> the bytes."""
    if not isinstance(value, list) or len(value) != 2 or value[0] != _SHA256:
        raise CodecError("suit: expected a SHA-256 digest for the %s, got another" % what)
    if len(_bytes(value[1], "digest")) != 32:
        raise CodecError("suit: expected 32 bytes of digest, got %d" % len(value[1]))
    return value[1]


def digest(raw):
    """bstr content holding a SUIT_Digest -> 32 bytes."""
    return _digest(cbor.decode(_bytes(raw, "image digest")), "image")


def _match(raw, digest, what):
    """The digest covers the member with the header of its byte string (draft 8.3, 8.4.12)."""
    if not equal(sha256(cbor.encode(raw)), digest):
        raise BadDigest("suit: expected the %s to match its digest, got another" % what)


def _map(value, what):
    if not isinstance(value, dict):
        raise CodecError("suit: expected a map as %s, got %s" % (what, type(value).__name__))
    return value


def _bytes(value, what):
    if not isinstance(value, bytes):
        raise CodecError("suit: expected bytes as %s, got %s" % (what, type(value).__name__))
    return value
