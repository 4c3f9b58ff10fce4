"""The vault on the emulated Pico W: power cuts at flash operations, judged by the host's decoder.

The flash that each cut leaves is read without the device's code: what the board has acknowledged
is there, whole, and at most the record under way is there as well.
"""

import json
import re

import pytest

from host_tools.image import full, lfs, uf2
from host_tools.vault import journal
from tests.bench import harness
from tests.conftest import FIRMWARE
from tests.host.test_vault_package import PACKAGE, program

KEY = bytes(range(32))
RECORDS = 70
MAIN = (
    b"""
import sys
sys.path.append("/")
from uward.vault.store import Store
store = Store("/v", bytes(range(32)), create=True)
print("READY")
for i in range(%d):
    store.set("name%%d" %% (i %% 7), bytes(i))
    print("SET", i)
print("DONE")
"""
    % RECORDS
)


def needed(path):
    parts = ("/vault/", "/crypto/", "/cbor", "/errors", "/limits", "/compat", "__init__")
    return any(part in path for part in parts)


@pytest.mark.timeout(600)
def test_what_was_acknowledged_survives_each_cut():
    from host_tools.targets.emulator import board, sweep

    if "fast core" not in board.CORE:
        pytest.skip("takes too long without the fast core: " + board.CORE)
    files = {path: code for path, code in harness.agent().items() if needed(path)}
    image = full.build(harness.PICO_W, {**files, "/main.py": MAIN})
    made = board.Board(uf2.to_flash(image, harness.PICO_W.flash.size), seed=7)
    result = sweep.sweep(made, b"DONE", verify, modes=("torn", "half"), wall_s=500)
    assert result.failures == []
    assert result.cuts > 250


def verify(flash, output):
    acknowledged = [int(n) for n in re.findall(rb"SET (\d+)\r\n", output)]
    files = {
        path.removeprefix("/v/"): data
        for path, data in lfs.read(harness.PICO_W, lfs.area(harness.PICO_W, flash)).items()
        if path.startswith("/v/")
    }
    if not acknowledged and b"READY" not in output:
        return ""
    found = journal.read(files, journal.Sealed(KEY, "store"))
    kept = sum(record.kind == 2 for record in found.records)
    if found.damages:
        return f"{found.damages}"
    if not len(acknowledged) <= kept <= len(acknowledged) + 1:
        return f"{len(acknowledged)} acknowledged, {kept} kept"
    return ""


@pytest.mark.timeout(300)
def test_the_package_runs_from_its_sources():
    """What mip installs, compiled by the board itself in its own heap."""
    from host_tools.targets.emulator import board

    names = [name for name, _ in json.loads(PACKAGE.read_text())["urls"]]
    sources = {f"/lib/{name}": (FIRMWARE / name).read_bytes() for name in names}
    image = full.build(harness.PICO_W, sources)
    made = board.Board(uf2.to_flash(image, harness.PICO_W.flash.size), seed=3)
    out, error = made.execute(program("/vault") + "import gc\ngc.collect()\nprint(gc.mem_free())")
    assert error == ""
    low, agent, free = out.splitlines()
    assert (low, agent) == ("LOW 90", "AGENT []")
    assert int(free) > 90_000
