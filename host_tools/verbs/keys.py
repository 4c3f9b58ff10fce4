"""`uward keys`: which keys are here, and how many signatures the one-time keys have left."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase

FEW = 1000  # signatures left of a one-time key: time to make the next
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def status(fleet: Fleet = None) -> None:
    """List the role keys, and how many signatures each has left.

    Says so when a key or the trust document comes to its end.

    Example: uward keys status
    """
    from host_tools.verbs import trust

    found = project.load(fleet)
    rows = do_status(found)
    columns = ("role", "holder", "algorithm", "kid", "secret_here", "used", "left", "trouble")
    ui.table(rows, columns, "this fleet has no keys")
    for row in rows:
        if row.get("left", FEW) < FEW:
            ui.note(f"role {row['role']}: {row['left']} signatures left; `uward keys new` in time")
    trust.warn(found)


def adopt(
    role: Annotated[str, typer.Argument(metavar="ROLE[:HOLDER]", help="An HSS-LMS key.")],
    fleet: Fleet = None,
) -> None:
    """Put a copied or restored HSS-LMS key to work here.

    Everything that the key's journal or this fleet's envelopes know as used is given up, and 64
    indices more. Destroy every other copy first: one index used twice gives the key away.
    """
    ui.result(do_adopt(project.load(fleet), role))


def new(
    role: Annotated[str, typer.Argument(metavar="ROLE[:HOLDER]", help="Whose key it will be.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="File in keys/. Default: ROLE-HOLDER.")
    ] = None,
    lms_height: Annotated[
        int, typer.Option(metavar="10|15", help="2^N signatures of an HSS-LMS key.")
    ] = 15,
    esp256: Annotated[
        bool, typer.Option("--esp256", help="An ESP256 key where the role takes both.")
    ] = False,
    passphrase_file: Passphrase = None,
    fleet: Fleet = None,
) -> None:
    """Make a key for a role. Devices know nothing of it until `uward trust add-key`.

    Example: uward keys new approver:anna
    """
    found = project.load(fleet)
    with ui.progress("making a key") as advance:
        made = do_new(found, role, name, lms_height, esp256, passphrase_file, advance)
    ui.result(made)


def sign_bytes(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="A key file or token reference.")],
    message: Annotated[Path, typer.Argument(metavar="FILE", help="From --digest-out.")],
    signature: Annotated[Path, typer.Argument(metavar="SIGNATURE", help="The file to write.")],
    passphrase_file: Passphrase = None,
) -> None:
    """Sign, on a machine without the fleet, what --digest-out wrote on another.

    Says what kind of object it is; read there what it says: `uward verify`, `uward trust show`.

    Example: uward keys sign /media/key/root tbs signature
    """
    ui.result(do_sign_bytes(key, message, signature, passphrase_file))


def token(
    role: Annotated[str, typer.Argument(metavar="ROLE[:HOLDER]", help="An ESP256 role.")],
    uri: Annotated[str, typer.Argument(metavar="URI", help="pkcs11:token=...;object=...")],
    generate: Annotated[
        bool, typer.Option("--generate", help="Make the key, in the token, not extractable.")
    ] = False,
    fleet: Fleet = None,
) -> None:
    """Use a key in a PKCS#11 token for a role.

    Writes keys/ROLE, which only names the token, and keys/ROLE.pub for the trust document. The
    module comes from $UWARD_PKCS11_MODULE or the URI's module-path; the PIN from
    $UWARD_PKCS11_PIN, from the URI's pin-source=file:PATH, or from a prompt.

    Example: uward keys token approver:anna 'pkcs11:token=anna;object=approver' --generate
    """
    ui.result(do_token(project.load(fleet), role, uri, generate))


def do_token(found: Project, role: str, uri: str, generate: bool) -> dict[str, Any]:
    """Put a reference where the key of `role` would lie. Raises every HostError."""
    from host_tools import keyring
    from host_tools.signing import cose, keys
    from host_tools.signing.roles import BY_NAME

    pairs = keyring.holders(found, role)
    if len(pairs) != 1:
        raise UsageError(f"role {role} has several holders", f"say {role}:<holder>")
    ((name, holder),) = pairs
    if cose.ESP256 not in BY_NAME[name].algorithms:
        raise UsageError(f"role {name} takes no ESP256 key")
    path = keyring.key_path(found, name, holder)
    public = keys.create_in_token(path, uri, generate=generate)
    return {"key": os.path.relpath(path), "kid": public.kid.hex(), "token": uri}


def do_status(found: Project) -> list[dict[str, Any]]:
    """One row a key."""
    from host_tools import keyring

    pairs = [(name, one) for name in found.roles for one in keyring.members(found, name).holders]
    return [_row(found, *pair) for pair in pairs]


def do_new(
    found: Project,
    role: str,
    name: str | None,
    height: int,
    esp256: bool,
    passphrase_file: Path | None = None,
    advance: ui.Advance | None = None,
) -> dict[str, Any]:
    """Make one key file. Raises Refused when there is one of this name."""
    from host_tools import keyring
    from host_tools.project import HOLDER
    from host_tools.signing import cose, keys, roles

    chosen, _, holder = role.partition(":")
    takes = roles.role(chosen).algorithms
    for text in (holder or chosen, name or chosen):
        if not FILE_NAME.fullmatch(text) or (text == holder and not HOLDER.fullmatch(text)):
            raise UsageError(f"{text!r}: expected {HOLDER.pattern}")
    if esp256 and cose.ESP256 not in takes:
        raise UsageError(f"role {chosen} takes no ESP256 key")
    path = keyring.default_path(found, chosen, holder or chosen)
    path = path if name is None else path.with_name(name)
    passphrase = keys.passphrase_from(passphrase_file)
    algorithm = cose.ESP256 if esp256 else takes[0]
    if algorithm == cose.HSS_LMS:
        public = keys.create_lms(path, height, passphrase=passphrase, progress=advance)
    elif algorithm == cose.ESP256:
        public = keys.create_esp256(path, passphrase=passphrase)
    else:
        public = keys.create_ecdh(path, passphrase=passphrase)
    return {
        "key": os.path.relpath(path),
        "algorithm": cose.ALGORITHMS[public.alg],
        "thumbprint": public.thumbprint.hex(),
    }


def do_sign_bytes(
    key: Path, message: Path, signature: Path, passphrase_file: Path | None = None
) -> dict[str, Any]:
    """Sign a Sig_structure (RFC 9052 4.4). Raises Refused for any other bytes."""
    from hashlib import sha256

    from host_tools.pki import files
    from host_tools.signing import cosign, keys

    data = files.read(message, "what is to be signed")
    kind = cosign.kind_of(data)
    files.refuse_existing(signature)
    signer = keys.load_signer(key, keys.passphrase_from(passphrase_file))
    files.write(signature, signer.sign(data))
    return {
        "signed": kind,
        "sha256": sha256(data).hexdigest(),
        "kid": signer.public.kid.hex(),
        "signature": str(signature),
    }


def do_adopt(found: Project, role: str) -> dict[str, Any]:
    """Adopt the one key of `role`. Raises Refused when it has none here, or is used up."""
    from host_tools import keyring
    from host_tools.signing import lms_key

    public = keyring.public_key(found, role)
    ((name, holder),) = keyring.holders(found, role)
    path = keyring.key_path(found, name, holder)
    witness = keyring.used_indices(found, public, keyring.signed_envelopes(found))
    first = lms_key.adopt(path, witness, elsewhere=keyring.elsewhere(found, public))
    return {"key": os.path.relpath(path), "next_index": first}


def _row(found: Project, role: str, holder: str) -> dict[str, Any]:
    from host_tools import keyring
    from host_tools.signing import cose, keys, lms_key

    path = keyring.key_path(found, role, holder)
    row: dict[str, Any] = {"role": role, "holder": holder, "secret_here": path.is_file()}
    try:
        public = keys.load_public(keys.public_path(path))
        row |= {"algorithm": cose.ALGORITHMS[public.alg], "kid": public.kid.hex()}
        row["thumbprint"] = public.thumbprint.hex()
        if public.alg == cose.HSS_LMS and path.is_file():
            books = lms_key.status(path)
            row |= {"used": books.used, "left": books.left}
    except Refused as error:
        row["trouble"] = str(error)
    return row
