"""Where a fleet keeps its keys and trust documents, and how they are found by role.

    keys/<role>           the key of a role whose holder has the role's name, `.pub` beside it
    keys/<role>-<holder>  the key of one of several holders
    keys/kek              the group key that wraps content keys (S6)
    keys/kek-<device>     the key of one device, for releases that are encrypted for it alone
    trust/<version>       trust documents, decimal version, from 1

A role's secret key may be elsewhere, on another person's machine: its `.pub` is enough here.
"""

import os
from pathlib import Path

from host_tools import strict
from host_tools.errors import Refused, UsageError
from host_tools.pki import files, names
from host_tools.project import Project, Role
from host_tools.signing import author, cose, keys, log, log_witness, suit, trust
from host_tools.signing.roles import BY_NAME


def key_path(found: Project, role: str, holder: str) -> Path:
    """The key file of `holder` in `role`, whether it is here or not.

    A holder whose key was replaced has it in a file of another name: found by the newest trust
    document, through the `.pub` beside it.
    """
    held = newest(found)
    path = default_path(found, role, holder)
    pairs = (
        held.roles[number].keys if held and (number := BY_NAME[role].number) in held.roles else ()
    )
    named = [key for name, key in pairs if name == holder]
    return public_here(found).get(named[0], path) if named else path


def default_path(found: Project, role: str, holder: str) -> Path:
    """Where a new key of `holder` in `role` is put."""
    name = role if holder == role else f"{role}-{holder}"
    return found.folder("keys") / name


def public_here(found: Project) -> dict[cose.PublicKey, Path]:
    """Every public key in keys/, and the key file beside which it lies."""
    here: dict[cose.PublicKey, Path] = {}
    for path in sorted(found.folder("keys").glob("*.pub")):
        try:
            here[keys.load_public(path)] = path.with_suffix("")
        except Refused:
            continue  # `uward keys status` says so beside its role
    return here


def find(found: Project, public: cose.PublicKey) -> Path | None:
    """The secret key file (or token reference) of this public key, or None."""
    path = public_here(found).get(public)
    return path if path is not None and path.is_file() else None


def signer_at(found: Project, path: Path, passphrase: bytes | None) -> cose.Signer:
    """The signer of one key file; nothing that this fleet signed is signed with its indices."""
    return _signer(found, path, passphrase, signed_envelopes(found))


def newest(found: Project) -> trust.TrustDocument | None:
    """What the newest trust document says, unverified: for names, never for decisions."""
    paths = _document_paths(found)
    if not paths:
        return None
    return trust.parse(trust.split(files.read(paths[max(paths)], "trust document"))[0])


def kek_path(found: Project) -> Path:
    return found.folder("keys") / "kek"


def own_kek_path(found: Project, device: str) -> Path:
    return found.folder("keys") / f"kek-{names.check_device_id(device)}"


def own_kek(found: Project, device: str) -> keys.Kek | None:
    """The KEK of one device; None when nothing was ever encrypted for it alone."""
    path = own_kek_path(found, device)
    return keys.load_kek(path) if path.is_file() else None


def holders(found: Project, given: str) -> list[tuple[str, str]]:
    """(role, holder) pairs of `release`, or the one of `release:anna`. Raises UsageError."""
    role, _, holder = given.partition(":")
    if role not in BY_NAME:
        raise UsageError(f"no role {role!r}", strict.nearest(role, BY_NAME))
    known = members(found, role).holders
    if holder and holder not in known:
        raise UsageError(f"role {role} has no holder {holder!r}; it has {', '.join(known)}")
    return [(role, name) for name in ([holder] if holder else known)]


def members(found: Project, role: str) -> Role:
    """Holders and threshold of a role: as the newest trust document has them, or before there is
    one as uward.toml does. A role that nobody holds there has the holders of uward.toml."""
    document = newest(found)
    held = document.roles.get(BY_NAME[role].number) if document else None
    if held is None:
        return found.roles[role]
    return Role(held.threshold, [name for name, _ in held.keys])


def signers(
    found: Project, given: str, passphrase: bytes | None, witness: list[bytes]
) -> list[cose.Signer]:
    """The signers of a role whose keys are here, at most as many as its threshold.

    `witness` is the envelopes that are known as signed: a key restored from a backup that lacks
    one of them does not sign (S6). Raises Refused when no key is here.
    """
    here = signers_here(found, given, passphrase, witness)
    if not here:
        raise Refused(
            f"no key of {given} here: expected {key_path(found, *holders(found, given)[0])}",
            "its holder signs elsewhere; see `uward sign --help`",
        )
    return here


