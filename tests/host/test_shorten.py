"""Short private names: the same program, fewer names."""

import ast

from host_tools.boards import catalogue
from host_tools.image import shorten, sources

A = """
class Base:
    def __init__(self):
        self._value = 1
        self.public = _twice(self._value)

    def _hidden(self):
        return self._value


def _twice(value):
    return 2 * value
"""
B = """
from uward.a import Base

_count = 0


class Child(Base):
    def __init__(self):
        Base.__init__(self)
        self._other = 5

    def total(self):
        global _count
        _count += 1
        return self._other + self.public + self._shared
"""
C = "class C:\n    def _mine(self):\n        return self._shared, getattr(self, '_named')\n"


def shortened(**modules):
    made = {f"/uward/{name}.py": text.encode() for name, text in modules.items()}
    return {path: text.decode() for path, text in shorten.shorten(made).items()}


def private(text):
    names = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    return {name for name in names if name.startswith("_") and not name.endswith("__")}


def test_one_module_runs_as_before():
    out = shortened(a=A)["/uward/a.py"]
    assert "_value" not in out and "_twice" not in out and "public" in out
    scope = {}
    exec(out, scope)
    assert scope["Base"]().public == 2


def test_classes_that_inherit_share_a_row():
    out = shortened(a=A, b=B, c=C)
    ours = private(out["/uward/a.py"]) - {"_shared"}
    theirs = private(out["/uward/b.py"]) - {"_shared"}
    assert ours and theirs and not ours & theirs


def test_names_that_two_modules_say_stay():
    out = shortened(b=B, c=C)
    assert "_shared" in out["/uward/b.py"] and "_shared" in out["/uward/c.py"]


def test_names_of_modules_stay():
    out = shortened(
        b="from uward import _plain\n\nx = _plain.f()\n", _plain="def f():\n    pass\n"
    )
    assert out["/uward/b.py"].startswith("from uward import _plain")


def test_names_that_are_looked_up_by_string_stay():
    text = "class D:\n    _named = 1\n\n\nx = getattr(D, '_named')\n"
    assert "_named" in shortened(d=text)["/uward/d.py"]


def test_strangers_reuse_the_row():
    out = shortened(a="def _first():\n    pass\n", b="def _second():\n    pass\n")
    assert out["/uward/a.py"] == out["/uward/b.py"] == "def _a():\n    pass"


def test_other_files_stay_as_they_are():
    made = {"/umqtt/simple.py": b"_x = 1  # theirs\n", "/uward/_f_native.py": b"_y = 2  # ours\n"}
    assert shorten.shorten(made) == made


def test_names_of_other_packages_are_not_taken_away():
    out = shorten.shorten({"/umqtt/simple.py": b"x._a\n", "/uward/a.py": b"self._value = 1\n"})
    assert out["/uward/a.py"] == b"self._b = 1"


def test_the_agent_is_shortened_alike_each_time():
    agent = sources.agent(catalogue.load("rpi_pico_w"))
    once, twice = shorten.shorten(agent), shorten.shorten(dict(reversed(agent.items())))
    assert once == {path: twice[path] for path in once}
    assert len(b"".join(once.values())) < len(b"".join(agent.values()))


def scope_of(text):
    made = {}
    exec(shortened(x=text)["/uward/x.py"], made)
    return made


def test_arguments_are_letters():
    text = "def f(first, second=3):\n    return first * second\n"
    out = shortened(x=text)["/uward/x.py"]
    assert out == "def f(a, b=3):\n    return a * b"


def test_arguments_that_a_call_names_stay():
    out = shortened(x="def f(first):\n    return first\n", y="f(first=1)\n")
    assert "def f(first)" in out["/uward/x.py"]


def test_arguments_of_the_makers_calls_stay():
    text = "class Agent:\n    def sensor(self, name, unit=''):\n        return name\n"
    assert "name, unit" in shortened(agent=text)["/uward/agent.py"]


def test_inner_functions_defaults_and_handlers_keep_their_meaning():
    made = scope_of(
        "base = 5\n"
        "def f(value, base=base, *rest):\n"
        "    def inner(other):\n"
        "        return [value + item + other for item in rest]\n"
        "    g = lambda extra, value=value: extra + value\n"
        "    try:\n"
        "        raise ValueError(value)\n"
        "    except ValueError as error:\n"
        "        text = str(error)\n"
        "    return inner(base), g(1), text\n"
    )
    assert made["f"](10) == ([], 11, "10")
    assert made["f"](10, 1, 2, 3) == ([13, 14], 11, "10")


def test_a_letter_that_is_taken_is_not_given():
    made = scope_of("a = 7\ndef f(value):\n    return a + value\n")
    assert made["f"](1) == 8


def test_globals_of_an_arguments_name_stay():
    made = scope_of("n = 1\ndef f(k):\n    global n\n    n = n + k\n    return n\n")
    assert made["f"](4) == 5 and made["n"] == 5


def test_arguments_of_one_module_are_short_but_registers_and_names_in_calls_stay():
    text = b"""
def weigh(load, factor=1):
    return load * factor
@micropython.asm_thumb
def add(r0, r1):
    add(r0, r0, r1)
def run(amount):
    return weigh(amount, factor=3)
"""
    out = shorten.one(text).decode()
    assert "def weigh(a, factor=1):" in out and "def run(a):" in out
    assert "def add(r0, r1):" in out and "add(r0, r0, r1)" in out
