"""Names of the firmware's ROM in place of the agent's own: the same program, less heap."""

import ast
import dataclasses
import re

from host_tools.boards import catalogue
from host_tools.image import fold, rename, shorten, sources

PICO = catalogue.load("rpi_pico_w")
MODULE = """
class Ledger:
    def __init__(self, opening_balance=0):
        self.current_balance = opening_balance

    def append(self, amount):
        self.current_balance += amount
        return helper_of_mine(self.current_balance)


def helper_of_mine(balance):
    return balance * factor_of_mine


factor_of_mine = 2
_KEPT = 3
"""
USER = """
from uward.ledger import Ledger, factor_of_mine

def total():
    book = Ledger(opening_balance=5)
    book.append(factor_of_mine)
    return getattr(book, "looked_up", book.current_balance)
"""


def renamed(program=(), **modules):
    made = {f"/uward/{name}.py": text.encode() for name, text in modules.items()}
    return {p: t.decode() for p, t in rename.rename(PICO, made, program).items()}


def identifiers(text):
    return set(re.findall(r"[A-Za-z_]\w*", text))


def test_own_names_become_names_of_the_rom_in_all_modules_alike():
    out = renamed(ledger=MODULE, user=USER)
    ledger, user = out["/uward/ledger.py"], out["/uward/user.py"]
    for name in ("Ledger", "opening_balance", "current_balance", "factor_of_mine"):
        assert name not in identifiers(ledger) | identifiers(user)
    assert "append" in ledger and "getattr" in user  # the firmware's own
    new = identifiers(ledger) - identifiers(MODULE)
    assert new and new <= rename.names(PICO)
    scope = {}
    exec(ledger, scope)
    exec(re.sub(r"from uward.ledger import .*", "", user), scope)
    functions = [node.name for node in ast.parse(user).body if isinstance(node, ast.FunctionDef)]
    assert scope[functions[0]]() == 7


def words(program=(), more=""):
    """Each name of 300 functions -> what it is called in the image."""
    lines = "".join(f"def function_of_mine_{n}():\n    pass\n" for n in range(300)) + more
    functions = ast.parse(renamed(program, many=lines)["/uward/many.py"]).body
    return [node.name for node in functions][:300]


def test_a_name_more_moves_few_of_the_others_and_a_patch_stays_small():
    before = words()
    assert len(set(before)) == 300
    for after in (
        words(more="def another_function():\n    pass\n"),
        words(program=[before[150].encode()]),  # the ROM's word is no longer free
        words(program=[b"function_of_mine_150()"]),  # the name stays as it is
    ):
        moved = sum(one != other for one, other in zip(before, after, strict=True))
        assert moved < 30


def test_where_words_run_out_a_name_stays_as_it_is():
    given = rename._given(["one", "two", "three"], ["red", "blue"])
    assert len(given) == 2 and set(given.values()) == {"red", "blue"}
    assert rename._given(["three", "two", "one"], ["blue", "red"]) == given
    assert rename._given([], ["red"]) == rename._given(["one"], []) == {}


def test_constants_errors_and_modules_keep_their_names():
    errors = "class BookRefused(Exception):\n    pass\n"
    out = renamed(ledger=MODULE, errors=errors, factor_of_mine="x_of_mine = 1\n")
    assert "_KEPT" in out["/uward/ledger.py"]
    assert "BookRefused" in out["/uward/errors.py"]
    assert "factor_of_mine" in out["/uward/ledger.py"]  # a module is called so


def test_what_the_program_or_a_string_says_keeps_its_name():
    program = [b"from uward import helper_of_mine\n"]
    out = renamed(program, ledger=MODULE, user="x = 'current_balance'\n")
    assert "helper_of_mine" in out["/uward/ledger.py"]
    assert "current_balance" in out["/uward/ledger.py"]


def test_other_files_and_boards_without_a_list_stay_as_they_are():
    other = {"/umqtt/simple.py": b"name_of_theirs = 1\n", "/uward/_f_native.py": b"g_native = 2\n"}
    assert rename.rename(PICO, other, ()) == other
    unknown = dataclasses.replace(PICO, name="another")
    assert rename.rename(unknown, {"/uward/a.py": b"mine = 1\n"}, ()) == {
        "/uward/a.py": b"mine = 1\n"
    }


def test_what_the_enrolling_host_calls_keeps_its_name():
    texts = {"/uward/enrol.py": "".join(f"def {n}():\n    pass\n" for n in rename.CALLED).encode()}
    out = rename.rename(PICO, texts, ())["/uward/enrol.py"].decode()
    assert identifiers(out) >= rename.CALLED


def test_the_agent_says_a_third_of_its_names_in_the_roms_words():
    texts = shorten.shorten(fold.fold(sources.agent(PICO)))
    program = sources.app(sources.EXAMPLE_APP).values()
    out = rename.rename(PICO, texts, program)
    rom = rename.names(PICO)

    def heap(made):
        trees = [ast.parse(text) for path, text in made.items() if path.startswith("/uward/")]
        said = {name for tree in trees for name in shorten.spoken(tree)}
        return len(said - rom)

    assert heap(out) < heap(texts) * 2 / 3
    assert out == rename.rename(PICO, dict(reversed(texts.items())), program)
