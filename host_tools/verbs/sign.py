"""`uward sign`: the SUIT envelope of an image, by one or several role holders."""

import calendar
import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import DigestOut, Fleet, Force, Passphrase, SignatureIn

if TYPE_CHECKING:
    from host_tools.signing.keys import Kek

DEFAULT_ROLES = ("release", "approver")
RECOVERY_ENTRY = "uward.recovery"


@dataclass(frozen=True)
class Options:
    """What `uward sign` was asked for, other than which image."""

    roles: tuple[str, ...] = DEFAULT_ROLES
    encrypt: bool = False
    use_before: int | None = None
    device: str | None = None
    delta_from: tuple[Path, ...] = ()
    digest_out: Path | None = None
    signature_in: Path | None = None
    passphrase_file: Path | None = None
    force: bool = False


def command(
    image: Annotated[
        Path | None,
        typer.Argument(help="One image. Default: both that `uward build` made last."),
    ] = None,
    fleet: Fleet = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE[:HOLDER]", help="Who signs. Default: release and approver."),
    ] = None,
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt", help="Encrypt the payload for the fleet's group key, or --device's own."
        ),
    ] = False,
    use_before: Annotated[
        str | None,
        typer.Option(metavar="DATE|UNIX", help="Devices refuse to install it later."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this device takes it.")
    ] = None,
    delta_from: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="IMAGE",
            help="Make a patch from this older image too, for devices that run it.",
        ),
    ] = None,
    digest_out: DigestOut = None,
    signature_in: SignatureIn = None,
    passphrase_file: Passphrase = None,
    force: Force = False,
) -> None:
    """Sign an image: writes its SUIT envelope (.suit) beside it.

    A device installs it when enough holders of `release` *and* of `approver` signed. Signing
    an image again adds the signatures that are missing, so the second person runs the same
    command on another machine with the folder and their own key. With --force it starts anew.

    A key in a token signs like a file: `uward keys token`. A key on a machine without a network:
    --role approver --digest-out FILE, there `uward keys sign KEY FILE SIGNATURE` (or ESP256 over
    that file's bytes by any means, 64 bytes r and s), then --signature-in SIGNATURE.

    Example: uward sign --role release
    """
    found = project.load(fleet)
    options = Options(
        roles=tuple(role or DEFAULT_ROLES),
        encrypt=encrypt,
        use_before=_moment(use_before),
        device=device,
        delta_from=tuple(delta_from or ()),
        digest_out=digest_out,
        signature_in=signature_in,
        passphrase_file=passphrase_file,
        force=force,
    )
    rows = [do_sign(found, path, options) for path in _images(found, image, options)]
    ui.table(rows, ("envelope", "component", "version", "signed_by", "missing"), "nothing signed")
    for row in rows:
        if row["missing"]:
            ui.note(f"{row['envelope']}: devices refuse it yet: {row['missing']}")


def _moment(text: str | None) -> int | None:
    """Unix seconds of `1900000000` or of `2027-01-31` (midnight UTC). Raises UsageError."""
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--use-before is {text!r}, expected a date such as 2027-01-31 or unix seconds"
        ) from error
    return calendar.timegm(day.timetuple())


def do_sign(found: Project, image_path: Path, options: Options) -> dict[str, Any]:
    """Sign one image file; returns what its envelope is now. Raises Refused or UsageError, with
    nothing written."""
    from host_tools import keyring
    from host_tools.pki import files
    from host_tools.signing import author, keys, suit

    _check_roles(options)
    image = files.read(image_path, "image")
    path = image_path.with_suffix(".suit")
    envelope, beside = _begin(found, image, path, options)
    manifest = suit.parse(envelope).manifest
    if options.digest_out or options.signature_in:
        public = keyring.public_key(found, _only_role(options))
        if options.digest_out:
            files.write(options.digest_out, author.to_be_signed(manifest, public.alg))
        if options.signature_in:
            signature = files.read(options.signature_in, "signature")
            envelope = author.attach(envelope, public, signature)
    else:
        passphrase = keys.passphrase_from(options.passphrase_file)
        witness = keyring.signed_envelopes(found)
        for role in options.roles:
            for signer in keyring.signers(found, role, passphrase, witness):
                if not keyring.has_signed(envelope, signer.public):
                    envelope = author.add_signature(envelope, signer)
    for suffix, data in beside.items():
        files.write(image_path.with_suffix(suffix), data, force=True)
    files.write(path, envelope, force=True)
    return _state(found, path, envelope)


