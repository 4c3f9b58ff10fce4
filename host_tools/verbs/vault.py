"""`uward vault`: what a flash dump tells about the vaults in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import ui
from host_tools.errors import Refused, UsageError

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
    if not any(path.isdigit() for path in found):
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
