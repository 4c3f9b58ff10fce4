"""Packs that a device sealed to the collector's public key when they happened (SPEC 8, S9). Pure.

They come inside an ordinary sealed message, as `[held bytes, time, quality]`: the device could
not read them again, so the time is put in here.
"""

from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools.fleet import codec

MARK = 0xFF
DENSE = 0xFE  # first byte of a dense pack before its time
EPHEMERAL = 64
COUNTER = 4
TAG = 16
NONCE = 13
HEAD = 1 + EPHEMERAL + COUNTER
INFO = b"uward held v1"
BASE_TIME = -3  # SenML label (RFC 8428 6)


def is_held(body: object) -> bool:
    """Whether a body is such a pack."""
    return isinstance(body, list) and bool(body) and isinstance(body[0], bytes)  # type: ignore[reportUnknownArgumentType]


def opened(private: ec.EllipticCurvePrivateKey, purpose: str, body: object) -> Any:
    """The body as if it had come plainly. Raises Malformed."""
    data, when, quality = codec.array(body, 3, "held pack")
    plain = _open(private, purpose, codec.blob(data, "held pack"))
    time = codec.encode(codec.uint(when, 2**53, "time"))
    if purpose == "event":
        return codec.decode(_longer(plain) + time + codec.encode(quality))
    if plain[:1] == bytes((DENSE,)):
        return codec.decode(_dated(plain, time))
    if len(plain) < 2 or len(plain) < plain[1] + 2:
        raise codec.Malformed("held pack: expected readings, got another")
    count, split = plain[0], plain[1] + 2
    head = bytes((0x80 | count,)) if count < 24 else bytes((0x98, count))
    return codec.decode(head + plain[2:split] + codec.encode(BASE_TIME) + time + plain[split:])


def _longer(plain: bytes) -> bytes:
    """An event before its time, as an array of two items more."""
    if plain[:1] not in (b"\x82", b"\x83"):
        raise codec.Malformed("held event: expected two or three items, got another")
    return bytes((plain[0] + 2,)) + plain[1:]


def _dated(plain: bytes, time: bytes) -> bytes:
    """A dense pack: `0xFE | u16 length of the head | head | steps` with its time, as CBOR."""
    end = 3 + int.from_bytes(plain[1:3], "big")
    if len(plain) < end:
        raise codec.Malformed(f"held dense pack: expected {end} bytes of head, got {len(plain)}")
    return b"\x88" + plain[3:end] + codec.encode(plain[end:]) + time


def _open(private: ec.EllipticCurvePrivateKey, purpose: str, data: bytes) -> bytes:
    if len(data) < HEAD + TAG or data[0] != MARK:
        raise codec.Malformed("held pack: expected 0xff, a key and a counter")
    point, counter = data[1 : 1 + EPHEMERAL], data[1 + EPHEMERAL : HEAD]
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
        shared = private.exchange(ec.ECDH(), public)
        key = HKDF(SHA256(), 16, point, INFO).derive(shared)
        nonce = counter.rjust(NONCE, b"\0")
        return AESCCM(key, TAG).decrypt(nonce, data[HEAD:], purpose.encode())
    except (ValueError, InvalidTag) as error:
        raise codec.Malformed("held pack: not sealed to this collector") from error
