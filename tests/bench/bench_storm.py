"""The locked console under a storm: 1000 resets of a board whose USB and UARTs are full of control
characters from its first instruction on. Many minutes; `make test` has 60 of them."""

import tempfile
from pathlib import Path

from host_tools.targets.emulator.board import Board
from tests.bench.harness import PICO_W, Row
from tests.board import storm
from tests.board.conftest import flash_of
from tests.device import boot_kit as kit

RESETS = 1000
STAY = b"import machine\nwhile True:\n    machine.idle()\n"


def rows():
    with tempfile.TemporaryDirectory() as folder:
        fleet = kit.Fleet(Path(folder))
        image, rescue = (kit.image(STAY, board=PICO_W, version=name) for name in ("1", "rescue"))
        files = kit.enrolled(kit.factory(fleet, image, rescue, PICO_W), fleet)
    counts = storm.storm(Board(flash_of(files), seed=1), RESETS, seed=2)
    yield Row(f"windows in {counts.resets} resets under a storm", counts.windows, "", limit=0)
    yield Row("prompts in them", counts.prompts, "", limit=0)
