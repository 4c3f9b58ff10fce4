"""Many modules of the agent as one: stage 0 is one .mpy, which imports much faster (S20).

Each module's top-level names get the module's name before them (`cbor.decode` becomes
`_cbor_decode`), imports between the modules are resolved here, and what the root never reaches is
left out. As every name begins with an underscore, mpy-cross folds `const` and drops the name.

The subset of Python that our modules use: no `import *`, no module as a value, nothing dynamic.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from host_tools.errors import Refused
from host_tools.image import sentences

PACKAGE = "uward"
DROPPED = ("uward.compat", "micropython")  # `const` is known to the compiler itself
BUILT_IN_ONLY = "import sys\nsys.path[:] = ['.frozen']"  # found without a search through files
Scope = dict[str, str | None]  # a local name: None, or the module that it stands for


@dataclass
class Module:
    """A module on its way into the bundle. names: of its top level, to the bundle's."""

    name: str
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict[str, str])
    modules: dict[str, str] = field(default_factory=dict[str, str])


class Bundle:
    """native: whether `_<name>_native.py` is taken, else its bytecode fallback (S22). without:
    modules that functions may ask for in vain: the ImportError is theirs."""

    def __init__(
        self, sources: Mapping[str, bytes], native: bool, without: Collection[str] = ()
    ) -> None:
        self.sources = sources
        self.native = native
        self.without = without
        self.loaded: dict[str, Module] = {}
        self.order: list[Module] = []

    def path(self, name: str) -> str:
        return "/" + name.replace(".", "/") + ".py"

    def is_module(self, name: str) -> bool:
        return name.startswith(PACKAGE + ".") and self.path(name) in self.sources

    def load(self, name: str) -> Module:
        """The module, after those that it imports, so that their code runs first."""
        if name not in self.loaded:
            if self.path(name) not in self.sources:
                raise Refused(f"{name}: no such module to bundle")
            module = Module(name, ast.parse(self.sources[self.path(name)], name))
            self.loaded[name] = module
            module.tree.body = [*self.chosen(module.tree.body)]
            for node in module.tree.body:
                self._bind(module, node)
            self.order.append(module)
        return self.loaded[name]

    def chosen(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        """Statements with each `try: import ... except: import ...` replaced by what it does."""
        for node in body:
            if isinstance(node, ast.Try) and isinstance(node.body[0], ast.ImportFrom):
                yield from node.body if self._can(node.body[0]) else node.handlers[0].body
            else:
                yield node

    def _can(self, node: ast.ImportFrom) -> bool:
        name = str(node.module)
        if name.endswith("_native"):
            return self.native and self.is_module(name)  # an assembler may not fit the board
        return not name.startswith(PACKAGE) or self.is_module(name)

    def _bind(self, module: Module, node: ast.stmt) -> None:
        if isinstance(node, ast.ImportFrom) and node.module in DROPPED:
            return
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == PACKAGE:
            for local, target in self.imports(node).items():
                (module.modules if self.is_module(target) else module.names)[local] = (
                    target if self.is_module(target) else self.symbol(target)
                )
            return
        for name in _bound(node):
            module.names[name] = f"_{module.name.rpartition('.')[2]}_{name}"

    def imports(self, node: ast.ImportFrom) -> dict[str, str]:
        """Local name -> dotted name of a module, or of a symbol in one; loads the modules."""
        found: dict[str, str] = {}
        for alias in node.names:
            target = f"{node.module}.{alias.name}"
            self.load(target if self.is_module(target) else str(node.module))
            found[alias.asname or alias.name] = target
        return found

    def symbol(self, dotted: str) -> str:
        module, _, name = dotted.rpartition(".")
        names = self.load(module).names
        if name not in names:
            raise Refused(f"{dotted}: nothing of this name to bundle")
        return names[name]


class Renamer(ast.NodeTransformer):
    """Puts the bundle's names into one module's tree, scope by scope."""

    def __init__(self, bundle: Bundle, module: Module) -> None:
        self.bundle = bundle
        self.module = module
        self.scopes: list[Scope] = []
        self.used: set[str] = set()

    def _find(self, name: str) -> tuple[str | None, str | None]:
        """-> (the bundle's name, the module that it stands for); both None for other names."""
        for scope in reversed(self.scopes):
            if name in scope:
                return None, scope[name]
        return self.module.names.get(name), self.module.modules.get(name)

    def _global(self, name: str) -> str:
        new = self.module.names.get(name, name)
        self.used.add(new)
        return new

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name, module = self._find(node.id)
        if module is not None:
            raise Refused(f"{self.module.name}: module {node.id} is used as a value")
        if name is not None:
            node.id = self._global(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name):
            module = self._find(node.value.id)[1]
            if module is not None:
                new = self.bundle.symbol(f"{module}.{node.attr}")
                self.used.add(new)
                return ast.copy_location(ast.Name(new, node.ctx), node)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if not self.scopes:
            node.name = self._global(node.name)
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        node.args.defaults = [self.visit(item) for item in node.args.defaults]
        decorated = [ast.unparse(item) for item in node.decorator_list]
        if "micropython.asm_thumb" in decorated:
            return node
        node.body = [*self.bundle.chosen(node.body)]
        self.scopes.append(self._locals(node))
        node.body = [item for item in map(self.visit, node.body) if item is not None]
        node.body = node.body or [ast.Pass()]
        self.scopes.pop()
        return node

    def _locals(self, node: ast.FunctionDef) -> Scope:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [item for item in (node.args.vararg, node.args.kwarg) if item]
        scope: Scope = dict.fromkeys([item.arg for item in arguments])
        foreign: set[str] = set()
        for item in ast.walk(node):
            if isinstance(item, ast.Global):
                foreign.update(item.names)
            elif isinstance(item, ast.stmt) and item is not node:
                scope.update(dict.fromkeys(_bound(item)))
        return {name: None for name in scope if name not in foreign}

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._global(node.name)
        node.bases = [self.visit(item) for item in node.bases]
        own: Scope = {name: None for item in node.body for name in _bound(item)}
        for item in node.body:
            self.scopes.append({} if isinstance(item, ast.FunctionDef) else own)
            self.visit(item)
            self.scopes.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.scopes.append(dict.fromkeys(item.arg for item in node.args.args))
        node.body = self.visit(node.body)
        self.scopes.pop()
        return node

    def _comprehension(self, node: ast.AST) -> ast.AST:
        targets = [
            name.id
            for part in ast.walk(node)
            if isinstance(part, ast.comprehension)
            for name in ast.walk(part.target)
            if isinstance(name, ast.Name)
        ]
        self.scopes.append(dict.fromkeys(targets))
        self.generic_visit(node)
        self.scopes.pop()
        return node

    visit_ListComp = visit_GeneratorExp = visit_DictComp = visit_SetComp = _comprehension

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._global(name) for name in node.names]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.module in DROPPED:
            return None
        if str(node.module).split(".")[0] != PACKAGE:
            return self._outside(node)
        if self.scopes:
            if any(f"{node.module}.{alias.name}" in self.bundle.without for alias in node.names):
                return node
            for local, target in self.bundle.imports(node).items():
                if not self.bundle.is_module(target):
                    raise Refused(f"{self.module.name}: import the module of {target} instead")
                self.scopes[-1][local] = target
        return None

    def _outside(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        if not self.scopes:
            for alias in node.names:
                alias.asname = self._global(alias.asname or alias.name)
        return node

    visit_Import = _outside


def _bound(node: ast.stmt) -> list[str]:
    """Names that a statement binds in its own scope."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            found += _bound(child)
        elif isinstance(child, ast.ExceptHandler):
            found += [child.name] if child.name else []
            found += [name for item in child.body for name in _bound(item)]
        elif isinstance(child, (ast.expr, ast.withitem)):
            found += [
                item.id
                for item in ast.walk(child)
                if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
            ]
    return found


def build(
    sources: Mapping[str, bytes],
    root: str,
    entry: str,
    native: bool,
    without: Collection[str] = (),
) -> bytes:
    """One source that defines `entry`, the function of that name in module `root` (dotted).

    Raises Refused for source outside of the subset.
    """
    bundle = Bundle(sources, native, without)
    bundle.load(root)
    units = list(_units(bundle))
    wanted = {bundle.symbol(f"{root}.{entry}")}
    for _ in units:  # as often as a chain of uses can be long
        wanted |= {name for binds, used, _ in units if binds & wanted for name in used}
    kept = ast.parse(BUILT_IN_ONLY).body
    kept += [node for binds, _, node in units if binds & wanted]
    kept += ast.parse(f"{entry} = {bundle.symbol(f'{root}.{entry}')}").body
    tree = ast.fix_missing_locations(ast.Module([*sentences.cut(kept)], []))
    return ast.unparse(tree).encode() + b"\n"


def _units(bundle: Bundle) -> Iterator[tuple[set[str], set[str], ast.stmt]]:
    """Each top-level statement: names that it binds or changes, names that it uses, itself.

    Functions may import more modules, so the list grows while it is walked.
    """
    found: dict[str, list[tuple[set[str], set[str], ast.stmt]]] = {}
    while len(found) < len(bundle.order):
        for module in [*bundle.order]:
            if module.name not in found:
                found[module.name] = [*_module_units(bundle, module)]
    for module in bundle.order:
        yield from found[module.name]


def _module_units(bundle: Bundle, module: Module) -> Iterator[tuple[set[str], set[str], ast.stmt]]:
    for node in module.tree.body:
        binds = {module.names[name] for name in _bound(node) if name in module.names}
        renamer = Renamer(bundle, module)
        new = renamer.visit(node)
        if new is None or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        if isinstance(node, ast.Expr):  # `_TABLE.update(...)`: part of what it changes
            binds = {name for name in renamer.used if name.startswith("_")}
        yield binds, renamer.used, new
