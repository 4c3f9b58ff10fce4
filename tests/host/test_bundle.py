"""Many modules as one source: names apart, imports resolved, nothing kept that nobody reaches."""

import ast

import pytest

from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.image import bundle, sources

A = b"""
from uward import b
from uward.b import helper as aid, TABLE
from uward.compat import const
import struct
try:
    from uward._fast_native import speed
except (ImportError, ValueError):
    from uward._fast_plain import speed
LIMIT = const(7)
_count = 0
def unused():
    return 1 / 0
class Box:
    size = LIMIT
    def helper(self, TABLE=3):
        return TABLE
def run(value):
    global _count
    from uward import c
    _count += 1
    inner = [b.helper(v) for v in range(value)]
    return inner, aid(1), TABLE, speed(), c.late(), Box().helper(), Box.size, _count, _shadow(5)
def _shadow(LIMIT):
    helper = lambda b: b + LIMIT
    return helper(1)
"""
B = b"""
TABLE = {1: 2}
TABLE.update({3: 4})
_count = 100
def helper(value):
    return value + _count
"""
MODULES = {
    "/uward/a.py": A,
    "/uward/b.py": B,
    "/uward/c.py": b"def late():\n    return 'late'\n",
    "/uward/_fast_native.py": b"def speed():\n    return 'fast'\n",
    "/uward/_fast_plain.py": b"def speed():\n    return 'plain'\n",
}


def built(native=True, modules=MODULES, **options):
    return bundle.build(modules, "uward.a", "run", native, **options).decode()


def call(source):
    """Run the bundle where `const` is what the MicroPython compiler makes of it."""
    scope = {"const": lambda value: value}
    exec(source.replace("sys.path[:]", "_ignored"), scope)
    return scope["run"](2)


@pytest.mark.parametrize(("native", "speed"), [(True, "fast"), (False, "plain")])
def test_it_does_what_the_modules_do(native, speed):
    expected = ([100, 101], 101, {1: 2, 3: 4}, speed, "late", 3, 7, 1, 6)
    assert call(built(native)) == expected


def test_what_nobody_reaches_is_left_out():
    source = built()
    assert "unused" not in source
    assert "struct" not in source
    assert "plain" not in source


def test_every_name_begins_with_an_underscore():
    """So that mpy-cross folds `const` and keeps no name of it."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in ast.parse(built()).body[2:-1]:
        if isinstance(node, ast.Expr):
            continue
        names = [node.name] if isinstance(node, kinds) else [t.id for t in node.targets[:1]]
        assert all(name.startswith("_") for name in names), names


def test_sentences_are_said_from_one_object():
    text = b"""
'''what a module is for'''
KEPT = "a b"
def fail(value):
    '''what a function is for'''
    raise ValueError("expected %d \xc3\xa4pfel, got %s" % (value, "none"), "upd.event")
def run(value):
    try:
        fail(value)
    except ValueError as e:
        said = e.args
    return said, KEPT, [word for word in ("no room", "no room")]
"""
    source = built(modules={**MODULES, "/uward/a.py": text})
    assert call(source) == (("expected 2 äpfel, got none", "upd.event"), "a b", ["no room"] * 2)
    texts = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {text for text in texts if " " in text} == {"what a function is for", "a b"}
    assert source.count("no room") == 1


def test_a_module_can_be_kept_out():
    source = built(without=["uward.c"])
    assert "from uward import c" in source
    with pytest.raises(ImportError):
        call(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"from uward import b\ndef run():\n    return b\n", "module b is used as a value"),
        (b"from uward.b import nothing\ndef run():\n    return nothing\n", "nothing of this name"),
        (b"from uward.zzz import x\ndef run():\n    return x\n", "uward.zzz: no such module"),
        (b"def other():\n    pass\n", "nothing of this name"),
        (
            b"def run():\n    from uward.b import helper\n    return helper(1)\n",
            "import the module of uward.b.helper instead",
        ),
    ],
)
def test_source_outside_of_the_subset_is_refused(text, message):
    with pytest.raises(Refused, match=message):
        built(modules={**MODULES, "/uward/a.py": text})


def test_stage_0_carries_no_agent():
    modules = sources.agent(catalogue.load("unix"), lambda: b"")
    source = bundle.build(modules, "uward.boot.stage0", "run", False).decode()
    for absent in ("asyncio", "socket", "mqtt", "_session_", "_aead_", "network"):
        assert absent not in source
    assert source == bundle.build(modules, "uward.boot.stage0", "run", False).decode()
