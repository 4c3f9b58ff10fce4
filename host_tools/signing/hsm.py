"""P-256 keys in a PKCS#11 token: they sign there and never leave it (ESP256 roles, the CA).

A key is named by a PKCS#11 URI (RFC 7512), for example

    pkcs11:token=uward;object=approver?module-path=/usr/lib/softhsm/libsofthsm2.so

(see `hsm_uri`). The PIN comes from the file of pin-source, from $UWARD_PKCS11_PIN, or is asked
for on a terminal, never from a command line. A *reference file* holds `uward-pkcs11-1` and the
URI: it stands where a key file would, and is no secret.

    key = hsm.open(uri)             # -> TokenKey, a cose.Signer
    key.public                      # cose.PublicKey
    key.sign(message)               # r and s, 64 bytes (ESP256)
    hsm.private_key(key)            # for x509 builders: an EllipticCurvePrivateKey that signs DER
"""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from host_tools import ui
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.pki import files
from host_tools.signing import cose
from host_tools.signing.hsm_uri import PIN_ENV, Uri, parse

FORMAT = "uward-pkcs11-1"
P256_OID = bytes.fromhex("06082a8648ce3d030107")  # prime256v1 as DER (RFC 5480 2.1.1.1)
POINT = 65  # bytes of an uncompressed point on P-256 (SEC 1 2.3.3)

AskPin = Callable[[str], str | None]


@dataclass(frozen=True)
class TokenKey:
    """An ESP256 signer in a token. The PIN is kept in memory only, and never shown."""

    uri: Uri
    public: cose.PublicKey
    pin: str = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """r and s, 32 bytes each, over SHA-256 of `message` (RFC 9053 2.1), made in the token.

        Raises DeviceError when the token is gone, Refused when it signs with another key.
        """
        pkcs11 = _library()
        with _session(self.uri, self.pin) as session, _said(self.uri):
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **_which(self.uri))
            digest = sha256(message).digest()
            signature = bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        self.public.verify(message, signature)
        return signature


def open(text: str, ask: AskPin = ui.ask_secret) -> TokenKey:
    """The key that a URI names, found in its token; the PIN was right.

    Raises UsageError (URI), Refused (PIN, no such key, no P-256 key) and DeviceError (module,
    token). `ask` is called when no PIN is given; it returns None where nobody can be asked.
    """
    uri = parse(text)
    pin = _pin(uri, ask)
    with _session(uri, pin) as session, _said(uri):
        public = _public(session, uri)
    return TokenKey(uri, public, pin)


def generate(text: str, ask: AskPin = ui.ask_secret) -> TokenKey:
    """A new P-256 key in the token, not extractable; its label is the URI's `object`.

    Raises as `open` does, and Refused when there is a key of this name already.
    """
    pkcs11 = _library()
    uri = parse(text)
    if uri.label is None:
        raise UsageError("token: a new key needs a name: `object` in the URI")
    pin = _pin(uri, ask)
    with _session(uri, pin, write=True) as session, _said(uri):
        kind = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        for _ in session.get_objects({**kind, pkcs11.Attribute.LABEL: uri.label}):
            raise Refused(f"token: there is a key {uri.label!r} already", "choose another name")
        curve = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: P256_OID}, local=True
        )
        curve.generate_keypair(
            label=uri.label,
            id=uri.id or uri.label.encode(),
            store=True,
            capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            private_template={
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
            },
        )
        public = _public(session, uri)
    return TokenKey(uri, public, pin)


def write_reference(path: Path, key: TokenKey) -> None:
    """A file at `path` that stands for the key. Raises Refused when something is there."""
    files.write(path, f"{FORMAT}\n{key.uri.text}\n".encode(), secret=True)


def is_reference(data: bytes) -> bool:
    """Whether a key file's bytes are a reference to a token."""
    return data.startswith(FORMAT.encode() + b"\n")


def referred(data: bytes, path: Path) -> str:
    """The URI in a reference file's bytes. Raises Refused."""
    lines = data.decode(errors="replace").splitlines()
    if len(lines) != 2 or lines[0] != FORMAT:
        raise Refused(f"{path}: expected {FORMAT} and one PKCS#11 URI")
    return lines[1]


