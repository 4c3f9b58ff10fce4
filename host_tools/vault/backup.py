"""A board's vaults as a signed paper: what lay in its flash, sealed as it was (S12, S13).

COSE_Sign1 (ESP256, role admin), aad `uward.backup.v1`, payload {1: device id, 2: board, 3: unix
time, 4: {path: bytes} below /vault, 5: fingerprint}. The bytes stay sealed under keys that only
the board has: a backup opens on that board or nowhere.

Only settings go back. An outbox put back would send other packs under numbers that the collector
has, an audit log would end before its witnessed head: both are what S12 and S13 exist to notice.
No nonce repeats: whoever mounts a vault begins a run with a fresh salt (ADR 0050).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.image import lfs
from host_tools.signing import cose

DOMAIN = b"uward.backup.v1"
VAULTS = "/vault/"
RESTORED = "/vault/settings/"
ROOT = "/id/root"
_WHAT = "backup"


@dataclass(frozen=True)
class Backup:
    """files: by absolute path. fingerprint: of the root that they were sealed under."""

    device: str
    board: str
    made: int
    files: dict[str, bytes]
    fingerprint: bytes


def make(board: Board, device: str, dump: bytes, now: int, signer: cose.Signer) -> bytes:
    """The paper of what `dump` holds. Raises Refused for a dump without vaults or root."""
    files = lfs.read(board, _area(board, dump))
    kept = {path: data for path, data in files.items() if path.startswith(VAULTS)}
    if not kept:
        raise Refused("there is no vault in this dump")
    body = {1: device, 2: board.name, 3: now, 4: kept, 5: _fingerprint(files)}
    return cose.sign1(cose.encode(body), signer, DOMAIN)


def check(data: bytes, admins: Iterable[cose.PublicKey]) -> Backup:
    """The paper's content. Raises Refused unless one of `admins` has signed it."""
    refusal = Refused(f"{_WHAT}: there is no key of role admin to check it with")
    for key in admins:
        try:
            return _parse(cose.verify1(data, key, DOMAIN, _WHAT))
        except Refused as error:
            refusal = error
    raise refusal


def restore(board: Board, backup: Backup, dump: bytes) -> bytes:
    """`dump` with the settings of the backup in it. Raises Refused for another board, or one
    whose keys were rotated since: what was sealed under others opens nowhere."""
    if board.name != backup.board:
        raise Refused(f"{_WHAT}: it is of a {backup.board}, the dump of a {board.name}")
    area = _area(board, dump)
    files = lfs.read(board, area)
    if _fingerprint(files) != backup.fingerprint:
        raise Refused(
            f"{_WHAT}: the dump's keys are not those of the backup: it opens nowhere else",
            "a replacement board gets its settings anew (uward send); the collector has the rest",
        )
    kept = {path: data for path, data in files.items() if not path.startswith(RESTORED)}
    back = {path: data for path, data in backup.files.items() if path.startswith(RESTORED)}
    if not back:
        raise Refused(f"{_WHAT}: there are no settings in it")
    made = lfs.build(board, {**kept, **back})
    if len(dump) == len(area):
        return made
    end = board.flash.fs_offset + len(made)
    return dump[: board.flash.fs_offset] + made + dump[end:]


def _parse(payload: bytes) -> Backup:
    body = cose.mapping(cose.decode(payload, _WHAT), _WHAT)
    if set(body) != {1, 2, 3, 4, 5}:
        raise Refused(f"{_WHAT}: expected the members 1 to 5, got {sorted(body)}")
    files: dict[Any, Any] = cose.mapping(body[4], _WHAT)
    for path, data in files.items():
        if not isinstance(path, str) or not path.startswith(VAULTS) or not isinstance(data, bytes):
            raise Refused(f"{_WHAT}: expected files below {VAULTS}")
    return Backup(str(body[1]), str(body[2]), int(body[3]), files, bytes(body[5]))


def _fingerprint(files: dict[str, bytes]) -> bytes:
    if ROOT not in files:
        raise Refused("this dump is of a board that is not enrolled: there is no /id/root")
    return hashlib.sha256(DOMAIN + files[ROOT]).digest()


def _area(board: Board, dump: bytes) -> bytes:
    return dump if len(dump) == board.flash.fs_size else lfs.area(board, dump)
