"""Device code runs the same on CPython and on the Unix port: one script, three runs.

A script `device_<name>.py` beside this file has functions that take and return JSON values and
import nothing beyond what stock MicroPython has.
"""

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.conftest import FIRMWARE, run_unix

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
