"""Stage 0 on a locked board: from boot.py's first statement until the image is mounted.

Both record copies, the trust document, two signatures, a 100 KB image, all code loaded: as after
a reset. The floor is the image's SHA-256 and what the two signatures take once loaded.
"""

import tempfile
from pathlib import Path

from host_tools.image import lfs
from host_tools.targets.emulator import board
from tests.bench.harness import XIP_MISS, Row
from tests.board.conftest import flash_of
from tests.device import boot_kit as kit

IMAGE_BYTES = 100_000
EMULATED_S = 3
FIRST = b"""    import sys
    import time
    sys.modules["first"] = time.ticks_us()
"""
LAST = b"""    import image
    made = image.Image

    def mounted(*arguments):
        found = made(*arguments)
        sys.modules["mounted"] = time.ticks_us()
        return found

    image.Image = mounted
"""
HANDOVER = b"""
import gc
import sys
import time
def run(info):
    gc.collect()
    low, high = 0, 200000
    while high - low > 256:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
    spent = time.ticks_diff(sys.modules["mounted"], sys.modules["first"])
    with open("/out", "w") as f:
        f.write("%d %d %d" % (spent, gc.mem_free(), low))
    while True:
        pass
"""


def rows():
    with tempfile.TemporaryDirectory() as folder:
        files = _locked(kit.Fleet(Path(folder)))
    boot = files["/boot.py"].replace(b"    import sys\n", FIRST, 1)
    files["/boot.py"] = boot.replace(b"    import image\n", LAST, 1)
    board.set_xip_miss(XIP_MISS)
    pico = board.Board(flash_of(files), seed=1)
    pico.run(emulated_s=EMULATED_S)
    flash = kit.PICO_W.flash
    system = pico.flash_bytes()[flash.fs_offset : flash.fs_offset + flash.fs_size]
    spent, free, largest = map(int, lfs.read(kit.PICO_W, system)["/out"].split())
    yield Row(
        "stage 0: record, two signatures, 100 KB", spent / 1000, floor=192, limit=450, goal=400
    )
    yield Row("heap free after stage 0", free / 1024, "KB", goal=180, more=True)
    yield Row("largest block after stage 0", largest / 1024, "KB", limit=80, more=True)


def _locked(fleet):
    handover = {"/uward/boot/handover.py": HANDOVER}
    image = kit.image(board=kit.PICO_W, pad=IMAGE_BYTES - 8000, **handover)
    files = kit.factory(fleet, image, kit.image(board=kit.PICO_W), kit.PICO_W)
    return kit.enrolled(files, fleet)
