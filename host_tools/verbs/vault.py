"""`uward vault`: what a flash dump tells about the vaults in it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase

if TYPE_CHECKING:
    from host_tools.vault import journal

KEY_BYTES = 32
COLUMNS = ("segment", "first_index", "marks", "records", "bytes", "in_tails")


def inspect(
    dump: Annotated[Path, typer.Argument(help="A flash dump, a file-system image, or a folder.")],
    folder: Annotated[str, typer.Option(metavar="PATH", help="Where the vault lies in it.")],
    name: Annotated[str, typer.Option(help="The vault's own name: store, outbox, audit.")],
    board: Annotated[str, typer.Option(help="Board that the dump is of.")] = "rpi_pico_w",
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The vault's key: 32 bytes, or hex.")
    ] = None,
    bits: Annotated[int, typer.Option(help="AES key length: 128 or 256.")] = 128,
    contents: Annotated[bool, typer.Option("--contents", help="Print the records too.")] = False,
) -> None:
    """Show the structure of a vault; with its key also whether it is whole.

    Without the key only counts are known. With it every record is opened, and the first bad
    index is named; then the exit code is 1.

    Example: uward vault inspect dump.bin --folder /vault/store --name store --key vault.key
    """
    facts, rows, error = do_inspect(dump, folder, name, board, key, bits, contents)
    if ui.json_mode:
        ui.result({**facts, "segments": rows})
    else:
        ui.table(rows, COLUMNS, "no segments")
        ui.result(facts)
    if error:
        raise error


def backup(
    device: Annotated[str, typer.Argument(metavar="ID", help="The device that the dump is of.")],
    dump: Annotated[Path, typer.Argument(help="Its flash dump.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the backup goes.")],
    fleet: Fleet = None,
    role: Annotated[str, typer.Option(metavar="ROLE[:HOLDER]", help="Who signs.")] = "admin",
    passphrase_file: Passphrase = None,
) -> None:
    """Keep a board's vaults as a signed file: sealed as they are, of use to this board only.

    Example: uward vault backup abcdefgh12345678 dump.bin --out ward7.backup
    """
    from host_tools.signing import keys

    found = project.load(fleet)
    passphrase = keys.passphrase_from(passphrase_file)
    ui.result(do_backup(found, device, dump, out, role, passphrase))


def do_backup(
    found: Project, device: str, dump: Path, out: Path, role: str, passphrase: bytes | None
) -> dict[str, Any]:
    """Raises Refused and UsageError."""
    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.fleet.inventory import Inventory
    from host_tools.pki import files
    from host_tools.vault import backup as papers

    record = Inventory(found.folder("devices")).get(device)
    if record is None:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    (signer,) = keyring.signers(found, role, passphrase, [])[:1]
    board = catalogue.load(record.board)
    made = papers.make(board, device, files.read(dump, "dump"), int(time.time()), signer)
    files.write(out, made)
    kept = papers.check(made, [signer.public]).files
    return {"device": device, "file": str(out), "files": len(kept), "bytes": len(made)}


def restore(
    backup_file: Annotated[Path, typer.Argument(metavar="BACKUP")],
    dump: Annotated[Path, typer.Argument(help="A dump of the same board as it is now.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the new image goes.")],
    fleet: Fleet = None,
) -> None:
    """Put the settings of a backup into a dump of the same board, to be flashed again.

    Outbox and audit log stay as they are: the collector has what they had. Another board, or
    keys that were rotated since, are refused.

    Example: uward vault restore ward7.backup dump.bin --out new.bin
    """
    ui.result(do_restore(project.load(fleet), backup_file, dump, out))


def do_restore(found: Project, backup_file: Path, dump: Path, out: Path) -> dict[str, Any]:
    """Raises Refused."""
    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.pki import files
    from host_tools.signing.roles import BY_NAME
    from host_tools.vault import backup as papers

    holders = keyring.current_trust(found).holders(BY_NAME["admin"])
    admins = [key for _, key in holders.keys]
    kept = papers.check(files.read(backup_file, "backup"), admins)
    data = papers.restore(catalogue.load(kept.board), kept, files.read(dump, "dump"))
    files.write(out, data, secret=True)
    return {"device": kept.device, "made": kept.made, "file": str(out)}


def do_inspect(
    dump: Path, folder: str, name: str, board: str, key: Path | None, bits: int, contents: bool
) -> tuple[dict[str, Any], list[dict[str, Any]], Refused | None]:
    """(facts, one row a segment, what is wrong or None). Raises Refused for what is no vault."""
    from host_tools.vault import journal

    if bits not in (128, 256):
        raise UsageError(f"--bits is {bits}, expected 128 or 256")
    if contents and key is None:
        raise UsageError("--contents needs --key", "records are sealed: nothing else opens them")
    files = _vault_files(dump, folder, board)
    sealed = journal.Sealed(_read_key(key), name, bits) if key else None
    found = journal.read(files, sealed)
    rows = [
        {
            "segment": one.number,
            "first_index": one.first_index,
            "marks": one.marks,
            "records": one.frames,
            "bytes": one.size,
            "in_tails": one.in_tails,
        }
        for one in found.segments
    ]
    facts: dict[str, Any] = {"records": sum(one.frames for one in found.segments)}
    if sealed is None:
        return {**facts, "verdict": "not verified: no key"}, rows, None
    facts |= _facts(found, contents)
    return facts, rows, _trouble(found)


def _facts(found: "journal.Journal", contents: bool) -> dict[str, Any]:
    damages = [f"index {one.index}, segment {one.segment}: {one.what}" for one in found.damages]
    facts: dict[str, Any] = {
        "verified": len(found.records),
        "damage": damages,
        "verdict": "damaged" if damages else "whole",
    }
    if contents:
        facts["contents"] = [
            f"{one.index} kind {one.kind} {one.payload.hex()}" for one in found.records
        ]
    return facts


def _trouble(found: "journal.Journal") -> Refused | None:
    if not found.damages:
        return None
    first = found.damages[0]
    return Refused(
        f"record {first.index} is not what was sealed: segment {first.segment}, {first.what}",
        "a wrong key, name or --bits looks the same: then nothing verifies",
    )


def _vault_files(dump: Path, folder: str, board: str) -> dict[str, bytes]:
    """Files below `folder`, by path below it."""
    from host_tools.boards import catalogue
    from host_tools.image import lfs
    from host_tools.pki import files
    from host_tools.vault import journal

    prefix = "/" + folder.strip("/") + "/"
    if dump.is_dir():
        root = dump / folder.strip("/")
        found = {
            p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()
        }
    else:
        data, made = files.read(dump, "dump"), catalogue.load(board)
        area = data if len(data) == made.flash.fs_size else lfs.area(made, data)
        everything = lfs.read(made, area)
        found = {
            path.removeprefix(prefix): content
            for path, content in everything.items()
            if path.startswith(prefix)
        }
    if not any(journal.SEGMENT.fullmatch(path) for path in found):
        raise Refused(f"no vault at {prefix.rstrip('/')} in {dump}", "name it with --folder")
    return found


def _read_key(path: Path) -> bytes:
    from host_tools.pki import files

    data = files.read(path, "vault key")
    if len(data) != KEY_BYTES:
        try:
            data = bytes.fromhex(data.decode("ascii").strip())
        except ValueError:
            data = b""
    if len(data) != KEY_BYTES:
        raise Refused(f"{path} is no vault key, expected {KEY_BYTES} bytes or their hex")
    return data
