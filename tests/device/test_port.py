"""uward.port on CPython and the Unix port; umqtt.simple's blocking calls (link/umqtt)."""

import ast
from pathlib import Path

import pytest

PORTS = Path(__file__).resolve().parents[2] / "firmware/uward/port"
both = pytest.mark.parametrize("device", ["cpython", "unix"], indirect=True)


@both
def test_clock_is_ours_alone(device):
    difference, restored = device("device_port", "clock", 1_900_000_000)
    assert difference in (0, 1) and restored in (0, 1)


@both
def test_reset_passes_except_exception(device):
    assert device("device_port", "reset") == 75


@both
def test_heap(device):
    assert device("device_port", "heap") == [True, True, False, True]


@both
def test_timer(device):
    assert device("device_port", "timer", 5, 10) == [0, True]


@both
def test_identity(device, monkeypatch):
    monkeypatch.setenv("UWARD_UNIQUE_ID", "0011aaff")
    assert device("device_port", "identity") == ["0011aaff", 33, True]


@both
def test_programs_for_umqtt_simple_run(device, umqtt):
    refusal, present, got, log = device("device_port", "blocking", str(umqtt))
    assert refusal == "expected TLS credentials, got none"
    assert present is True
    assert got == [["t", "hey"]]
    assert log[0] == ["broker.local", 8883]
    assert log[2:4] == ["3004000161" + "31", "3206000162000132"]
    assert log[-3:] == ["c000", "e000", "closed"]


def defined(name):
    """Public names of one port's module, with those of `common` where it takes them all."""
    names = set()
    for node in ast.parse((PORTS / (name + ".py")).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom) and node.module == "uward.port.common":
            names |= defined("common")
        elif isinstance(node, ast.ImportFrom) and node.module == "uward.port.heap":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.If):  # CPython's stand-ins
            names.update(part.name for part in node.orelse if isinstance(part, ast.FunctionDef))
    return names


@pytest.mark.parametrize("port", ["rp2", "esp32", "unix"])
def test_every_port_has_every_name(port):
    docstring = ast.get_docstring(ast.parse((PORTS / "__init__.py").read_text()))
    listed = docstring.split("Names: ")[1].rstrip(".").replace(";", ",").split(",")
    assert {name.strip() for name in listed} <= defined(port)
