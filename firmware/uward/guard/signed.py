"""COSE_Sign and COSE_Sign1 in the one form that commands, policies and results have (SPEC 11).

Stricter than `codec.cose` and a fraction of its size: what is here is loaded beside a TLS session.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto import p256
from uward.crypto.hash import sha256
from uward.errors import CodecError

_SIGN = const(98)
_SIGN1 = const(18)
_KID = const(4)
_SIGNATURE = const(64)
_ESP256 = b"\xa1\x01\x28"  # {1: -9}, the only protected header


def parse(data, most, what):
    """-> (payload, [(kid, signature), ...]) of a COSE_Sign of at most `most` bytes. CodecError."""
    if len(data) > most:
        raise CodecError("%s: expected <= %d bytes, got %d" % (what, most, len(data)))
    value = cbor.decode(data)
    body = value.value if isinstance(value, cbor.Tag) and value.number == _SIGN else None
    if not isinstance(body, list) or len(body) != 4 or body[0] != b"" or body[1] != {}:
        raise CodecError("%s: expected a COSE_Sign with empty headers, got another" % what)
    payload, blocks = body[2], body[3]
    if not isinstance(payload, bytes) or not isinstance(blocks, list):
        raise CodecError("%s: expected a payload and signatures, got another" % what)
    if not 0 < len(blocks) <= limits.COSE_SIGNATURES:
        raise CodecError("%s: expected 1..%d signatures" % (what, limits.COSE_SIGNATURES))
    return payload, [_block(block, what) for block in blocks]


def _block(block, what):
    if not isinstance(block, list) or len(block) != 3 or block[0] != _ESP256:
        raise CodecError("%s: expected a signature by ESP256, got another" % what)
    headers, signature = block[1], block[2]
    if not isinstance(headers, dict) or list(headers) != [_KID]:
        raise CodecError("%s: expected a kid and nothing else unprotected" % what)
    kid = headers[_KID]
    if not isinstance(kid, bytes) or not isinstance(signature, bytes):
        raise CodecError("%s: expected kid and signature in bytes" % what)
    if len(signature) != _SIGNATURE:
        raise CodecError("%s: expected %d bytes of signature" % (what, _SIGNATURE))
    return kid, signature


def digest(payload, domain):
    """-> SHA-256 of what each signer signs (RFC 9052 4.4); the payload as it was received."""
    return sha256(cbor.encode(["Signature", b"", _ESP256, domain, payload]))


def sign1(private, payload, domain):
    """-> COSE_Sign1 bytes. private: P-256 key, 32 bytes."""
    structure = cbor.encode(["Signature1", _ESP256, domain, payload])
    signature = p256.sign(private, sha256(structure))
    return cbor.encode(cbor.Tag(_SIGN1, [_ESP256, {}, payload, signature]))
