"""What is left of the heap in a TLS session, with the agent and the example app at work (S20)."""

import tempfile
from pathlib import Path

from host_tools import project, pulse
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.flash.console import Console
from host_tools.targets.picow import PicoW
from host_tools.verbs import build, flash, init, provision, sign, target
from tests.bench.harness import PICO_W, Row

VENDOR = "bench.example"
WAIT_S = 150
LEFT = """
import gc
gc.collect()
free, low, high = gc.mem_free(), 0, 200_000
while high - low > 256:
    middle = (low + high) // 2
    try:
        bytearray(middle)
        low = middle
    except MemoryError:
        high = middle
print(free, low)
"""


def rows():
    with tempfile.TemporaryDirectory() as folder:
        fleet = Path(folder) / "fleet"
        _enrol(fleet)
        services = Services(fleet, "embedded")
        services.start()
        try:
            free, largest = _measure(fleet, services)
        finally:
            services.stop()
    yield Row(
        "heap free in a session, agent and app", free / 1024, "KB", limit=48, goal=64, more=True
    )
    yield Row("largest block in a session", largest / 1024, "KB", limit=40, goal=48, more=True)


def _enrol(fleet):
    options = init.Options(
        vendor=VENDOR, board=PICO_W.name, host=HOST, port=free_port(), height=10
    )
    init.do_init(fleet, options, lambda done, total: None)
    found = project.load(fleet)
    build.do_build(found, PICO_W.name)
    images = found.image_folder(PICO_W.name, found.app.version, found.app.sequence)
    for name in ("image.img", "recovery.img"):
        sign.do_sign(found, images / name, sign.Options())
    flash.do_flash(found, "picow", images=images)
    provision.do_provision(found, "picow", development=True)


def _measure(fleet, services):
    """An open board, interrupted while its session lives: what it holds is still held."""
    found = project.load(fleet)
    with PicoW(target.folder(found, "picow", None)) as board:
        board.start()
        pulse.replay(board, pulse.load())
        services.wait("a reading", lambda notice: notice.kind == "reading", WAIT_S)
        with Console(board.console()) as console:
            return map(int, console.exec(LEFT, 60).split())
