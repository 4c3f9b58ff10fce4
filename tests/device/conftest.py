"""Device code runs the same on CPython and on the Unix port: one script, three runs.

A script `device_<name>.py` beside this file has functions that take and return JSON values and
import nothing beyond what stock MicroPython has.
"""

import builtins
import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from tests.conftest import FIRMWARE, run_unix
from tests.device import cpython_deflate

sys.modules["deflate"] = cpython_deflate  # a module of every MicroPython, of no CPython

HERE = Path(__file__).resolve().parent
CALL = """
import json
from %s import %s as function
with open("arguments.json") as f:
    arguments = json.load(f)
print(json.dumps(function(*arguments)))
"""


@pytest.fixture(params=["cpython", "unix", "unix-bytecode"])
def device(request, tmp_path):
    """device(script, function, *arguments, timeout=120) -> what the function returns."""

    def on_cpython(script, function, *arguments, timeout=120):
        if str(HERE) not in sys.path:
            sys.path.insert(0, str(HERE))
        result = getattr(importlib.import_module(script), function)(*arguments)
        return json.loads(json.dumps(result))

    def on_unix(script, function, *arguments, timeout=120):
        (tmp_path / "arguments.json").write_text(json.dumps(arguments))
        firmware = FIRMWARE
        if request.param == "unix-bytecode":
            firmware = request.getfixturevalue("bytecode_firmware")
        out = run_unix(CALL % (script, function), tmp_path, timeout, (firmware, HERE))
        return json.loads(out.strip().splitlines()[-1])

    return on_cpython if request.param == "cpython" else on_unix


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """Who commands devices: keys of all roles, made once."""
    from command_kit import Kit

    return Kit(tmp_path_factory.mktemp("people"))


@pytest.fixture
def own_paths():
    """On CPython the scripts move a board's paths: back after the test."""
    names = ("stat", "rename", "remove", "mkdir", "listdir")
    kept = builtins.open, [getattr(os, name) for name in names]
    yield
    builtins.open = kept[0]
    for name, call in zip(names, kept[1], strict=True):
        setattr(os, name, call)


@pytest.fixture
def obeying(device, people, own_paths, tmp_path):
    """obeying(*steps, policy=..., **roles) -> what came of each step of `commanded` (a result for
    a command, its signature checked), the events, and what the board's actuators did."""
    from command_kit import POLICY

    def run(*steps, policy=POLICY, **roles):
        root = people.place(tmp_path, **roles)
        data = policy if policy is None or isinstance(policy, bytes) else people.policy(policy)
        first = [["policy", data.hex()]] if data else []
        rest = [[part.hex() if isinstance(part, bytes) else part for part in one] for one in steps]
        out, events, done = device("device_command", "run", root, first + rest)
        out = out[len(first) :]
        for i, step in enumerate(steps):
            if step[0] == "cmd" and out[i] != "cut":
                out[i] = people.result(out[i])
        return out, events[len(first) :], done

    return run