class _PrivateKey(ec.EllipticCurvePrivateKey):
    """What x509 builders of `cryptography` take: signs in the token, gives nothing away."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def public_key(self) -> ec.EllipticCurvePublicKey:
        members = self._key.public.members
        point = b"\x04" + members[cose.X] + members[cose.Y]
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA-Sig-Value in DER. Raises Refused for another hash than SHA-256."""
        hashed = getattr(signature_algorithm, "algorithm", None)
        if not isinstance(hashed, hashes.SHA256):
            raise Refused("token: expected ECDSA with SHA-256")
        raw = self._key.sign(bytes(data))
        half = cose.COORDINATE
        r, s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
        return encode_dss_signature(r, s)

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        self._stays("agrees on nothing (one key: one use)")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        self._stays("does not leave it")

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        self._stays("does not leave it")

    def __copy__(self) -> "_PrivateKey":
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "_PrivateKey":
        return self

    def _stays(self, what: str) -> NoReturn:
        raise Refused(f"the key in token {self._key.uri.text} {what}")


def private_key(key: TokenKey) -> ec.EllipticCurvePrivateKey:
    """The token's key as `cryptography` wants it, to sign certificates and revocation lists."""
    return _PrivateKey(key)


def _pin(uri: Uri, ask: AskPin) -> str:
    if uri.pin_source is not None:
        lines = files.read(uri.pin_source, "token PIN").decode(errors="replace").splitlines()
        pin = lines[0] if lines else ""
    else:
        pin = os.environ.get(PIN_ENV) or ask(f"PIN of token {uri.token or uri.serial}: ") or ""
    if not pin:
        raise Refused("token: no PIN", f"set {PIN_ENV}, or add pin-source=file:PATH to the URI")
    return pin


@contextmanager
def _session(uri: Uri, pin: str, write: bool = False) -> Generator[Any]:
    """A session with the token, logged in; short, so that a token that was pulled is noticed."""
    with _said(uri):
        pkcs11 = _library()
        wanted: dict[str, Any] = {}
        if uri.token is not None:
            wanted["token_label"] = uri.token
        if uri.serial is not None:
            wanted["token_serial"] = uri.serial
        try:
            module = pkcs11.lib(uri.module)
        except (RuntimeError, OSError) as error:
            raise DeviceError(f"token: {uri.module} is no PKCS#11 module: {error}") from error
        opened = module.get_token(**wanted).open(user_pin=pin, rw=write)
    with opened as session:
        yield session


def _public(session: Any, uri: Uri) -> cose.PublicKey:
    pkcs11 = _library()
    session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **_which(uri))  # it is there
    public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, **_which(uri))
    if (
        public.key_type != pkcs11.KeyType.EC
        or bytes(public[pkcs11.Attribute.EC_PARAMS]) != P256_OID
    ):
        raise Refused(f"token: expected a P-256 key at {uri.text}")
    point = bytes(public[pkcs11.Attribute.EC_POINT])
    if len(point) == POINT + 2:
        point = point[2:]  # PKCS#11 3.0 6.3.3: as a DER OCTET STRING; some tokens give it bare
    try:
        return cose.ec2_key(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    except ValueError as error:
        raise Refused(f"token: the point of {uri.text} is not on P-256") from error


def _which(uri: Uri) -> Mapping[str, Any]:
    wanted: dict[str, Any] = {}
    if uri.label is not None:
        wanted["label"] = uri.label
    if uri.id is not None:
        wanted["id"] = uri.id
    return wanted


@contextmanager
def _said(uri: Uri) -> Generator[None]:
    """The library's errors as ours: they have no text of their own."""
    errors = _library().exceptions
    try:
        yield
    except (errors.PinIncorrect, errors.PinInvalid, errors.PinLenRange) as error:
        raise Refused("token: the PIN is wrong", "a few wrong ones lock most tokens") from error
    except errors.PinLocked as error:
        raise Refused("token: the PIN is locked", "its security officer unlocks it") from error
    except errors.NoSuchToken as error:
        raise DeviceError(f"token: no token for {uri.text}", "plug it in") from error
    except errors.NoSuchKey as error:
        raise Refused(f"token: no key for {uri.text}") from error
    except (errors.MultipleTokensReturned, errors.MultipleObjectsReturned) as error:
        raise Refused(f"token: {uri.text} names several", "add `serial` or `id`") from error
    except errors.PKCS11Error as error:
        raise DeviceError(f"token: {uri.text}: {type(error).__name__} {error}".rstrip()) from error


def _library() -> Any:
    # Imported when a token is used: most fleets have none.
    try:
        import_module("pkcs11.exceptions")
        return import_module("pkcs11")
    except ImportError as error:
        raise Refused(
            "token: the Python package python-pkcs11 is not installed",
            "pip install 'uward[hsm]'",
        ) from error
