"""`make size`: how much code stays in the Pico W's heap, module by module, against S20's limit,
and how much flash the two images take.

RAM is what a board runs out of: with more than 64 KB of resident .mpy a TLS session no longer
finds its 40 KB block.
"""

import ast
import sys
from collections.abc import Mapping

from host_tools import ui
from host_tools.boards import catalogue
from host_tools.errors import HostError, Refused
from host_tools.image import build, digests, sources
from host_tools.image import compile as mpy

BOARD = "rpi_pico_w"
RESIDENT_MAX = 64 * 1024  # bytes of .mpy (S20)

APP = "/app/main.py"
LAZY = "/uward/lazy.py"
WARM = "/uward/warm.py"
LIST = "_RESIDENT"  # in WARM: what the device imports first and keeps, by name
DROPPED = {  # path prefix: imported at some module's head, but dropped again by `lazy.drop`
    "/uward/limits": "its numbers are folded into those who use them; nothing imports it",
    "/uward/codec/cose": "imported with its keys to verify a signature, dropped after it",
    "/uward/crypto/p256": "signatures: imported to verify or sign, dropped after it",
    "/uward/crypto/_p256": "signatures: imported to verify or sign, dropped after it",
    "/uward/crypto/lms": "signatures: imported to verify a release, dropped after it",
    "/uward/crypto/_lms": "signatures: imported to verify a release, dropped after it",
    "/uward/trust/anchors": "trust documents: read when the station starts or gets a new one",
    "/uward/trust/suit": "envelopes: read for a release",
    "/uward/update/": "imported for a download, dropped after it",
}


def resident(modules: Mapping[str, bytes], compiled: Mapping[str, bytes]) -> dict[str, int]:
    """Bytes of each compiled module that stays in the heap. A bytecode fallback is not loaded
    where its native build is (S22)."""
    stays = sources.closure(modules, [APP, *listed(modules)], lazy=False)
    names = {path.removesuffix(".py") + ".mpy" for path in stays}
    return {
        path: len(code)
        for path, code in compiled.items()
        if path in names and not path.startswith(tuple(DROPPED)) and not _replaced(path, compiled)
    }


def listed(modules: Mapping[str, bytes]) -> list[str]:
    """Paths of the modules that the device itself names as resident, in `uward/warm.py`; with
    them stays all that they import at their head. Raises Refused for one that is not there."""
    words: list[str] = []
    for node in ast.parse(modules[WARM]).body:
        if isinstance(node, (ast.Assign, ast.AugAssign)) and _names(node, LIST):
            words += str(ast.literal_eval(node.value)).split()
    stems = [f"/uward/{word.replace('.', '/')}" for word in words]
    paths = [p for stem in stems for p in (f"{stem}.py", f"{stem}/__init__.py") if p in modules]
    if not paths or len(paths) != len(stems):
        raise Refused(f"{WARM} names {len(stems)} resident modules, {len(paths)} are there")
    return paths


def _names(node: ast.Assign | ast.AugAssign, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def measure() -> tuple[dict[str, int], int]:
    """(bytes by resident module of agent, app and umqtt; bytes loaded when needed)."""
    board = catalogue.load(BOARD)
    modules = {**sources.agent(board), **sources.app(sources.EXAMPLE_APP)}
    compiled = mpy.compile_all(modules, board.mpy_arch)
    sizes = resident(modules, compiled)
    return sizes, sum(map(len, compiled.values())) - sum(sizes.values())


def flash() -> tuple[int, int]:
    """Bytes of the image of agent and example app as it is stored, and of the recovery image."""
    board = catalogue.load(BOARD)
    facts = digests.Build("1.0.0", 1, 1, 0, BOARD, "app.main", board.mpy_arch, board.strap_pin)
    made = build.images(board, facts, sources.EXAMPLE_APP, ())
    return len(made.app), len(made.recovery)


def main() -> int:
    """Print the table; 1 when it is above the limit."""
    try:
        sizes, rest = measure()
        image, recovery = flash()
    except HostError as error:
        ui.error(str(error), error.hint)
        return error.exit_code
    total = sum(sizes.values())
    rows = [{"bytes": size, "module": path} for path, size in sorted(sizes.items(), key=_by_size)]
    ui.table(rows, ("bytes", "module"), "no modules")
    ui.result(
        {
            "resident": total,
            "limit": RESIDENT_MAX,
            "on_demand": rest,
            "image": image,
            "recovery": recovery,
        },
        f"{total} bytes resident of {RESIDENT_MAX}; {rest} more are loaded when needed; "
        f"in flash the image takes {image} bytes, recovery {recovery}",
    )
    if total <= RESIDENT_MAX:
        return 0
    ui.error(f"resident .mpy is {total} bytes, at most {RESIDENT_MAX}", "S20 says what to move")
    return 1


def _by_size(item: tuple[str, int]) -> int:
    return -item[1]


def _replaced(path: str, compiled: Mapping[str, bytes]) -> bool:
    return path.endswith("_plain.mpy") and path.replace("_plain", "_native") in compiled


if __name__ == "__main__":
    sys.exit(main())
