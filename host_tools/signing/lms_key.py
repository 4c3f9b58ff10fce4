"""An HSS-LMS key on disk: a small secret file, all its tree nodes, and the ledger of used indices.

The key file is JSON: parameter set, identifier, seed (or the seed wrapped under a passphrase),
public key and the SHA-256 of `NAME.tree`, which caches every node so that a signature costs no
hashing of leaves. The state that keeps an index from being used twice is in `lms_state`.
A software signer is never SP 800-208 conformant (see `lms`).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from host_tools.errors import Refused
from host_tools.pki import files
from host_tools.signing import cose, lms, lms_state

FORMAT = "uward-lms-1"
FIELDS = {"format", "height", "n", "identifier", "salt", "seed", "public", "tree"}
DEFAULT_HEIGHT = 15  # 32,768 signatures
SALT_SIZE = 16  # bytes
SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}  # 32 MB and about 0.1 s a guess (RFC 7914 2)


@dataclass(frozen=True)
class LmsKey:
    """An HSS-LMS signer. `witness` is compared with the ledger before each signature (S6)."""

    path: Path
    secret: lms.Secret
    tree: bytes
    public: cose.PublicKey
    witness: Mapping[int, str] | None = None
    at: files.Step = files.no_step
    elsewhere: lms_state.Elsewhere | None = None

    def sign(self, message: bytes) -> bytes:
        """HSS signature, made only after its index was reserved on disk. Raises Refused."""
        ledger = ledger_of(self.path, self.secret.parameters)
        with ledger.locked():
            self.at("locked")
            index = ledger.reserve(message, self.witness, self.at, self.elsewhere)
        signature = lms.sign(self.secret, self.tree, index, message)
        self.at("signed")
        self.public.verify(message, signature)  # a flipped bit here would leak one-time values
        return signature

    def status(self) -> lms_state.Status:
        return ledger_of(self.path, self.secret.parameters).status()


def create(
    path: Path,
    height: int = DEFAULT_HEIGHT,
    n: int = 24,
    *,
    passphrase: bytes | None = None,
    force: bool = False,
    progress: lms.Progress | None = None,
    processes: int = 2,
) -> cose.PublicKey:
    """Make a key pair at `path`. The state file comes last: without it the key signs nothing."""
    members = (path, tree_path(path), *lms_state.family(path)[:2])
    if not force:
        for member in members:
            files.refuse_existing(member)
    secret = lms.new_secret(lms.parameters(height, n))
    tree = lms.build_tree(secret, processes, progress)
    public = lms.public_key(secret, tree)
    for member in reversed(members):
        member.unlink(missing_ok=True)
    files.write(tree_path(path), tree, secret=True)
    files.write(path, _encode(secret, public, tree, passphrase), secret=True)
    ledger_of(path, secret.parameters).create()
    return cose.hss_key(public)


def load(
    path: Path,
    passphrase: bytes | None = None,
    witness: Mapping[int, str] | None = None,
    at: files.Step = files.no_step,
    elsewhere: lms_state.Elsewhere | None = None,
) -> LmsKey:
    """The key at `path`. Raises Refused when a file is missing, damaged or of another key."""
    body = _fields(path)
    seed = _unwrap(bytes.fromhex(body["seed"]), body["salt"], passphrase, path)
    chosen = lms.parameters(body["height"], body["n"])
    secret = lms.Secret(chosen, bytes.fromhex(body["identifier"]), seed)
    tree = files.read(tree_path(path), "LMS tree")
    if sha256(tree).hexdigest() != body["tree"]:
        raise Refused(f"{tree_path(path)} is damaged or of another key: its SHA-256 differs")
    public = lms.public_key(secret, tree)
    if public.hex() != body["public"]:
        raise Refused(f"{path} is damaged: its public key is not that of its tree")
    return LmsKey(path, secret, tree, cose.hss_key(public), witness, at, elsewhere)


def is_key(data: bytes) -> bool:
    """Whether a file's bytes look like a key of ours."""
    return data.lstrip().startswith(b"{") and FORMAT.encode() in data


def status(path: Path) -> lms_state.Status:
    """Used and left indices; needs no passphrase. Raises Refused when the books disagree."""
    return _ledger(path).status()


def adopt(
    path: Path,
    witness: Mapping[int, str] | None = None,
    skip: int = lms_state.ADOPT_SKIP,
    elsewhere: lms_state.Elsewhere | None = None,
) -> int:
    """Put a copied or restored key to work: see `Ledger.adopt`."""
    return _ledger(path).adopt(witness, skip, elsewhere)


def tree_path(path: Path) -> Path:
    return path.with_name(path.name + ".tree")


def ledger_of(path: Path, chosen: lms.Parameters) -> lms_state.Ledger:
    return lms_state.Ledger(path, chosen.leaves)


def _ledger(path: Path) -> lms_state.Ledger:
    body = _fields(path)
    return ledger_of(path, lms.parameters(body["height"], body["n"]))


def _encode(secret: lms.Secret, public: bytes, tree: bytes, passphrase: bytes | None) -> bytes:
    salt, seed = "", secret.seed
    if passphrase is not None:
        raw = secrets.token_bytes(SALT_SIZE)
        salt, seed = raw.hex(), aes_key_wrap(_stretch(passphrase, raw), secret.seed)
    body = {
        "format": FORMAT,
        "height": secret.parameters.height,
        "n": secret.parameters.n,
        "identifier": secret.identifier.hex(),
        "salt": salt,
        "seed": seed.hex(),
        "public": public.hex(),
        "tree": sha256(tree).hexdigest(),
    }
    return json.dumps(body, indent=1).encode() + b"\n"


def _fields(path: Path) -> dict[str, Any]:
    data = files.read(path, "HSS-LMS key")
    try:
        body: object = json.loads(data)
    except ValueError as error:
        raise Refused(f"{path}: expected an HSS-LMS key, got something else") from error
    if not isinstance(body, dict) or set(cast(dict[str, Any], body)) != FIELDS:
        raise Refused(f"{path}: expected an HSS-LMS key in format {FORMAT}")
    return cast(dict[str, Any], body)


def _unwrap(stored: bytes, salt: str, passphrase: bytes | None, path: Path) -> bytes:
    if not salt:
        return stored
    if passphrase is None:
        raise Refused(f"{path} is protected by a passphrase, none was given")
    try:
        return aes_key_unwrap(_stretch(passphrase, bytes.fromhex(salt)), stored)
    except InvalidUnwrap as error:
        raise Refused(f"{path}: the passphrase is wrong") from error


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **SCRYPT).derive(passphrase)
