"""COSE (RFC 9052): Sign1, Sign, Mac0 and Encrypt0; parsed, checked, made.

A signature is checked over the received bytes, never over a re-encoding (S19). Nothing here
returns a verdict: what does not verify raises.
"""

from uward import limits
from uward.codec import cbor
from uward.codec.cosekey import EC2, ES256, ESP256, HSS, HSS_LMS, Key, key_thumbprint
from uward.codec.cosekey import parse as parse_key
from uward.compat import const
from uward.crypto import aead
from uward.crypto.hash import equal, hmac, sha256
from uward.errors import BadMac, BadSignature, CodecError, KeyRefused, LimitError

ENCRYPT0 = const(16)
MAC0 = const(17)
SIGN1 = const(18)
SIGN = const(98)

ALG = const(1)
CRIT = const(2)
CONTENT_TYPE = const(3)
KID = const(4)
IV = const(5)
PARTIAL_IV = const(6)
KID_CONTEXT = const(10)

HMAC_256 = const(5)
AES_CCM_16_128_128 = const(30)
AES_CCM_16_128_256 = const(31)

_KNOWN = (ALG, CRIT, CONTENT_TYPE, KID, IV, PARTIAL_IV, KID_CONTEXT)
_BYTES = (KID, IV, PARTIAL_IV, KID_CONTEXT)
_FIELDS = {ENCRYPT0: 3, MAC0: 4, SIGN1: 4, SIGN: 4}
_CCM_KEY = {AES_CCM_16_128_128: 16, AES_CCM_16_128_256: 32}  # nonce 13, tag 16 (RFC 9053 4.2)

__all__ = ("Key", "key_thumbprint", "parse_key")


class Block:
    """One signature or MAC: protected (bytes as received), headers (both merged), value."""

    def __init__(self, protected, headers, value):
        self.protected = protected
        self.headers = headers
        self.value = value


class Message:
    """A parsed object: tag, protected, headers, payload (None: detached), blocks.

    payload is the ciphertext of an Encrypt0, which has no blocks. Sign1 and Mac0 have one block
    that shares the body's headers.
    """

    def __init__(self, tag, protected, headers, payload, blocks):
        self.tag = tag
        self.protected = protected
        self.headers = headers
        self.payload = payload
        self.blocks = blocks

    def structure(self, block=None, external_aad=b"", payload=None):
        """The bytes that are signed, MACed or authenticated (RFC 9052 4.4, 6.3, 5.3)."""
        if self.tag == ENCRYPT0:
            return cbor.encode(["Encrypt0", self.protected, external_aad])
        if (payload is None) == (self.payload is None):
            raise CodecError("cose: expected one payload, inside or detached")
        if payload is None:
            payload = self.payload
        if self.tag == SIGN:
            parts = ["Signature", self.protected, block.protected, external_aad, payload]
        else:
            context = "Signature1" if self.tag == SIGN1 else "MAC0"
            parts = [context, self.protected, external_aad, payload]
        return cbor.encode(parts)


def parse(data, *tags, ordered=True):
    """Bytes of one tagged object -> Message; its tag must be one of `tags`.

    ordered=False: maps of another implementation, see `cbor.decode`.
    """
    value = cbor.decode(data, ordered)
    if not isinstance(value, cbor.Tag) or value.number not in tags:
        got = value.number if isinstance(value, cbor.Tag) else "none"
        raise CodecError("cose: expected tag %s, got %s" % (tags, got))
    return from_array(value.number, value.value, ordered)


def from_array(tag, array, ordered=True):
    """The untagged array of an object whose kind the context says -> Message."""
    _check_array(array, _FIELDS[tag])
    protected, merged = headers(array[0], array[1], False, ordered)
    payload = array[2]
    if payload is not None and not isinstance(payload, bytes):
        raise CodecError("cose: expected a payload of bytes, got %s" % type(payload).__name__)
    if tag == ENCRYPT0:
        if payload is None:
            raise CodecError("cose: expected a ciphertext, got a detached one")
        blocks = ()
    elif tag == SIGN:
        blocks = _signatures(array[3], ordered)
    else:
        blocks = (_block(protected, merged, array[3]),)
    return Message(tag, protected, merged, payload, blocks)


