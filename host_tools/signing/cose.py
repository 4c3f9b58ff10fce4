"""COSE for the host (RFC 9052, 9053, 8778, 9679): deterministic CBOR, Sig_structures, keys, Sign1.

Written from the standards with cbor2 and cryptography, independently of the device's codec.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from typing import Any, Protocol, cast

from cbor2 import CBORDecodeError, CBORTag, dumps, loads
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from host_tools.errors import Refused

# The library has no types.
pyhsslms: Any = import_module("pyhsslms")

ESP256, ES256, HSS_LMS, ECDH_SS_HKDF_256 = -9, -7, -46, -27
ALGORITHMS = {ESP256: "ESP256", HSS_LMS: "HSS-LMS", ECDH_SS_HKDF_256: "ECDH-SS+HKDF-256"}
TAG_SIGN1, TAG_ENCRYPT, TAG_SIGN = 18, 96, 98
ALG, KID = 1, 4  # header parameters
KTY, KEY_ALG, CRV, X, Y, HSS_PUB = 1, 3, -1, -2, -3, -1  # COSE_Key members
KTY_EC2, KTY_HSS_LMS, P256 = 2, 5, 1
KID_SIZE = 8  # bytes of the thumbprint: a hint only (S7)
COORDINATE = 32  # bytes of x, y, r and s on P-256
MAX_BLOCKS = 4  # signatures an object (S7)


class Signer(Protocol):
    """Whatever signs: a key file here, a token or a colleague's machine elsewhere."""

    @property
    def public(self) -> "PublicKey": ...

    def sign(self, message: bytes) -> bytes:
        """The signature over `message` (a Sig_structure)."""
        ...


@dataclass(frozen=True)
class PublicKey:
    """A COSE_Key that we know how to use; two are equal when their bytes are."""

    encoded: bytes

    @property
    def members(self) -> dict[int, Any]:
        return cast(dict[int, Any], loads(self.encoded))

    @property
    def alg(self) -> int:
        return cast(int, self.members[KEY_ALG])

    @property
    def thumbprint(self) -> bytes:
        """RFC 9679: SHA-256 over the required members only, 32 bytes."""
        members = self.members
        members.pop(KEY_ALG)
        return sha256(encode(members)).digest()

    @property
    def kid(self) -> bytes:
        return self.thumbprint[:KID_SIZE]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises Refused when the signature is not this key's over `message`."""
        if not self.accepts(message, signature):
            raise Refused(
                f"the {ALGORITHMS[self.alg]} signature does not verify with key {self.kid.hex()}"
            )

    def accepts(self, message: bytes, signature: bytes) -> bool:
        members = self.members
        if self.alg == HSS_LMS:
            return _hss_accepts(members[HSS_PUB], message, signature)
        if self.alg == ESP256:
            return _esp256_accepts(members[X], members[Y], message, signature)
        return False


def encode(value: object) -> bytes:
    """Deterministic CBOR (RFC 8949 4.2.1); there are no floats in what we sign."""
    return dumps(_ordered(value))


