"""Key files of roles: who signs what is in `roles`; here is how a key lies on disk.

P-256 keys (ESP256 signers and the collector's ECDH key) are PKCS#8 PEM, HSS-LMS keys are
`lms_key`'s JSON, keys in a token are a reference (`hsm`), the group KEK is JSON. Secret files
are 0600 and never overwritten without `force`; beside each lies `NAME.pub`, which holds no secret
and goes into a trust document.
Passphrases come from the environment or a file, never from the command line.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from host_tools.errors import Refused, UsageError
from host_tools.pki import files
from host_tools.signing import cose, hsm, lms, lms_key, lms_state

PASSPHRASE_ENV = "UWARD_PASSPHRASE"
KEK_SIZE = 32  # bytes: A256KW


@dataclass(frozen=True)
class Esp256Key:
    """An ECDSA P-256 signer (ESP256, RFC 9864)."""

    private: ec.EllipticCurvePrivateKey
    public: cose.PublicKey

    def sign(self, message: bytes) -> bytes:
        """r and s, 32 bytes each (RFC 9053 2.1)."""
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(cose.COORDINATE, "big") + s.to_bytes(cose.COORDINATE, "big")


@dataclass(frozen=True)
class Kek:
    """A group KEK: `kid` names it in encryption-info, `key` is 32 bytes."""

    kid: bytes
    key: bytes


def create_esp256(
    path: Path, *, passphrase: bytes | None = None, force: bool = False
) -> cose.PublicKey:
    """A new ESP256 signing key at `path`, its public key at `path.pub`."""
    return _create_p256(path, cose.ESP256, passphrase, force)


def create_ecdh(
    path: Path, *, passphrase: bytes | None = None, force: bool = False
) -> cose.PublicKey:
    """A new ECDH key (role collector, S12) at `path`, its public key at `path.pub`."""
    return _create_p256(path, cose.ECDH_SS_HKDF_256, passphrase, force)


def create_lms(
    path: Path,
    height: int = lms_key.DEFAULT_HEIGHT,
    n: int = 24,
    *,
    passphrase: bytes | None = None,
    force: bool = False,
    progress: lms.Progress | None = None,
    processes: int = 2,
) -> cose.PublicKey:
    """A new HSS-LMS key with 2^height signatures at `path`, its public key at `path.pub`.

    `progress(done, total)` counts leaves; H15 takes about 6 s on two processes.
    """
    public = lms_key.create(
        path,
        height,
        n,
        passphrase=passphrase,
        force=force,
        progress=progress,
        processes=processes,
    )
    write_public(path, public)
    return public


def create_in_token(path: Path, uri: str, *, generate: bool = False) -> cose.PublicKey:
    """A reference at `path` to the token's key that `uri` names, its public key at `path.pub`.

    `generate` makes the key, in the token. Raises Refused when something is at `path`.
    """
    files.refuse_existing(path)
    key = hsm.generate(uri) if generate else hsm.open(uri)
    hsm.write_reference(path, key)
    write_public(path, key.public)
    return key.public


def create_kek(path: Path, *, force: bool = False) -> Kek:
    """A new group KEK at `path`."""
    kek = Kek(secrets.token_bytes(cose.KID_SIZE), secrets.token_bytes(KEK_SIZE))
    body = {"kid": kek.kid.hex(), "key": kek.key.hex()}
    files.write(path, json.dumps(body).encode() + b"\n", secret=True, force=force)
    return kek


def load_signer(
    path: Path,
    passphrase: bytes | None = None,
    witness: Mapping[int, str] | None = None,
    elsewhere: lms_state.Elsewhere | None = None,
) -> cose.Signer:
    """The signer at `path`: HSS-LMS, ESP256, or a reference to an ESP256 key in a token (`hsm`).

    `witness` and `elsewhere` are for HSS-LMS (see `lms_state`). Raises Refused for a missing,
    damaged or locked file and for an ECDH key, and what `hsm.open` raises.
    """
    data = files.read(path, "signing key")
    if lms_key.is_key(data):
        return lms_key.load(path, passphrase, witness, elsewhere=elsewhere)
    if hsm.is_reference(data):
        return _in_token(path, data)
    _refuse_other_use(path, cose.ESP256)
    private = files.load_private(data, path, passphrase)
    return Esp256Key(private, cose.ec2_key(private.public_key()))


def load_ecdh(path: Path, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """The ECDH key at `path`. Raises Refused, also for a signing key (one key: one use, S7)."""
    _refuse_other_use(path, cose.ECDH_SS_HKDF_256)
    return files.load_private(files.read(path, "ECDH key"), path, passphrase)


def load_kek(path: Path) -> Kek:
    """The group KEK at `path`. Raises Refused."""
    body = _json(files.read(path, "group KEK"), path)
    try:
        kek = Kek(bytes.fromhex(body["kid"]), bytes.fromhex(body["key"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{path}: expected kid and key in hex") from error
    if len(kek.key) != KEK_SIZE or not kek.kid:
        raise Refused(f"{path}: expected a key of {KEK_SIZE} bytes, got {len(kek.key)}")
    return kek


def public_path(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def write_public(path: Path, public: cose.PublicKey) -> None:
    """Write `path.pub` for the key at `path`."""
    body = {
        "algorithm": cose.ALGORITHMS[public.alg],
        "thumbprint": public.thumbprint.hex(),
        "cose_key": public.encoded.hex(),
    }
    data = json.dumps(body, indent=1).encode() + b"\n"
    files.write(public_path(path), data, force=True)


def load_public(path: Path) -> cose.PublicKey:
    """The public key in a `.pub` file. Raises Refused."""
    body = _json(files.read(path, "public key"), path)
    try:
        encoded = bytes.fromhex(body["cose_key"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{path}: expected cose_key in hex") from error
    public = cose.public_key(cose.decode(encoded, str(path)))
    if body.get("thumbprint") != public.thumbprint.hex():
        raise Refused(f"{path}: the thumbprint is not that of the key")
    return public


def passphrase_from(file: Path | None = None) -> bytes | None:
    """The passphrase from `file` (its first line), else from $UWARD_PASSPHRASE, else None."""
    if file is not None:
        lines = files.read(file, "passphrase").splitlines()
        given = lines[0] if lines else b""
    else:
        given = os.environ.get(PASSPHRASE_ENV, "").encode()
    if file is not None and not given:
        raise UsageError(f"{file}: expected a passphrase in the first line, got nothing")
    return given or None


def _in_token(path: Path, data: bytes) -> cose.Signer:
    """The token's key; it must be the one whose `.pub` lies beside the reference."""
    signer = hsm.open(hsm.referred(data, path))
    if load_public(public_path(path)) != signer.public:
        raise Refused(f"{path}: the token holds another key than {public_path(path).name} says")
    return signer


def _create_p256(path: Path, alg: int, passphrase: bytes | None, force: bool) -> cose.PublicKey:
    private = ec.generate_private_key(ec.SECP256R1())
    files.write(path, files.private_pem(private, passphrase), secret=True, force=force)
    public = cose.ec2_key(private.public_key(), alg)
    write_public(path, public)
    return public


def _refuse_other_use(path: Path, alg: int) -> None:
    beside = public_path(path)
    if beside.exists() and load_public(beside).alg != alg:
        found = cose.ALGORITHMS[load_public(beside).alg]
        raise Refused(f"{path} is for {found}, expected a key for {cose.ALGORITHMS[alg]}")


def _json(data: bytes, path: Path) -> dict[str, Any]:
    try:
        body: object = json.loads(data)
    except ValueError as error:
        raise Refused(f"{path}: expected JSON") from error
    if not isinstance(body, dict):
        raise Refused(f"{path}: expected an object, got {type(body).__name__}")
    return cast(dict[str, Any], body)
