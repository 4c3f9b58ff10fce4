"""`limits.NAME` becomes its number before compiling: no table of 120 names in the heap (S20).

On the device every maximum has its name; in the image only its value is needed. A module that
uses `limits` as a value, or a name that it does not have, is refused. `own` does the same with the
constants of a module that is compiled alone.
"""

import ast
from collections.abc import Mapping

from host_tools.errors import Refused

LIMITS = "/uward/limits.py"
PACKAGE, NAME = "uward", "limits"
MODULE = f"{PACKAGE}.{NAME}"


def fold(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """`{path: source}` with the numbers of `/uward/limits.py` in place, where that is in it."""
    if LIMITS not in sources:
        return dict(sources)
    values = constants(sources[LIMITS])
    return {
        path: text if path == LIMITS or NAME.encode() not in text else _folded(path, text, values)
        for path, text in sources.items()
    }


def constants(source: bytes) -> dict[str, int]:
    """The integers of `NAME = const(value)`."""
    found: dict[str, int] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            (target,) = node.targets
            if isinstance(target, ast.Name):
                found[target.id] = int(ast.literal_eval(node.value.args[0]))
    return found


def own(text: bytes) -> bytes:
    """A module's private constants, `_NAME = 5`, in place: its globals stay in the heap."""
    tree = ast.parse(text)
    folder = _Folder("", {})
    for node in [*tree.body]:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            name, value = ast.unparse(node.targets[0]), node.value.value
            if name.startswith("_") and isinstance(value, (int, str, bytes)):
                folder.local[name] = value
                tree.body.remove(node)
    return ast.unparse(folder.visit(tree)).encode()


def _folded(path: str, text: bytes, values: Mapping[str, int]) -> bytes:
    folder = _Folder(path, values)
    tree = folder.visit(ast.parse(text, path))
    return ast.unparse(tree).encode() if folder.used else text


class _Folder(ast.NodeTransformer):
    """used: whether the module imports limits at all. `local`: values by their local names."""

    def __init__(self, path: str, values: Mapping[str, int]) -> None:
        self.path = path
        self.values = values
        self.local: dict[str, int | str | bytes] = {}
        self.used = False
        self.module = False  # whether the name `limits` is the module here

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.module == MODULE:
            self.used = True
            for alias in node.names:
                self.local[alias.asname or alias.name] = self._value(alias.name)
            return None
        if node.module == PACKAGE and any(alias.name == NAME for alias in node.names):
            self.used = self.module = True
            node.names = [alias for alias in node.names if alias.name != NAME]
            return node if node.names else None
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if self.module and isinstance(node.value, ast.Name) and node.value.id == NAME:
            return ast.Constant(self._value(node.attr))
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.local:
            return ast.Constant(self.local[node.id])
        if self.module and node.id == NAME:
            raise Refused(f"{self.path}: expected `limits.NAME`, got `limits` as a value")
        return node

    def _value(self, name: str) -> int:
        if name not in self.values:
            raise Refused(f"{self.path}: limits has no {name}")
        return self.values[name]
