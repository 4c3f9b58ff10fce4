"""Files that must be whole or absent: written beside, synced, renamed; secrets are 0600.

`at` is called with the name of each step that was just done; tests end the process there.
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused

Step = Callable[[str], None]


def no_step(name: str) -> None:
    """Stands where nobody watches the steps."""


def write(
    path: Path, data: bytes, *, secret: bool = False, force: bool = False, at: Step = no_step
) -> None:
    """Write `path` whole or not at all, durable on return.

    Raises Refused when it exists and `force` is not given: a key is never overwritten unasked.
    """
    if not force:
        refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_synced(temporary, data, 0o600 if secret else 0o644)
        at("written")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    at("renamed")
    sync_directory(path.parent)


def append(path: Path, data: bytes) -> None:
    """Append to an existing file, durable on return."""
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read(path: Path, what: str) -> bytes:
    """The file's bytes. Raises Refused, naming `what` is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Refused(f"{what}: expected a file at {path}, there is none") from error
    except OSError as error:
        raise Refused(f"{what}: {path} cannot be read: {error.strerror}") from error


def refuse_existing(path: Path) -> None:
    """Raise Refused when there is something at `path` already."""
    if path.exists():
        raise Refused(f"{path} exists and is not overwritten", "choose another name, or --force")


def sync_directory(directory: Path) -> None:
    """Make a rename or a new name in `directory` durable (no such call on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_pem(private: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM, encrypted when there is a passphrase."""
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


def load_private(
    data: bytes, path: Path, passphrase: bytes | None = None
) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in a PKCS#8 PEM file's bytes; `path` is for messages. Raises Refused."""
    try:
        private = serialization.load_pem_private_key(data, passphrase)
    except TypeError as error:  # cryptography's answer to a passphrase too many or missing
        needs = "is protected by a passphrase" if passphrase is None else "has no passphrase"
        raise Refused(f"{path} {needs}") from error
    except ValueError as error:
        raise Refused(f"{path}: not a PKCS#8 key, or the passphrase is wrong") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(
        private.curve, ec.SECP256R1
    ):
        raise Refused(f"{path}: expected a P-256 key")
    return private


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
