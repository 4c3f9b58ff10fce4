"""`uward keys`: which keys are here, and how many signatures the one-time keys have left."""

import os
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet


def status(fleet: Fleet = None) -> None:
    """List the role keys, and how many signatures each has left.

    Example: uward keys status
    """
    columns = ("role", "holder", "algorithm", "kid", "secret_here", "used", "left", "trouble")
    ui.table(do_status(project.load(fleet)), columns, "this fleet has no keys")


def adopt(
    role: Annotated[str, typer.Argument(metavar="ROLE[:HOLDER]", help="An HSS-LMS key.")],
    fleet: Fleet = None,
) -> None:
    """Put a copied or restored HSS-LMS key to work here.

    Everything that the key's journal or this fleet's envelopes know as used is given up, and 64
    indices more. Destroy every other copy first: one index used twice gives the key away.
    """
    ui.result(do_adopt(project.load(fleet), role))


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
    pairs = [(name, holder) for name, role in found.roles.items() for holder in role.holders]
    return [_row(found, *pair) for pair in pairs]


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
