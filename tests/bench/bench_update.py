"""Updates on the emulated Pico W, flash busy time counted: judging, writing, checking."""

import tempfile
from pathlib import Path

import cbor2

from host_tools.image import full, uf2
from host_tools.signing import trust
from host_tools.targets.emulator import board
from tests.bench.harness import PICO_W, XIP_MISS, Bench, Row, agent
from tests.device import boot_kit as kit

IMAGE_BYTES = 100_000
BLOCK = 4096
NOT_LOADED = ("/guard/c", "/guard/j", "/guard/s", "/guard/t", "/link/mqtt", "/link/est", "/umqtt/")
SETUP = """
from uward.update import install, offer
from uward.crypto import rng
import hashlib, os
info = {"slot": "a", "trial": False, "state": 1, "trust": 1, "lost": False}
info["vendor"], info["class"] = %r, %r
def ms(function, *arguments):
    gc.collect()
    begun = time.ticks_us()
    function(*arguments)
    print("MS", time.ticks_diff(time.ticks_us(), begun) / 1000)
"""
WRITE = """
from uward.update.updater import _Judged
from uward.boot import store
from uward.vault import keys
root = keys.root()
key = keys.record_key(root)
def write():
    made = _Judged(info["release"], "manifest"), _Judged(info["release"], "digest")
    data = install._read(install.DOWNLOAD)
    writer = install.SlotWriter(data, made, store.load(key), key, 0)
    with open("/payload", "rb") as f:
        begun = time.ticks_us()
        for index in range(writer.next, writer.blocks):
            writer.write(index, f.read(4096))
        writer.close()
        print("MS", time.ticks_diff(time.ticks_us(), begun) / 1000)
    begun = time.ticks_us()
    writer.finish()
    print("MS", time.ticks_diff(time.ticks_us(), begun) / 1000)
"""


class _Field(Bench):
    """An enrolled board in state development, at its console; its flash takes time."""

    def __init__(self, files):
        image = full.build(PICO_W, {**agent(NOT_LOADED), **files})
        board.set_xip_miss(XIP_MISS)
        flash = uf2.to_flash(image, PICO_W.flash.size)
        self.board = board.Board(flash, seed=1, busy_flash=True)
        self.run("import gc, sys, time\nsys.path.append('/')\ngc.collect()")

    def figures(self, code):
        """-> milliseconds that the code printed."""
        lines = self.run(code).split("\r\n")
        return [float(line.split()[1]) for line in lines if line.startswith("MS")]


def rows():
    with tempfile.TemporaryDirectory() as folder:
        made = _Field(_files(Path(folder)))
    made.run(SETUP % (kit.VENDOR, kit.CLASS))
    (documents,) = made.figures("ms(offer.settle, info)")
    version = made.run("print(info['trust'])").strip()
    if version != "5":
        raise RuntimeError(f"expected trust document 5, got {version}")
    made.run("os.rename('/offered', '/slot/man.suit')")
    (judged,) = made.figures("ms(offer.settle, info)")
    told = made.run("print(info['told'], info['news'])")
    if "accepted" not in told:
        raise RuntimeError(f"the release was not accepted: {told}")
    written, checked = made.figures(WRITE + "write()")
    yield Row("four trust documents judged at one boot", documents, limit=6000)
    yield Row("a release judged: manifest, two signatures, slot disowned", judged, limit=2000)
    rate = IMAGE_BYTES / 1024 / (written / 1000)
    yield Row("install: blocks checked and written", rate, "KB/s", goal=45, more=True)
    yield Row("install: 100 KB read again and checked, record", checked, limit=1500)


def enrolled_files(folder, old, new, **options):
    """{path: content} of a board that runs `old` and judges a release of `new` at its next boot;
    /payload: what it fetches."""
    fleet = kit.Fleet(folder)
    envelope, payload = fleet.release(new, 2, 2, **options)
    running = fleet.release(old)[0]
    given = {
        "/slot/a.suit": running,
        "/slot/a.img": old,
        "/trust/1": fleet.signed(fleet.document()),
    }
    files = kit.enrolled(given, fleet, state=1)
    return {**files, **_identity(folder), "/slot/man.suit": envelope, "/payload": payload}


def _files(folder):
    fleet = kit.Fleet(folder)
    documents = [fleet.document()]
    while len(documents) < 5:
        last = documents[-1]
        documents.append(fleet.document(last.version + 1, trust.digest(last)))
    first = b"x" * 5000
    new = bytes(range(256)) * (IMAGE_BYTES // 256)
    envelope, payload = fleet.release(new, 2, 2)
    files = kit.enrolled(
        {
            "/slot/a.suit": fleet.release(first)[0],
            "/slot/a.img": first,
            "/trust/1": fleet.signed(documents[0]),
        },
        fleet,
        state=1,
    )
    signed = [fleet.signed(document) for document in documents[1:]]
    files["/trust/new"] = b"".join(len(one).to_bytes(2, "big") + one for one in signed)
    files["/offered"] = envelope
    files["/payload"] = payload
    return {**files, **_identity(folder)}


def _identity(folder):
    """The sealed files that an update needs."""
    files = {}
    own = {1: kit.DEVICE, 2: (7).to_bytes(32, "big"), 3: (7).to_bytes(32, "big"), 4: b"", 5: b""}
    net = {1: "w", 2: "s", 3: "h", 4: 8883, 5: "b", 6: {}}
    (folder / "id").mkdir()
    from uward.vault import sealed

    for name, value in (("dev", own), ("net", net), ("clock", {1: kit.NOW, 2: kit.NOW})):
        sealed.write(kit.ROOT_SECRET, "/id/" + name, cbor2.dumps(value), str(folder))
        files["/id/" + name] = (folder / "id" / name).read_bytes()
    return files
