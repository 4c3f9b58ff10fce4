"""What an app may not use unless its project allows it by name (S5).

The import gate on the device is no sandbox: code of a signed image can do what it likes. So the
build looks at the maker's source and refuses what would open the gate again: running text as
code, mounting file systems, changing where modules come from, raw memory, unverified sockets.
It finds honest mistakes and careless libraries, not a determined author.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

RULES: dict[str, str] = {
    "exec": "runs text as code that nobody signed",
    "eval": "runs text as code that nobody signed",
    "compile": "makes code that nobody signed",
    "execfile": "runs a file as code that nobody signed",
    "__import__": "imports by a name that the build cannot see",
    "builtins": "reaches exec and eval under other names",
    "vfs.mount": "mounts files beside the verified image",
    "vfs.umount": "takes the verified image away",
    "sys.path": "lets modules come from outside the image",
    "sys.modules": "replaces verified modules",
    "machine.mem8": "reads and writes raw memory",
    "machine.mem16": "reads and writes raw memory",
    "machine.mem32": "reads and writes raw memory",
    "uctypes": "reads and writes raw memory",
    "micropython.asm": "is machine code that checks nothing",
    "micropython.viper": "has raw pointers into memory",
    "raw flash": "reads and writes slots and keys below the file system",
    "os.dupterm": "opens a console on a stream that nobody verified",
    "ssl": "starts at CERT_NONE: it verifies no peer",
    "tls": "opens connections that the agent does not verify",
    "socket": "opens connections that the agent does not verify",
    "asyncio.open_connection": "opens connections that the agent does not verify",
    "asyncio.start_server": "takes connections that the agent does not verify",
    "umqtt": "opens connections that the agent does not verify",
    "requests": "opens connections that the agent does not verify",
    "mip": "fetches code that nobody signed",
    "webrepl": "opens a console to the network",
    "ntptime": "sets the clock to what nobody signed",
}
BUILTINS = ("exec", "eval", "compile", "execfile", "__import__")
MODULES = (
    "builtins",
    "uctypes",
    "ssl",
    "tls",
    "socket",
    "umqtt",
    "requests",
    "mip",
    "webrepl",
    "ntptime",
)
ATTRIBUTES = {
    ("vfs", "mount"): "vfs.mount",
    ("vfs", "umount"): "vfs.umount",
    ("os", "mount"): "vfs.mount",
    ("os", "umount"): "vfs.umount",
    ("os", "dupterm"): "os.dupterm",
    ("rp2", "Flash"): "raw flash",
    ("esp32", "Partition"): "raw flash",
    ("asyncio", "open_connection"): "asyncio.open_connection",
    ("asyncio", "start_server"): "asyncio.start_server",
    ("sys", "path"): "sys.path",
    ("sys", "modules"): "sys.modules",
    ("machine", "mem8"): "machine.mem8",
    ("machine", "mem16"): "machine.mem16",
    ("machine", "mem32"): "machine.mem32",
    ("micropython", "viper"): "micropython.viper",
    **{
        ("micropython", name): "micropython.asm"
        for name in ("asm_thumb", "asm_xtensa", "asm_rv32", "asm_pio")
    },
}
WATCHED = {module for module, _ in ATTRIBUTES}


@dataclass(frozen=True)
class Finding:
    """One use of `rule` (a key of RULES) in `file`, at `line` (from 1)."""

    file: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule} {RULES.get(self.rule, 'is not Python')}"


def check(sources: Mapping[str, bytes], allow: Collection[str] = ()) -> list[Finding]:
    """Findings in `sources` ({path: Python source}) other than those that `allow` names, in the
    order of file and line."""
    found: list[Finding] = []
    for path, source in sorted(sources.items()):
        try:
            tree = ast.parse(source, path)
        except (SyntaxError, ValueError) as error:
            found.append(Finding(path, getattr(error, "lineno", None) or 1, "syntax"))
            continue
        pairs = sorted(set(_uses(tree)))
        found += [Finding(path, line, rule) for line, rule in pairs if rule not in allow]
    return found


def _uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    names = _module_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.lineno, node.id
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, m) for m in map(_plain, _roots(node)) if m in MODULES)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, rule) for rule in _from(node))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            rule = ATTRIBUTES.get((names.get(node.value.id, ""), node.attr))
            if rule:
                yield node.lineno, rule
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, rule) for rule in _getattr(node, names))


def _module_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> watched module, through `import x as y`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = _plain(alias.name.partition(".")[0])
                if module in WATCHED:
                    names[alias.asname or alias.name.partition(".")[0]] = module
    return names


def _roots(node: ast.Import) -> list[str]:
    return [alias.name.partition(".")[0] for alias in node.names]


def _from(node: ast.ImportFrom) -> Iterator[str]:
    module = _plain((node.module or "").partition(".")[0])
    if node.level == 0 and module in MODULES:
        yield module
    for alias in node.names:
        if alias.name == "*":
            yield from (rule for (owner, _), rule in ATTRIBUTES.items() if owner == module)
        elif (module, alias.name) in ATTRIBUTES:
            yield ATTRIBUTES[module, alias.name]


def _getattr(node: ast.Call, names: Mapping[str, str]) -> Iterator[str]:
    """`getattr(machine, ...)`: a literal name is looked up, a computed one counts as all."""
    if not isinstance(node.func, ast.Name) or node.func.id != "getattr" or len(node.args) < 2:
        return
    owner, wanted = node.args[0], node.args[1]
    if not isinstance(owner, ast.Name) or owner.id not in names:
        return
    literal = wanted.value if isinstance(wanted, ast.Constant) else None
    for (module, attribute), rule in ATTRIBUTES.items():
        if module == names[owner.id] and literal in (None, attribute):
            yield rule


def _plain(module: str) -> str:
    """MicroPython's old names: `usocket` is `socket`."""
    old = module[1:] if module.startswith("u") else module
    return old if old in WATCHED or old in MODULES else module
