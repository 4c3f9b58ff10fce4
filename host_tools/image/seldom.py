"""The names of modules that come and go, as a module without code (S20).

MicroPython keeps each name that it meets for ever. Those of a module that is loaded for a moment
would lie above its code, and part what that leaves free: they are to have their place at boot.
Loading the modules themselves for it took 1.8 s of each boot; this takes 0.1.
"""

from collections.abc import Iterator, Mapping

from host_tools.boards.catalogue import Board
from host_tools.image import compile as mpy
from host_tools.image import rename, sources

PATH = "/uward/names.py"
# What a session loads and drops: signatures, certificates, documents, the boot record, updates,
# the start of its log, attestation, and readings in flash
ROOTS = (
    "codec/cose crypto/lms crypto/p256 trust/decide trust/anchors boot/store link/tls link/derive "
    "link/inbox update/payload update/updater update/trial link/audit guard/attest vault/away "
    "vault/dense vault/mount vault/kept vault/room vault/blind"
)
MOUNT = "/rom"  # where an image lies: a module is also known by its path
FLAGS = 0x40  # of a .mpy's third byte: flags of the architecture follow the header
HEADER = 4


def add(
    compiled: Mapping[str, bytes], modules: Mapping[str, bytes], board: Board
) -> dict[str, bytes]:
    """`compiled`, .mpy by path, with one more that says the names of those that come and go,
    but for those that the board's ROM has.

    modules: their sources, which say what each of them imports.
    """
    roots = [path for path in (f"/uward/{root}.py" for root in ROOTS.split()) if path in modules]
    paths = [path[:-3] + ".mpy" for path in sources.closure(modules, roots, lazy=False)]
    said: set[bytes] = set()
    for path in paths:
        if path in compiled:  # an assembler does not fit every board
            said.update(names(compiled[path]))
            parts = path[1:-4].split("/")
            said |= {(MOUNT + path).encode(), ".".join(parts).encode(), parts[-1].encode()}
    said.difference_update(name.encode() for name in rename.names(board))
    empty = mpy.compile_one(PATH, b"", board.mpy_arch)
    return {**compiled, PATH[:-3] + ".mpy": saying(empty, sorted(said))}


def names(code: bytes) -> Iterator[bytes]:
    """The names in a .mpy (version 6) that are not among those that every firmware has."""
    at = HEADER
    if code[2] & FLAGS:
        _, at = _uint(code, at)
    count, at = _uint(code, at)
    _, at = _uint(code, at)
    for _ in range(count):
        size, at = _uint(code, at)
        if not size & 1:  # else the number of a name that every firmware has
            yield code[at : at + size // 2]
            at += size // 2 + 1


def saying(code: bytes, said: list[bytes]) -> bytes:
    """A .mpy with more names behind its own, which nothing in it uses."""
    count, at = _uint(code, HEADER)
    end = at + len(_encoded(_uint(code, at)[0]))
    for _ in range(count):
        size, behind = _uint(code, end)
        end = behind if size & 1 else behind + size // 2 + 1
    more = b"".join(_encoded(2 * len(name)) + name + b"\0" for name in said)
    return b"".join([code[:HEADER], _encoded(count + len(said)), code[at:end], more, code[end:]])


def _uint(data: bytes, at: int) -> tuple[int, int]:
    """A .mpy's integer: 7 bits a byte, the highest first. -> (value, what follows)."""
    value = 0
    while True:
        value = value << 7 | data[at] & 127
        at += 1
        if data[at - 1] < 128:
            return value, at


def _encoded(value: int) -> bytes:
    out = bytes([value & 127])
    while value := value >> 7:
        out = bytes([value & 127 | 128]) + out
    return out
