"""Which sources go into an image, keyed by their path in it.

The agent's modules without other boards' ports and without what is for the host, the maker's app,
and umqtt.simple where the stock firmware does not carry it.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from host_tools.boards import catalogue, fetch
from host_tools.boards.catalogue import Board
from host_tools.errors import UsageError

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
EXAMPLE_APP = FIRMWARE / "app"
PORT_FOLDER = "/uward/port/"
HOST_ONLY = ("_cpython.py",)  # stand-ins for what stock firmware has in C
HAS_UMQTT = ("esp32",)  # ports whose stock images carry umqtt.simple frozen
UMQTT = "/umqtt/simple.py"
KEY_SOURCES = {  # drivers of key sources, for the boards whose TOML names them
    "/uward/vault/source_efuse.py": "efuse-hmac",
    "/uward/vault/source_element.py": "secure-element",
}
LIBRARIES = (  # parts of the agent's package that only a maker's program asks for
    "/uward/link/umqtt.py",
    "/uward/vault/audit.py",
    "/uward/vault/store.py",
)
READINGS = (  # what proves events, and keeps readings in flash: recovery has neither
    "/uward/link/audit.py",
    "/uward/vault/away.py",
    "/uward/vault/blind.py",
    "/uward/vault/dense.py",
    "/uward/vault/journal.py",
    "/uward/vault/kept.py",
    "/uward/vault/mount.py",
    "/uward/vault/queue.py",
    "/uward/vault/room.py",
    "/uward/vault/segment.py",
)
SOURCE_MAX = 256 * 1024  # bytes a source file: no board could hold its code

Sources = dict[str, bytes]


def agent(board: Board, umqtt: Callable[[], bytes] = fetch.umqtt_simple) -> Sources:
    """The agent's modules for `board`, as `/uward/...py`, and `/umqtt/simple.py` if needed."""
    modules = folder(FIRMWARE / "uward", "/uward")
    chosen = {path: text for path, text in modules.items() if _belongs(path, board)}
    if board.port not in HAS_UMQTT:
        chosen[UMQTT] = umqtt()
    return chosen


def asked_for(modules: Mapping[str, bytes], program: Mapping[str, bytes]) -> Sources:
    """`modules` without those LIBRARIES that `program` does not import, directly or not; without
    a program, also without those for READINGS."""
    asked = closure({**modules, **program}, program, lazy=True)
    spared = LIBRARIES if program else LIBRARIES + READINGS
    return {path: text for path, text in modules.items() if path not in spared or path in asked}


def app(path: Path) -> Sources:
    """The maker's program, as `/app/...py`. Raises UsageError when there is no main.py in it, or
    compiled code, which no lint can read."""
    if not (path / "main.py").is_file():
        raise UsageError(
            f"{path}: no main.py there", "[app] folder in uward.toml names your program"
        )
    compiled = sorted(path.rglob("*.mpy"))
    if compiled:
        raise UsageError(f"{compiled[0]}: compiled code is not taken", "put its source there")
    return folder(path, "/app")


def folder(path: Path, prefix: str) -> Sources:
    """Every .py under `path`, keyed by `prefix` and its path below."""
    found: Sources = {}
    for file in sorted(path.rglob("*.py")):
        name = file.relative_to(path).as_posix()
        if file.stat().st_size > SOURCE_MAX:
            raise UsageError(f"{file}: {file.stat().st_size} bytes, at most {SOURCE_MAX}")
        found[f"{prefix}/{name}"] = file.read_bytes()
    if not found:
        raise UsageError(f"{path}: no Python source there")
    return found


def closure(sources: Mapping[str, bytes], roots: Iterable[str], *, lazy: bool) -> Sources:
    """The modules of `sources` that `roots` need: through imports at module level, and with
    `lazy` also through those inside functions. Packages above a module come with it."""
    wanted: Sources = {}
    left = list(roots)
    while left:
        path = left.pop()
        if path not in wanted:
            wanted[path] = sources[path]
            names = imported(sources[path], lazy=lazy)
            left += [name for module in names for name in _files(module, sources)]
            left += _packages(path, sources)
    return wanted


def imported(source: bytes, *, lazy: bool) -> set[str]:
    """Absolute dotted names that `source` imports, each `from x import y` as x and x.y."""
    names: set[str] = set()
    for node in _nodes(ast.parse(source), lazy):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _nodes(tree: ast.AST, lazy: bool) -> Iterable[ast.AST]:
    """The tree's nodes, without function bodies unless `lazy`."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        if lazy or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            left += ast.iter_child_nodes(node)


def _files(module: str, sources: Mapping[str, bytes]) -> list[str]:
    stem = "/" + module.replace(".", "/")
    return [path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in sources]


def _packages(path: str, sources: Mapping[str, bytes]) -> list[str]:
    parts = path.split("/")[:-1]
    inits = ("/".join(parts[:depth]) + "/__init__.py" for depth in range(2, len(parts) + 1))
    return [init for init in inits if init in sources]


def _belongs(path: str, board: Board) -> bool:
    if path.endswith(HOST_ONLY) or KEY_SOURCES.get(path, "flash") not in board.key_sources:
        return False
    if not path.startswith(PORT_FOLDER):
        return True
    stem = path.removeprefix(PORT_FOLDER).removesuffix(".py")
    others = [port for port in catalogue.PORTS if port != board.port]
    return not any(stem == port or stem.startswith(f"{port}_") for port in others)