def decode(data: object, what: str) -> Any:
    """The value of `data`. Raises Refused when it is not exactly its deterministic encoding."""
    if not isinstance(data, bytes):
        raise Refused(f"{what}: expected a byte string, got {type(data).__name__}")
    try:
        value: Any = loads(data)
    except (CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise Refused(f"{what}: expected CBOR, got {len(data)} bytes that are not") from error
    if encode(value) != data:
        raise Refused(f"{what}: not in deterministic encoding (RFC 8949 4.2.1)")
    return value


def tagged(data: bytes, tag: int, count: int, what: str) -> list[Any]:
    """The members of a tagged array of `count`. Raises Refused."""
    value = decode(data, what)
    if not isinstance(value, CBORTag) or value.tag != tag:
        raise Refused(f"{what}: expected CBOR tag {tag}")
    return array(value.value, count, what)


def items(value: object, what: str) -> list[Any]:
    """The items of an array. Raises Refused (cbor2 gives a tuple inside a tag)."""
    if not isinstance(value, (list, tuple)):
        raise Refused(f"{what}: expected an array, got {type(value).__name__}")
    return list(cast(list[Any], value))


def array(value: object, count: int, what: str) -> list[Any]:
    """The items of an array of `count`. Raises Refused."""
    found = items(value, what)
    if len(found) != count:
        raise Refused(f"{what}: expected an array of {count}, got {len(found)}")
    return found


def mapping(value: object, what: str) -> dict[Any, Any]:
    """The members of a map. Raises Refused (cbor2 gives an immutable one inside a tag)."""
    if not isinstance(value, Mapping):
        raise Refused(f"{what}: expected a map, got {type(value).__name__}")
    return dict(cast(Mapping[Any, Any], value))


def ec2_key(public: ec.EllipticCurvePublicKey, alg: int = ESP256) -> PublicKey:
    """COSE_Key of a P-256 key for `alg` (SPEC 1)."""
    numbers = public.public_numbers()
    x, y = (value.to_bytes(COORDINATE, "big") for value in (numbers.x, numbers.y))
    return public_key({KTY: KTY_EC2, KEY_ALG: alg, CRV: P256, X: x, Y: y})


def hss_key(public: bytes) -> PublicKey:
    """COSE_Key of an HSS public key (RFC 8778)."""
    return public_key({KTY: KTY_HSS_LMS, KEY_ALG: HSS_LMS, HSS_PUB: public})


def public_key(members: Any) -> PublicKey:
    """A COSE_Key from its members. Raises Refused for one that SPEC 1 does not know."""
    known: dict[int, Any] = mapping(members, "COSE_Key")
    kind, alg = known.get(KTY), known.get(KEY_ALG)
    if kind == KTY_EC2 and alg in (ESP256, ECDH_SS_HKDF_256):
        _check_ec2(known)
    elif kind == KTY_HSS_LMS and alg == HSS_LMS:
        _check_hss(known)
    else:
        raise Refused(f"COSE_Key: key type {kind!r} with algorithm {alg!r} is not used here")
    return PublicKey(encode(known))


def sig_structure1(protected: bytes, payload: bytes, aad: bytes = b"") -> bytes:
    """What a COSE_Sign1 signer signs (RFC 9052 4.4)."""
    return encode(["Signature1", protected, aad, payload])


def sig_structure(protected: bytes, payload: bytes, aad: bytes) -> bytes:
    """What one signer of a COSE_Sign signs; the body's protected header is empty."""
    return encode(["Signature", b"", protected, aad, payload])


def protected_header(alg: int) -> bytes:
    """The protected header that names the algorithm and nothing else."""
    return encode({ALG: alg})


def sign1(payload: bytes, signer: Signer, aad: bytes) -> bytes:
    """COSE_Sign1 (tag 18) with the payload inside; `aad` is the domain string (S7)."""
    protected = protected_header(signer.public.alg)
    signature = signer.sign(sig_structure1(protected, payload, aad))
    return encode(CBORTag(TAG_SIGN1, [protected, {KID: signer.public.kid}, payload, signature]))


def verify1(data: bytes, key: PublicKey, aad: bytes, what: str = "COSE_Sign1") -> bytes:
    """The payload of a COSE_Sign1 by `key`. Raises Refused."""
    protected, unprotected, payload, signature = tagged(data, TAG_SIGN1, 4, what)
    check_headers(protected, unprotected, key.alg, what)
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise Refused(f"{what}: payload and signature must be byte strings")
    key.verify(sig_structure1(cast(bytes, protected), payload, aad), signature)
    return payload


def check_headers(protected: object, unprotected: object, alg: int, what: str) -> None:
    """Only `alg` protected, only `kid` unprotected (S19). Raises Refused."""
    if protected != protected_header(alg):
        raise Refused(f"{what}: the protected header is not exactly algorithm {alg}")
    if set(mapping(unprotected, what)) - {KID}:
        raise Refused(f"{what}: the unprotected header may hold a kid and nothing else")


def algorithm_of(protected: object, what: str) -> int:
    """The algorithm in a protected header that holds nothing else. Raises Refused."""
    for alg in (ESP256, HSS_LMS):
        if protected == protected_header(alg):
            return alg
    shown = protected.hex() if isinstance(protected, bytes) else type(protected).__name__
    raise Refused(f"{what}: expected ESP256 or HSS-LMS in the protected header, got {shown}")


def _ordered(value: object) -> object:
    # cbor2's `canonical` sorts keys by length first (RFC 7049); 8949 sorts by their bytes.
    if isinstance(value, Mapping):
        pairs = cast(Mapping[Any, Any], value).items()
        return {key: _ordered(item) for key, item in sorted(pairs, key=lambda p: dumps(p[0]))}
    if isinstance(value, (list, tuple)):
        return [_ordered(item) for item in cast(list[Any], value)]
    if isinstance(value, CBORTag):
        return CBORTag(value.tag, _ordered(value.value))
    return value


def _check_ec2(members: dict[int, Any]) -> None:
    x, y = members.get(X), members.get(Y)
    if set(members) != {KTY, KEY_ALG, CRV, X, Y} or members[CRV] != P256:
        raise Refused("COSE_Key: an EC2 key has exactly kty, alg, crv P-256, x and y")
    if not isinstance(x, bytes) or not isinstance(y, bytes) or {len(x), len(y)} != {COORDINATE}:
        raise Refused(f"COSE_Key: x and y are {COORDINATE} bytes each")
    try:
        _ec_public(x, y)
    except ValueError as error:
        raise Refused("COSE_Key: the point is not on P-256") from error


def _check_hss(members: dict[int, Any]) -> None:
    public = members.get(HSS_PUB)
    if set(members) != {KTY, KEY_ALG, HSS_PUB} or not isinstance(public, bytes):
        raise Refused("COSE_Key: an HSS-LMS key has exactly kty, alg and pub")
    if len(public) not in (52, 60) or public[:4] != b"\0\0\0\1":
        raise Refused("COSE_Key: an HSS public key here has one level and 52 or 60 bytes")


def _ec_public(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    point = b"\x04" + x + y
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _esp256_accepts(x: bytes, y: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 2 * COORDINATE:
        return False
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    try:
        _ec_public(x, y).verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _hss_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    # pyhsslms reports damaged lengths and codes with these, and a wrong signature with False;
    # but it reads over bytes behind the signature, so its own encoding must be the one given.
    try:
        exact = pyhsslms.HssSignature.deserialize(signature).serialize() == signature
        return exact and pyhsslms.HssPublicKey.deserialize(public).verify(message, signature)
    except (ValueError, IndexError, KeyError):
        return False
