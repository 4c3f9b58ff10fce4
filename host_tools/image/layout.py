"""The files of a factory file system (SPEC 3): all that a board holds before it is enrolled.

Nothing in it is secret: the same files, in one image, are flashed onto every board of a class.
"""

from dataclasses import dataclass

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.image import bundle, fold, shorten, sources
from host_tools.image import compile as mpy
from host_tools.image.memo import remembered

STAGE0 = "uward.boot.stage0"
LOADER = "/uward/boot/image.py"
# what no honest signature needs, so that it is refused at boot, and what only signing needs
CRAFTED_ONLY = ("uward.crypto._p256_group", "uward.crypto._p256_high")
LOADER_NAME = "/s0/image.py"


@dataclass(frozen=True)
class Slot:
    """A signed image: ROMFS bytes and SUIT envelope."""

    image: bytes
    envelope: bytes


def factory(
    board: Board, app: Slot, recovery: Slot, pins: bytes, trust: dict[int, bytes]
) -> dict[str, bytes]:
    """`{absolute path: content}`; `trust` is `{version: document}`, from 1."""
    return {
        **loose(),
        **stage0(board),
        "/s0/pins": pins,
        "/slot/a.img": app.image,
        "/slot/a.suit": app.envelope,
        "/slot/r.img": recovery.image,
        "/slot/r.suit": recovery.envelope,
        **{f"/trust/{version}": document for version, document in trust.items()},
    }


def loose() -> dict[str, bytes]:
    """boot.py and main.py, which MicroPython runs by these names and only as source."""
    return {f"/{name}": _source(name) for name in ("boot.py", "main.py")}


def stage0(board: Board) -> dict[str, bytes]:
    """The loader, which mounts ROMFS, and stage 0 with all that it needs, each one .mpy."""
    modules = sources.agent(board)
    if LOADER not in modules:
        raise Refused(f"firmware has no {LOADER}")
    return _compiled(board, modules)


@remembered
def _compiled(board: Board, modules: sources.Sources) -> dict[str, bytes]:
    modules = {p: text for p, text in modules.items() if mpy.fits(p, text, board.mpy_arch)}
    native = board.port != "unix"  # one build for whatever CPU runs the Unix port
    whole = bundle.build(modules, STAGE0, "run", native, CRAFTED_ONLY if native else ())
    whole = shorten.one(whole)  # its names stay in the heap when it is gone
    loader = shorten.one(fold.own(modules[LOADER]))
    return {
        "/s0/image.mpy": mpy.compile_one(LOADER_NAME, loader, board.mpy_arch),
        "/s0/stage0.mpy": mpy.compile_one("/s0/stage0.py", whole, board.mpy_arch, native),
    }


def development(board: Board, app: sources.Sources) -> dict[str, bytes]:
    """A checkout on a board: sources, so that one file is changed by one copy. Nothing here is
    verified, and boot.py is left out: the board stays open."""
    return {"/main.py": _source("main.py"), **sources.agent(board), **app}


def _source(name: str) -> bytes:
    path = sources.FIRMWARE / name
    if not path.is_file():
        raise Refused(f"firmware has no {name}")
    return path.read_bytes()