def signers_here(
    found: Project, given: str, passphrase: bytes | None, witness: list[bytes]
) -> list[cose.Signer]:
    """As `signers`; none where the holders are all elsewhere."""
    pairs = holders(found, given)
    paths = [path for path in (key_path(found, *pair) for pair in pairs) if path.is_file()]
    threshold = members(found, pairs[0][0]).threshold
    return [_signer(found, path, passphrase, witness) for path in paths[:threshold]]


def _signer(
    found: Project, path: Path, passphrase: bytes | None, witness: list[bytes]
) -> cose.Signer:
    public = keys.load_public(keys.public_path(path))
    if public.alg != cose.HSS_LMS:
        return keys.load_signer(path, passphrase)
    used = used_indices(found, public, witness)
    return keys.load_signer(path, passphrase, used, elsewhere(found, public))


def used_indices(found: Project, public: cose.PublicKey, witness: list[bytes]) -> dict[int, str]:
    """Every one-time index that an envelope in `witness` or a trust document here used."""
    papers = [path.read_bytes() for path in _document_paths(found).values()]
    return author.used_indices(witness, public) | trust.used_indices(papers, public)


def witness(found: Project) -> log_witness.Witness | None:
    """The witness that uward.toml names, or None; a fleet without a first document has none."""
    folder = found.witness if _document_paths(found) else None
    return None if folder is None else log_witness.Witness(folder, fleet_id(found))


def elsewhere(found: Project, public: cose.PublicKey) -> log_witness.KeyWitness | None:
    """What the witness knows of a key, or None when there is no witness."""
    known = witness(found)
    return None if known is None else log_witness.KeyWitness(known, public.thumbprint)


def release_log(found: Project) -> log.Log:
    """The fleet's release log, which the witness watches."""
    return log.Log(found.folder("transparency"), witness(found))


def fleet_id(found: Project) -> bytes:
    """16 bytes, from the first trust document. Raises Refused when there is none."""
    return trust.parse(trust.split(documents(found)[1])[0]).fleet_id


def has_signed(envelope: bytes, public: cose.PublicKey) -> bool:
    """True when a signature in `envelope` is this key's."""
    taken = suit.parse(envelope)
    message = author.to_be_signed(taken.manifest, public.alg)
    return any(
        block.alg == public.alg and public.accepts(message, block.signature)
        for block in taken.blocks
    )


def public_key(found: Project, given: str) -> cose.PublicKey:
    """The public key of exactly one holder. Raises UsageError when a role has several."""
    pairs = holders(found, given)
    if len(pairs) != 1:
        raise UsageError(f"role {given} has several holders", f"say --role {given}:<holder>")
    return keys.load_public(keys.public_path(key_path(found, *pairs[0])))


def documents(found: Project) -> dict[int, bytes]:
    """`{version: trust document}`. Raises Refused when there is none or one is missing."""
    paths = _document_paths(found)
    versions = list(paths)
    if not versions or versions != list(range(1, len(versions) + 1)):
        where = found.folder("trust")
        raise Refused(f"{where}: expected trust documents from 1 on, got {versions or 'none'}")
    return {version: path.read_bytes() for version, path in paths.items()}


def _document_paths(found: Project) -> dict[int, Path]:
    paths = found.folder("trust").glob("*")
    return dict(sorted((int(path.name), path) for path in paths if path.name.isdecimal()))


def current_trust(found: Project) -> trust.TrustDocument:
    """The newest trust document; every step from the first is checked. Raises Refused."""
    first, *later = documents(found).values()
    unchecked = trust.parse(trust.split(first)[0])
    document = trust.verify_first(first, pins(found, unchecked, found.board))
    for envelope in later:
        document = trust.verify_next(envelope, document)
    return document


def first_pins(found: Project, board: str) -> bytes:
    """`/s0/pins` for a new board: the root keys of the fleet's first trust document."""
    first = documents(found)[1]
    return pins(found, trust.parse(trust.split(first)[0]), board)


def pins(found: Project, document: trust.TrustDocument, board: str) -> bytes:
    return trust.pins(document, found.vendor_id, found.class_id(board), board)


def signed_envelopes(found: Project) -> list[bytes]:
    """Every envelope that this fleet has kept: releases and builds.

    One that is taken away meanwhile is left out. Raises Refused for what cannot be read: a
    signer that overlooks an envelope may use a one-time key twice (T14).
    """
    kept: list[bytes] = []
    for folder in (found.folder("releases"), found.folder("build")):
        for where, _, held in os.walk(folder, onerror=_refuse_unless_gone):
            for name in sorted(held):
                if not name.endswith(".suit"):
                    continue
                try:
                    kept.append((Path(where) / name).read_bytes())
                except OSError as error:
                    _refuse_unless_gone(error)
    return kept


def _refuse_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise Refused(f"{error.filename}: cannot be read: {error.strerror}") from error
