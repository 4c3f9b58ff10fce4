"""The vault on the emulated Pico W: power cuts at flash operations, judged by the host's decoder.

What the board has acknowledged is there, whole, and at most what was under way is there as well.
`make cuts` cuts longer programs at every operation, in all four ways.
"""

import json

import pytest

from host_tools.image import full, uf2
from tests.bench import harness
from tests.board import vault_cuts
from tests.conftest import FIRMWARE
from tests.host.test_vault_package import PACKAGE, program


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("kind", "records"), [("store", 60), ("outbox", 48), ("audit", 60)])
def test_what_was_acknowledged_survives_each_cut(kind, records):
    from host_tools.targets.emulator import board

    if "fast core" not in board.CORE:
        pytest.skip("takes too long without the fast core: " + board.CORE)
    result = vault_cuts.sweep(kind, records, ("torn",), every=3)
    assert result.failures == []
    assert result.cuts > 40


@pytest.mark.parametrize("kind", ["store", "outbox", "audit"])
def test_the_judges_see_what_is_missing(kind):
    """The proof of the kit: a record that the board has told of and that is not there."""
    told = {"store": b"SET 0", "outbox": b"TOOK 0", "audit": b"KEPT 0"}[kind]
    assert vault_cuts.JUDGES[kind]([], b"READY\r\n") == ""
    assert vault_cuts.JUDGES[kind]([], b"READY\r\n" + told + b"\r\n" + told + b"\r\n") != ""


@pytest.mark.timeout(900)
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
