"""Payload encryption of the update profile: A256CTR content, CEK under A256KW (SPEC 5, S6)."""

import secrets

from cbor2 import CBORTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from host_tools.errors import Refused, UsageError
from host_tools.signing import cose, suit

CEK_SIZE, IV_SIZE, KEK_SIZE = 32, 16, 32  # bytes


def encrypt(image: bytes, kid: bytes, kek: bytes) -> tuple[bytes, bytes]:
    """(payload, encryption-info): content key and IV are fresh for every call.

    CTR has no integrity; the manifest's digest of the plaintext gives it. Raises UsageError.
    """
    # draft-ietf-suit-firmware-encryption; RFC 9459 4: no protected header, 16-byte IV
    _check_kek(kek)
    cek, iv = secrets.token_bytes(CEK_SIZE), secrets.token_bytes(IV_SIZE)
    recipient = [b"", {cose.ALG: suit.A256KW, cose.KID: kid}, aes_key_wrap(kek, cek)]
    body = [b"", {cose.ALG: suit.A256CTR, suit.IV: iv}, None, [recipient]]
    return _ctr(cek, iv, image), cose.encode(CBORTag(cose.TAG_ENCRYPT, body))


def decrypt(payload: bytes, encryption_info: bytes, kek: bytes) -> bytes:
    """The plaintext image; nothing is checked about it. Raises Refused for a wrong KEK."""
    _check_kek(kek)
    iv, _, wrapped = _parts(encryption_info)
    try:
        return _ctr(aes_key_unwrap(kek, wrapped), iv, payload)
    except InvalidUnwrap as error:
        raise Refused("the group KEK is not the one that wraps this payload's key") from error


def kek_kid(encryption_info: bytes) -> bytes:
    """The kid of the KEK that wraps the content key. Raises Refused."""
    return _parts(encryption_info)[1]


def _parts(encryption_info: bytes) -> tuple[bytes, bytes, bytes]:
    what = "encryption-info"
    body = cose.tagged(encryption_info, cose.TAG_ENCRYPT, 4, what)
    (recipient,) = cose.array(body[3], 1, what)
    protected, headers, wrapped = cose.array(recipient, 3, what)
    content, wrapping = cose.mapping(body[1], what), cose.mapping(headers, what)
    algorithms_used = content.get(cose.ALG), wrapping.get(cose.ALG)
    if (body[0], protected) != (b"", b"") or algorithms_used != (suit.A256CTR, suit.A256KW):
        raise Refused(f"{what}: expected A256CTR under A256KW, got {algorithms_used}")
    iv, kid = content.get(suit.IV), wrapping.get(cose.KID)
    if not (isinstance(iv, bytes) and isinstance(kid, bytes) and isinstance(wrapped, bytes)):
        raise Refused(f"{what}: expected an IV, a kid and a wrapped key as byte strings")
    if len(iv) != IV_SIZE:
        raise Refused(f"{what}: expected an IV of {IV_SIZE} bytes, got {len(iv)}")
    return iv, kid, wrapped


def _ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _check_kek(kek: bytes) -> None:
    if len(kek) != KEK_SIZE:
        raise UsageError(f"KEK: expected {KEK_SIZE} bytes, got {len(kek)}")
