"""`make size`: how much code stays in the Pico W's heap, module by module, against S20's limit.

RAM is what a board runs out of: with more than 64 KB of resident .mpy a TLS session no longer
finds its 40 KB block.
"""

import sys
from collections.abc import Mapping

from host_tools import ui
from host_tools.boards import catalogue
from host_tools.errors import HostError
from host_tools.image import compile as mpy
from host_tools.image import sources

BOARD = "rpi_pico_w"
RESIDENT_MAX = 64 * 1024  # bytes of .mpy (S20)

ON_DEMAND = {  # path prefix: why it is not in the heap while the device works
    "/uward/boot/": "stage 0 and its loader: purged before the agent runs",
    "/uward/update/": "imported for a download, dropped after it",
    "/uward/crypto/lms": "imported to verify a release, dropped after it",
    "/uward/crypto/_lms": "imported to verify a release, dropped after it",
    "/uward/trust/suit": "imported to judge a release, dropped after it",
    "/uward/trust/decide": "imported to judge a release, dropped after it",
    "/uward/enrol": "runs on the factory console only",
    "/uward/recovery": "runs in the recovery image only",
}


def resident(compiled: Mapping[str, bytes]) -> dict[str, int]:
    """Bytes of each module that stays in the heap. A bytecode fallback is not loaded where its
    native build is (S22)."""
    return {
        path: len(code)
        for path, code in compiled.items()
        if not path.startswith(tuple(ON_DEMAND)) and not _replaced(path, compiled)
    }


def measure() -> tuple[dict[str, int], int]:
    """(bytes by resident module of agent, app and umqtt; bytes loaded when needed)."""
    board = catalogue.load(BOARD)
    modules = {**sources.agent(board), **sources.app(sources.EXAMPLE_APP)}
    compiled = mpy.compile_all(modules, board.mpy_arch)
    sizes = resident(compiled)
    return sizes, sum(map(len, compiled.values())) - sum(sizes.values())


def main() -> int:
    """Print the table; 1 when it is above the limit."""
    try:
        sizes, rest = measure()
    except HostError as error:
        ui.error(str(error), error.hint)
        return error.exit_code
    total = sum(sizes.values())
    rows = [{"bytes": size, "module": path} for path, size in sorted(sizes.items(), key=_by_size)]
    ui.table(rows, ("bytes", "module"), "no modules")
    ui.result(
        {"resident": total, "limit": RESIDENT_MAX, "on_demand": rest},
        f"{total} bytes resident of {RESIDENT_MAX}; {rest} more are loaded when needed",
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
