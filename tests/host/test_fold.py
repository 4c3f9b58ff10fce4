"""Numbers in place of names: what is compiled says the same as what is written."""

import ast

import pytest

from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.image import fold, sources

LIMITS = b"from uward.compat import const\n\nA = const(5)  # bytes\nB = const(1_000)\n"


def folded(text):
    return fold.fold({"/uward/limits.py": LIMITS, "/uward/x.py": text.encode()})["/uward/x.py"]


def run(text):
    scope = {}
    exec(folded(text), scope)
    return scope


def test_names_become_numbers():
    scope = run("from uward import limits\n\ndef f(x=limits.A):\n    return x + limits.B\n")
    assert scope["f"]() == 1005
    assert "limits" not in scope


def test_names_imported_one_by_one_too():
    assert run("from uward.limits import A, B as C\nx = A * C\n")["x"] == 5000


def test_other_imports_stay():
    assert folded("from uward import limits, port\nx = port.f(limits.A)\n") == (
        b"from uward import port\nx = port.f(5)"
    )


def test_a_module_without_limits_stays_as_it_is():
    text = "# limits are elsewhere\nx = 1\n"
    assert folded(text) == text.encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from uward import limits\nx = limits.C\n", "limits has no C"),
        ("from uward.limits import C\n", "limits has no C"),
        ("from uward import limits\nx = limits\n", "got `limits` as a value"),
    ],
)
def test_what_cannot_be_folded_is_refused(text, message):
    with pytest.raises(Refused, match=message):
        folded(text)


def test_the_agent_needs_no_table_of_limits():
    agent = sources.agent(catalogue.load("rpi_pico_w"))
    values = fold.constants(agent["/uward/limits.py"])
    assert values["MQTT_KEEPALIVE_S"] == 60
    for path, text in fold.fold(agent).items():
        for node in ast.walk(ast.parse(text)):
            if path != "/uward/limits.py":
                assert not (isinstance(node, ast.Name) and node.id == "limits"), path
                assert not (isinstance(node, ast.ImportFrom) and node.module == fold.MODULE), path


def test_a_modules_own_constants_are_in_place_and_no_globals():
    text = b"import struct\n_SIZE = 4\n_FORM = '>I'\nOPEN = 5\n_made = struct.pack(_FORM, _SIZE)\n"
    text += b"def f(x):\n    return x[:_SIZE], OPEN\n"
    found = {}
    exec(fold.own(text), found)
    assert found["f"](b"12345") == (b"1234", 5)
    assert found["_made"] == b"\0\0\0\x04"
    assert "_SIZE" not in found and "_FORM" not in found and found["OPEN"] == 5