def _check_roles(options: Options) -> None:
    for given in options.roles:
        if given.partition(":")[0] not in DEFAULT_ROLES:
            raise UsageError(
                f"role {given} signs no images", f"expected {' or '.join(DEFAULT_ROLES)}"
            )


def _images(found: Project, image: Path | None, options: Options) -> list[Path]:
    if image is not None:
        return [image]
    folder = found.last_built(found.board)
    app = folder / "image.img"
    if not app.is_file():
        raise UsageError(f"{os.path.relpath(app)}: no such image", "make it with `uward build`")
    apart = options.digest_out or options.signature_in
    return [app] if apart else [app, folder / "recovery.img"]


def _begin(
    found: Project, image: bytes, path: Path, options: Options
) -> tuple[bytes, dict[str, bytes]]:
    """(envelope to add to, {suffix: file} to write beside it): the one at `path` if it is this
    image's."""
    from hashlib import sha256

    from host_tools.pki import files
    from host_tools.signing import author, suit

    if path.is_file() and not options.force:
        envelope = files.read(path, "envelope")
        if author.image_digest(suit.parse(envelope).manifest) != sha256(image).digest():
            raise Refused(
                f"{path}: it is the envelope of another image",
                "say --force to replace it: its signatures are lost",
            )
        made = (options.encrypt, options.device, options.delta_from)
        if any(made) or options.use_before is not None:
            raise Refused(
                f"{path}: the manifest is made already, only signatures can be added",
                "say --force to make it anew: its signatures are lost",
            )
        return envelope, {}
    return _new(found, image, options)


def _new(found: Project, image: bytes, options: Options) -> tuple[bytes, dict[str, bytes]]:
    from host_tools.image import digests
    from host_tools.pki import files
    from host_tools.signing import author, delta

    build = digests.inspect(image)
    kek = _kek(found, options.device) if options.encrypt else None
    encrypt = (kek.kid, kek.key) if kek else None
    recovery = build.entry == RECOVERY_ENTRY
    older = () if recovery else options.delta_from
    deltas = [delta.make(files.read(path, "older image"), image, encrypt) for path in older]
    manifest, payload = author.build_manifest(
        image,
        build.sequence,
        build.security_version,
        build.version,
        found.vendor_id,
        found.class_id(build.board),
        component="recovery" if recovery else "image",
        use_before=options.use_before,
        device_id=options.device,
        encrypt=encrypt,
        deltas=deltas,
    )
    beside = {f".patch-{number}": made.payload for number, made in enumerate(deltas)}
    if encrypt:
        beside[".enc"] = payload  # devices pull that instead of the image
    return author.sign(manifest), beside


def _kek(found: Project, device: str | None) -> "Kek":
    """The group's KEK, or the one of the only device that takes the release (S6)."""
    from host_tools import keyring
    from host_tools.signing import keys

    if device is None:
        return keys.load_kek(keyring.kek_path(found))
    return keyring.own_kek(found, device) or keys.create_kek(keyring.own_kek_path(found, device))


def _only_role(options: Options) -> str:
    if len(options.roles) != 1 or options.roles == DEFAULT_ROLES:
        raise UsageError(
            "--digest-out and --signature-in are about one role", "say which: --role approver"
        )
    return options.roles[0]


def _state(found: Project, path: Path, envelope: bytes) -> dict[str, Any]:
    from host_tools import keyring
    from host_tools.signing import author

    facts = author.inspect(envelope)
    missing: str | None = None
    try:
        author.verify(envelope, keyring.current_trust(found))
    except Refused as error:
        missing = str(error)
    return {
        "envelope": os.path.relpath(path),
        **{key: facts[key] for key in ("component", "version", "sequence", "manifest_digest")},
        "encrypted": facts["encrypted_for"] is not None,
        "signed_by": [f"{one['algorithm']} {one['kid']}" for one in facts["signatures"]],
        "missing": missing,
    }