def _check_array(array, size):
    if not isinstance(array, list) or len(array) != size:
        raise CodecError("cose: expected an array of %d, got %r" % (size, type(array).__name__))


def _block(protected, merged, value):
    if not isinstance(value, bytes):
        raise CodecError("cose: expected a signature of bytes, got %s" % type(value).__name__)
    return Block(protected, merged, value)


def _signatures(array, ordered):
    if not isinstance(array, list) or not array:
        raise CodecError("cose: expected signatures, got none")
    if len(array) > limits.COSE_SIGNATURES:
        raise LimitError(
            "cose: expected <= %d signatures, got %d" % (limits.COSE_SIGNATURES, len(array))
        )
    blocks = []
    for item in array:
        _check_array(item, 3)
        protected, merged = headers(item[0], item[1], False, ordered)
        blocks.append(_block(protected, merged, item[2]))
    return blocks


def headers(protected, unprotected, bare_alg=False, ordered=True):
    """The two header maps -> (protected bytes for the structure, merged map). S19.

    Refused: a label in both, the algorithm outside the protected one (bare_alg=True: A256CTR and
    A256KW have no protected header, RFC 9459 4), critical labels that we do not know.
    """
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        raise CodecError("cose: expected headers of bytes and map")
    inner = cbor.decode(protected, ordered) if protected else {}
    if not isinstance(inner, dict):
        raise CodecError("cose: expected a protected map, got %s" % type(inner).__name__)
    if not inner:
        protected = b""  # RFC 9052 4.4: h'a0' counts as h''
    if len(inner) + len(unprotected) > limits.COSE_HEADERS:
        raise LimitError("cose: expected <= %d headers, got more" % limits.COSE_HEADERS)
    if CRIT in unprotected or (ALG in unprotected and not bare_alg):
        raise CodecError("cose: expected alg and crit protected, got one unprotected")
    merged = dict(inner)
    for label in unprotected:
        if label in inner:
            raise CodecError("cose: expected a label once, got %r twice" % (label,))
        merged[label] = unprotected[label]
    _check_headers(merged, inner)
    return protected, merged


def _check_headers(merged, inner):
    for label in merged:
        if isinstance(label, bytes):
            raise CodecError("cose: expected labels int or str, got bytes")
    for label in _BYTES:
        if label in merged and not isinstance(merged[label], bytes):
            raise CodecError("cose: expected bytes in header %d, got another type" % label)
    if ALG in merged and not isinstance(merged[ALG], (int, str)):
        raise CodecError("cose: expected an algorithm int or str, got another type")
    if IV in merged and PARTIAL_IV in merged:
        raise CodecError("cose: expected IV or partial IV, got both")  # RFC 9052 3.1
    if CRIT not in inner:
        return
    critical = inner[CRIT]
    if not isinstance(critical, list) or not critical:
        raise CodecError("cose: expected labels in crit, got %r" % (critical,))
    for label in critical:
        if label not in _KNOWN or label not in inner:
            raise CodecError("cose: expected known labels in crit, got %r" % (label,))


# Signatures


def _ecdsa(key, structure, signature):
    from uward.crypto import p256  # imported when needed (S20)

    p256.verify(key.public, sha256(structure), signature)


def _hss(key, structure, signature):
    from uward.crypto import lms  # imported when needed (S20)

    lms.verify(key.public, structure, signature)


_VERIFIERS = {ES256: (EC2, _ecdsa), ESP256: (EC2, _ecdsa), HSS_LMS: (HSS, _hss)}


def verify(message, block, key, external_aad=b"", payload=None):
    """Check one signature block with a Key; payload: the detached one.

    Raises BadSignature, KeyRefused (key of another kind or algorithm) or CodecError.
    """
    alg = block.headers.get(ALG)
    if alg not in _VERIFIERS:
        raise CodecError("cose: expected algorithm -7, -9 or -46, got %r" % (alg,))
    kty, check = _VERIFIERS[alg]
    if key.kty != kty or key.alg not in (None, alg):
        raise KeyRefused("cose: expected a key for %d, got kty %d" % (alg, key.kty))
    if message.tag not in (SIGN1, SIGN):
        raise BadSignature("cose: expected a signed object, got tag %d" % message.tag)
    check(key, message.structure(block, external_aad, payload), block.value)


