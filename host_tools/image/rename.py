"""Public names of the agent become names that the stock firmware has in its ROM (S20).

MicroPython keeps each name that a module says in the heap, for ever, and some 1,260 names on a
table of 9 KB is added for the next. A name that the firmware knows already costs nothing. So, in
an image, a name that only the agent's own source says is exchanged for one of the firmware's that
no source says: `boards/<board>.names`. A board without such a list keeps its names.

A name is the agent's own when its source defines it and the firmware does not have it: then no
built-in object can have it either. Names of modules, of errors (people read them), of strings, and
whatever the maker's program, boot.py or the console says stay as they are.
"""

import ast
import builtins
import keyword
import re
from binascii import crc32
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from host_tools.boards.catalogue import BOARDS_DIR, Board
from host_tools.image.shorten import Renamer, is_ours

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
ERRORS = "/uward/errors.py"
SPOKEN = tuple(  # other programs that call the agent by name: stage 0's way in
    FIRMWARE / name for name in ("boot.py", "main.py", "uward/boot/image.py")
)
CALLED = {"request", "accept", "lock", "probe"}  # what the host calls of `uward.enrol`
PROTOCOL = """
    args chdir close errno getcwd ilistdir ioctl mkdir mount open read readblocks readinto readline
    remove rename rmdir send stat statvfs throw umount value write writeblocks
"""  # what C code of the firmware asks of any object by name
WORD = re.compile(r"[A-Za-z_]\w*")
UNTOUCHED = re.compile(r"__|_[A-Z]")  # dunder names; private constants, which cost nothing


def rename(
    board: Board, sources: Mapping[str, bytes], program: Iterable[bytes]
) -> dict[str, bytes]:
    """`{path: source}` of the agent with names of the ROM. program: the maker's sources."""
    rom = names(board)
    if not rom:
        return dict(sources)
    trees = {path: ast.parse(text, path) for path, text in sources.items() if is_ours(path)}
    others = [text for path, text in sources.items() if path not in trees]
    others += [*program, *(path.read_bytes() for path in SPOKEN)]
    spoken = CALLED | {word for text in others for word in _words(text)}
    for path, tree in trees.items():
        spoken |= set(WORD.findall(path)) | set(_strings(tree))
    if ERRORS in trees:
        spoken |= {node.name for node in trees[ERRORS].body if isinstance(node, ast.ClassDef)}
    own = sorted({name for tree in trees.values() for name in _defined(tree)} - rom - spoken)
    taken = {word for text in (*sources.values(), *others) for word in _words(text)}
    short = _given(own, _free(rom - taken))
    out = dict(sources)
    for path, tree in trees.items():
        out[path] = ast.unparse(Renamer(short).visit(tree)).encode()
    return out


def names(board: Board, directory: Path = BOARDS_DIR) -> set[str]:
    """The names in the ROM of the board's stock firmware, none where they are not known."""
    path = directory / f"{board.name}.names"
    return set(path.read_text().split()) if path.is_file() else set()


def _free(rom: set[str]) -> list[str]:
    """Names to give away."""
    useless = set(PROTOCOL.split()) | set(dir(builtins)) | set(keyword.kwlist)
    return sorted(name for name in rom if name not in useless and not name.startswith("_"))


def _given(own: Iterable[str], free: Iterable[str]) -> dict[str, str]:
    """Name -> the ROM's word for it. Where words run out, a name stays as it is.

    A stable matching (Gale and Shapley, 1962) under fixed preferences: one name more or less in
    the next release moves few of the others, and a patch between the two stays small.
    """
    wishes = {name: iter(sorted((_rank(name, word), word) for word in free)) for name in own}
    held: dict[str, tuple[int, str]] = {}
    for first in wishes:
        asking = first
        while (wish := next(wishes[asking], None)) is not None:
            rank, word = wish
            holder = held.get(word)
            if holder is None or (rank, asking) < holder:
                held[word] = rank, asking
                if holder is None:
                    break
                asking = holder[1]
    return {name: word for word, (_, name) in held.items()}


def _rank(name: str, word: str) -> int:
    return crc32(word.encode(), crc32(name.encode()))


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives to something of its own."""
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        if name and not UNTOUCHED.match(name):
            yield name


def _strings(tree: ast.AST) -> Iterator[str]:
    """Strings that are a name: somebody may look it up."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and WORD.fullmatch(value):
            yield value


def _words(text: bytes) -> set[str]:
    return set(WORD.findall(text.decode("utf-8", "replace")))
