"""What is left of the heap in a TLS session, with the agent and the example app at work (S20):
in the first one, and in the one that follows a time offline, whose readings lay in flash."""

import tempfile
import time
from pathlib import Path

from host_tools import project, pulse
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.errors import DeviceError
from host_tools.flash.console import Console
from host_tools.image import lfs
from host_tools.targets.picow import PicoW
from host_tools.verbs import build, flash, init, provision, sign, target
from tests.bench.harness import PICO_W, Row

VENDOR = "bench.example"
WAIT_S = 150
AWAY_S = 60  # without a network: packs that wait go to flash after 10 + 30 s
RENEWED_S = 20  # the session after the one that sent them has begun
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
            measured = _measure(fleet, services)
        finally:
            services.stop()
    for when, (free, largest) in zip(("", " after a time offline"), measured, strict=True):
        yield Row(f"heap free in a session{when}", free / 1024, "KB", limit=48, goal=64, more=True)
        yield Row(f"largest block in it{when}", largest / 1024, "KB", limit=40, goal=48, more=True)


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
    """-> (free, largest block) of both sessions, each of an open board that was interrupted while
    its session lived: what it holds is still held."""
    found = project.load(fleet)
    with PicoW(target.folder(found, "picow", None)) as board:
        board.start()
        first = _left(board, services, 0)
        since = len(services.notices)
        board.reset()
        _reading(board, services, since)
        board.network(down=True, drop=True)
        time.sleep(AWAY_S)
        if not _away(board):
            raise DeviceError(f"nothing waits in flash after {AWAY_S} s offline")
        board.network(down=False)
        deadline = time.monotonic() + WAIT_S
        while _away(board):
            if time.monotonic() > deadline:
                raise DeviceError(f"what waits in flash was not committed within {WAIT_S} s")
            time.sleep(1)
        time.sleep(RENEWED_S)
        return first, _left(board, services, len(services.notices))


def _away(board):
    """Whether readings lie in the board's flash."""
    return "/vault/away" in lfs.read(board.board, lfs.area(board.board, board.flash_dump()))


def _reading(board, services, since):
    pulse.replay(board, pulse.load())
    services.wait("a reading", lambda notice: notice.kind == "reading", WAIT_S, since)


def _left(board, services, since):
    _reading(board, services, since)
    with Console(board.console()) as console:
        free, largest = console.exec(LEFT, 60).split()
        return int(free), int(largest)
