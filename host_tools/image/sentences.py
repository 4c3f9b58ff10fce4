"""The sentences of a bundle in one bytes object, cut from it when one is said.

Each text constant costs 0.2 ms at import, where it is looked up among all names; what is said when
something is refused is hardly ever needed (S20).
"""

import ast
from collections.abc import Iterator

CUT = """
def _sentences_cut(start, size):
    return str(_sentences_ALL[start:start + size], "utf-8")
"""


class _Sentences(ast.NodeTransformer):
    """Puts a call in place of each text with a space in it, in functions; `all` grows."""

    def __init__(self) -> None:
        self.all = b""
        self._places: dict[str, int] = {}
        self._inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self._inside = self._inside, True
        node.body = [self.visit(item) for item in node.body]
        self._inside = outer
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not self._inside or not isinstance(node.value, str) or " " not in node.value:
            return node
        said = node.value.encode()
        if node.value not in self._places:
            self._places[node.value] = len(self.all)
            self.all += said
        where = f"_sentences_cut({self._places[node.value]}, {len(said)})"
        return ast.copy_location(ast.parse(where, mode="eval").body, node)


def cut(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a bundle, behind their sentences and what cuts these."""
    sentences = _Sentences()
    out: list[ast.stmt] = [sentences.visit(node) for node in body]
    if sentences.all:
        yield from ast.parse(f"_sentences_ALL = {sentences.all!r}{CUT}").body
    yield from out
