"""Encrypted payloads (SPEC 5, S6): the group KEK opens the CEK, A256CTR opens the blocks."""

from uward.codec import cbor, cose
from uward.compat import const
from uward.crypto import aead, keywrap
from uward.errors import CodecError, CryptoError, UpdateRefused

_ENCRYPT = const(96)
_A256CTR = const(-65532)
_A256KW = const(-5)


def cipher(encryption, keks, block=0):
    """COSE_Encrypt and {kid: KEK of 32 bytes} -> aead.Ctr from 16-byte block `block` on.

    UpdateRefused `upd.malformed` for another form, `upd.refused` without the KEK.
    """
    try:
        iv, kid, wrapped = _parse(encryption)
    except CodecError as e:
        raise UpdateRefused("upd.malformed", str(e)) from e
    if kid not in keks:
        raise UpdateRefused("upd.refused", "payload: expected KEK %s, got none" % kid.hex())
    try:
        cek = keywrap.unwrap(keks[kid], wrapped)
    except CryptoError as e:
        raise UpdateRefused("upd.bad_digest", "payload: KEK %s: %s" % (kid.hex(), e)) from e
    if len(cek) != 32:
        raise UpdateRefused("upd.malformed", "payload: expected a CEK of 32 bytes, got another")
    return aead.Ctr(cek, iv, block)


def _parse(encryption):
    """-> IV, kid, wrapped CEK of the one recipient."""
    tagged = cbor.decode(encryption)
    if not isinstance(tagged, cbor.Tag) or tagged.number != _ENCRYPT:
        raise CodecError("payload: expected tag 96, got another object")
    body = _array(tagged.value, 4)
    iv = _headers(body, _A256CTR).get(cose.IV)
    recipient = _array(_array(body[3], 1)[0], 3)
    kid = _headers(recipient, _A256KW).get(cose.KID)
    if body[2] is not None or iv is None or len(iv) != 16 or kid is None:
        raise CodecError("payload: expected an IV of 16 bytes, a kid and no ciphertext")
    if not isinstance(recipient[2], bytes):
        raise CodecError("payload: expected a wrapped key, got another type")
    return iv, kid, recipient[2]


def _array(value, size):
    if not isinstance(value, list) or len(value) != size:
        raise CodecError("payload: expected an array of %d, got another" % size)
    return value


def _headers(array, alg):
    """Both header maps; the algorithms have no protected header (RFC 9459 4, RFC 9053 6.2)."""
    protected, merged = cose.headers(array[0], array[1], bare_alg=True)
    if protected or merged.get(cose.ALG) != alg:
        raise CodecError("payload: expected algorithm %d, got another" % alg)
    return merged