def sign1(sign, payload, protected=None, unprotected=None, external_aad=b"", detached=False):
    """-> bytes of a COSE_Sign1. sign(digest) -> 64 bytes: P-256 by software or secure element."""
    message = _new(SIGN1, protected or {ALG: ESP256}, unprotected, payload)
    signature = sign(sha256(message.structure(None, external_aad)))
    return _encode(message, unprotected, None if detached else payload, signature)


# MACs


def mac0(key, payload, protected=None, unprotected=None, external_aad=b""):
    """-> bytes of a COSE_Mac0 with HMAC 256/256; key: 32 bytes."""
    message = _new(MAC0, protected or {ALG: HMAC_256}, unprotected, payload)
    return _encode(message, unprotected, payload, _mac(message, key, external_aad, None))


def verify_mac(message, key, external_aad=b"", payload=None):
    """Raises BadMac, CodecError or KeyRefused."""
    if message.tag != MAC0:
        raise BadMac("cose: expected a Mac0, got tag %d" % message.tag)
    mac = _mac(message, key, external_aad, payload)
    if not equal(mac, message.blocks[0].value):
        raise BadMac("cose: expected a matching MAC, got another")


def _mac(message, key, external_aad, payload):
    if message.headers.get(ALG) != HMAC_256:
        raise CodecError("cose: expected algorithm 5, got %r" % (message.headers.get(ALG),))
    if len(key) != 32:
        raise KeyRefused("cose: expected a MAC key of 32 bytes, got %d" % len(key))
    return hmac(key, message.structure(None, external_aad, payload))


# Sealed messages


def encrypt0(key, plaintext, protected, unprotected=None, external_aad=b"", context_iv=None):
    """-> bytes of a COSE_Encrypt0; the headers name the algorithm and the IV or partial IV."""
    message = _new(ENCRYPT0, protected, unprotected, b"")
    nonce = _nonce(message, key, context_iv)
    sealed = aead.seal(key, nonce, plaintext, message.structure(None, external_aad))
    return _encode(message, unprotected, sealed)


def decrypt0(message, key, external_aad=b"", context_iv=None):
    """-> plaintext; BadMac, CodecError or KeyRefused."""
    if message.tag != ENCRYPT0:
        raise BadMac("cose: expected an Encrypt0, got tag %d" % message.tag)
    nonce = _nonce(message, key, context_iv)
    return aead.open(key, nonce, message.payload, message.structure(None, external_aad))


def _nonce(message, key, context_iv):
    """The IV, or context IV xor left-padded partial IV, 13 bytes (RFC 9052 3.1)."""
    alg = message.headers.get(ALG)
    if alg not in _CCM_KEY:
        raise CodecError("cose: expected algorithm 30 or 31, got %r" % (alg,))
    if len(key) != _CCM_KEY[alg]:
        raise KeyRefused("cose: expected a key of %d bytes, got %d" % (_CCM_KEY[alg], len(key)))
    partial = message.headers.get(PARTIAL_IV)
    if partial is None:
        nonce = message.headers.get(IV)
        if nonce is None or context_iv is not None:
            raise CodecError("cose: expected a partial IV for a context IV, else an IV")
    elif context_iv is None or len(context_iv) != 13 or len(partial) > 13:
        raise CodecError("cose: expected a context IV of 13 bytes and a partial IV of <= 13")
    else:
        mixed = int.from_bytes(context_iv, "big") ^ int.from_bytes(partial, "big")
        nonce = mixed.to_bytes(13, "big")
    if len(nonce) != 13:
        raise CodecError("cose: expected an IV of 13 bytes, got %d" % len(nonce))
    return nonce


def _new(tag, protected, unprotected, payload):
    raw, merged = headers(cbor.encode(protected), unprotected or {})
    return Message(tag, raw, merged, payload, ())


def _encode(message, unprotected, payload, *rest):
    array = [message.protected, unprotected or {}, payload]
    array.extend(rest)
    return cbor.encode(cbor.Tag(message.tag, array))
