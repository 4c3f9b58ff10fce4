"""The papers of a retired device (S15): its receipt of intent, and what closes the case. Pure.

The receipt is the device's own signed result of the command `retire`. After it no key is left to
sign with, so that the end is attested by a person: a COSE_Sign1 of role admin over what a dump of
the flash shows, or over the word that nobody looked.
"""

import hashlib

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.image import lfs
from host_tools.signing import cose

DOMAIN = b"uward.retired.v1"
ERASED = b"\xff"
SUPERBLOCKS = 2  # what a stock board writes when it starts without a file system


def check_erased(board: Board, dump: bytes) -> None:
    """Raises Refused unless the file system of `dump` is erased.

    A board that started since has made a new, empty file system: two blocks, no file.
    """
    flash = board.flash
    area = dump if len(dump) == flash.fs_size else lfs.area(board, dump)
    size = flash.fs_block
    full = [
        n for n in range(flash.fs_blocks) if area[n * size : (n + 1) * size].strip(ERASED) != b""
    ]
    if not full:
        return
    if full[-1] >= SUPERBLOCKS or lfs.read(board, area):
        raise Refused(
            f"{len(full)} of {flash.fs_blocks} blocks are not erased, the first is {full[0]}",
            "let the board start again: it goes on until everything is gone",
        )


def close(device: str, receipt: bytes, dump: bytes | None, now: int, signer: cose.Signer) -> bytes:
    """COSE_Sign1 over {1: device id, 2: SHA-256(receipt), 3: SHA-256(dump) or nil, 4: time}."""
    proof = None if dump is None else hashlib.sha256(dump).digest()
    payload = cose.encode({1: device, 2: hashlib.sha256(receipt).digest(), 3: proof, 4: now})
    return cose.sign1(payload, signer, DOMAIN)
