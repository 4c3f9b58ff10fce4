"""The files of a factory file system (SPEC 3): all that a board holds before it is enrolled.

Nothing in it is secret: the same files, in one image, are flashed onto every board of a class.
"""

from dataclasses import dataclass

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.image import compile as mpy
from host_tools.image import romfs, sources

STAGE0_ROOT = "/uward/boot/stage0.py"
LOADER = "/uward/boot/image.py"
STAGE0_FILES = ("__init__", "compat", "errors", "limits", "vault/__init__", "vault/keys")
STAGE0_MAY = (  # the package itself names the agent, which stage 0 must not carry
    *(f"/uward/{name}.py" for name in STAGE0_FILES),
    *(f"/uward/{name}/" for name in ("boot", "codec", "crypto", "trust")),
)
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
    """The loader, which mounts ROMFS, and the modules that stage 0 needs, as one ROMFS."""
    modules = {
        path: text for path, text in sources.agent(board).items() if path.startswith(STAGE0_MAY)
    }
    for path in (LOADER, STAGE0_ROOT):
        if path not in modules:
            raise Refused(f"firmware has no {path}")
    needed = sources.closure(modules, [STAGE0_ROOT], lazy=True)
    compiled = mpy.compile_all(needed, board.mpy_arch)
    loader = mpy.compile_one(LOADER_NAME, modules[LOADER], board.mpy_arch)
    return {"/s0/image.mpy": loader, "/s0/stage0.img": romfs.pack(compiled)}


def development(board: Board, app: sources.Sources) -> dict[str, bytes]:
    """A checkout on a board: sources, so that one file is changed by one copy. Nothing here is
    verified, and boot.py is left out: the board stays open."""
    return {"/main.py": _source("main.py"), **sources.agent(board), **app}


def _source(name: str) -> bytes:
    path = sources.FIRMWARE / name
    if not path.is_file():
        raise Refused(f"firmware has no {name}")
    return path.read_bytes()
