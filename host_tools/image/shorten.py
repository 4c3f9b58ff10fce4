"""Private names become `_a`, `_b`, ..., arguments `a`, `b`, ...: MicroPython keeps every name that
it ever saw (S20).

Each module's own names are drawn from the same short row, so that 300 names in the heap become
30. Only what one module alone says is renamed; modules whose classes inherit from each other,
and those of which one imports a private name of the other, share one row and count as one. An
argument is renamed unless some call names it. Native modules, other packages, the maker's program
and the arguments of what it calls stay as they are.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import count, product
from string import ascii_lowercase

PREFIX = "/uward/"
# Whose functions makers call with named arguments
CALLED_BY_MAKERS = (
    "/uward/agent.py",
    "/uward/orders.py",
    "/uward/telemetry.py",
    "/uward/port/",
    "/uward/vault/",
)

PRIVATE = re.compile(r"_[a-z]\w*")


def shorten(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """`{path: source}` with the private names of each module in short."""
    trees = {path: ast.parse(text, path) for path, text in sources.items() if is_ours(path)}
    said = {path: set(spoken(tree)) for path, tree in trees.items()}
    taken = {word for text in sources.values() for word in _words(text)}
    named = {name for text in sources.values() for name in _keywords(text)}
    out = dict(sources)
    for group in _groups(trees):
        names = sorted(_own(group, said, sources))
        short = dict(zip(names, _row(taken), strict=False))
        for path in group:
            tree = Renamer(short).visit(trees[path])
            if not path.startswith(CALLED_BY_MAKERS):
                _shorten_arguments(tree, named)
            out[path] = ast.unparse(tree).encode()
    return out


def one(text: bytes) -> bytes:
    """The same for a module that nothing else looks into."""
    tree = ast.parse(text)
    said = {name for name in spoken(tree) if PRIVATE.fullmatch(name) and name[-2:] != "__"}
    own = said - _quoted(text)
    short = dict(zip(sorted(own), _row(said - own), strict=False))
    tree = Renamer(short).visit(tree)
    _shorten_arguments(tree, set(_keywords(text)))
    return ast.unparse(tree).encode()


def _keywords(text: bytes) -> Iterator[str]:
    """Names by which some call gives an argument."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def _shorten_arguments(tree: ast.AST, named: set[str]) -> None:
    """Rename the arguments of each function, and of those in it, in one step."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and _in_assembler(node):
            continue  # its arguments are registers
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            said = set(spoken(node))
            free = (name for name in _letters() if name not in said)
            own = sorted(_arguments(node) - named - _outside(node))
            _Locals(dict(zip(own, free, strict=False))).visit(node)
        else:
            _shorten_arguments(node, named)


def _in_assembler(function: ast.FunctionDef) -> bool:
    return any("asm_" in ast.unparse(item) for item in function.decorator_list)


def _arguments(function: ast.AST) -> set[str]:
    return {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)} - {"self"}


def _outside(function: ast.AST) -> set[str]:
    """Names that mean something outside of the function too: in defaults, `global`, imports."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arguments):
            for default in [*node.defaults, *(item for item in node.kw_defaults if item)]:
                found.update(spoken(default))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            found.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node is not function:
            found.add(node.name)
    return found


def _letters() -> Iterator[str]:
    for length in count(1):
        yield from ("".join(letters) for letters in product(ascii_lowercase, repeat=length))


def is_ours(path: str) -> bool:
    return path.startswith(PREFIX) and not path.endswith("_native.py")


def _own(group: list[str], said: Mapping[str, set[str]], sources: Mapping[str, bytes]) -> set[str]:
    """Private names of a group that no other module says, not even in a string."""
    names = {name for path in group for name in said[path]}
    names = {name for name in names if PRIVATE.fullmatch(name) and name[-2:] != "__"}
    for other, text in sources.items():
        if other not in group:
            names -= said[other] if other in said else _words(text)
    modules = {other.rpartition("/")[2].removesuffix(".py") for other in sources}
    return names.difference(modules, *(_quoted(sources[path]) for path in group))


def _words(text: bytes) -> set[str]:
    return {word.decode() for word in re.findall(rb"\b_[a-z]\w*", text)}


def _quoted(text: bytes) -> set[str]:
    """Strings of a module: what they say may be looked up by `getattr`."""
    nodes = ast.walk(ast.parse(text))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def spoken(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names


def _groups(trees: Mapping[str, ast.Module]) -> list[list[str]]:
    """Modules, together where a class of one is a base of another's, or one imports a private
    name of another."""
    group = {path: {path} for path in trees}
    for path, tree in trees.items():
        for base in (*_bases(tree), *_friends(tree)):
            if base in group:
                merged = group[path] | group[base]
                for member in merged:
                    group[member] = merged
    return [sorted(members) for members in {frozenset(g) for g in group.values()}]


def _bases(tree: ast.Module) -> Iterator[str]:
    """Paths of the modules whose names appear as a base class."""
    origin: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                root = base.value if isinstance(base, ast.Attribute) else base
                if isinstance(root, ast.Name) and root.id in origin:
                    module = origin[root.id]
                    if not isinstance(base, ast.Attribute):
                        module = module.rpartition(".")[0]
                    yield "/" + module.replace(".", "/") + ".py"


def _friends(tree: ast.Module) -> Iterator[str]:
    """Paths of the modules that private names are imported from."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if any(alias.name.startswith("_") for alias in node.names):
            yield "/" + node.module.replace(".", "/") + ".py"


def _row(taken: set[str]) -> Iterator[str]:
    for length in count(1):
        for letters in product(ascii_lowercase, repeat=length):
            name = "_" + "".join(letters)
            if name not in taken:
                yield name


class _Locals(ast.NodeTransformer):
    """Renames variables, not attributes."""

    def __init__(self, short: Mapping[str, str]) -> None:
        self.short = short

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.short.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.short.get(node.arg, node.arg)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self.short.get(node.name, node.name)
        return self.generic_visit(node)


class Renamer(ast.NodeTransformer):
    def __init__(self, short: Mapping[str, str]) -> None:
        self.short = short

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "attr", "name", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                setattr(node, field, self.short.get(value, value))
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [self.short.get(name, name) for name in node.names]
        return super().generic_visit(node)
