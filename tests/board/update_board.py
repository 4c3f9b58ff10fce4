"""An emulated Pico W that brings an update in by itself: the agent's own code, a payload in flash.

Its image holds what judges, writes and confirms a release, and an app in place of a session:
it lays the envelope down as a session would, feeds the blocks, confirms its trial.
"""

import random

import cbor2
from uward.vault import sealed

from host_tools.image import lfs, sources
from tests.board.conftest import flash_of
from tests.device import boot_kit as kit

PAIRING = (7).to_bytes(32, "big")
SECONDS = 9  # emulated, until a board has brought everything in and idles
BLOCK = 4096
APP = b"""
import asyncio
import os
import time
import machine
from uward import lazy
from uward.boot import handover
from uward.codec import cbor

info = handover.info

class Agent:
    resetting = False
    def __init__(self):
        self.info = info
        self.asked = []
    def uptime(self):
        return time.ticks_ms()
    def reset_soon(self):
        self.resetting = True
    def event(self, name, reason=""):
        pass
    def refused(self, error):
        raise error
    def tell(self, purpose, body):
        self.asked.append(body)
    def tell_state(self, payload, name, detail):
        pass

async def download():
    agent = Agent()
    work = lazy.use("update.updater").Updater(agent, agent)
    with open("/payload", "rb") as f:
        while not agent.resetting:
            await work.step()
            while agent.asked:
                _, name, first, count = agent.asked.pop(0)
                for index in range(first, first + count):
                    f.seek(index * 4096)
                    work.block(cbor.encode([name, index, f.read(4096)]))

if info["trial"]:
    lazy.use("update.trial").confirm(info)
elif "release" in info:
    asyncio.run(download())
    machine.reset()
elif info["version"] != "1.2":
    with open("/offered", "rb") as f, open("/slot/man.suit", "wb") as kept:
        kept.write(f.read())
    machine.reset()
while True:
    time.sleep(1)
"""
WARM = b"def run():\n    pass\n"  # nothing but the app stays
PARTS = ("boot/", "codec/cbor", "codec/cose", "crypto/", "trust/", "update/", "files.py")
PARTS += ("vault/keys", "vault/sealed", "vault/__init__", "port/__init__", "port/common")
PARTS += ("port/heap", "port/rp2")
SEALED = "crypto/keywrap"  # what a release that is encrypted takes beside
SECRET = random.Random(5).randbytes(12_000)
LEFT_OUT = ("boot/stage0", "boot/image", "crypto/keywrap", "update/delta", "trust/x509")


def image(version, *extra, secret=b""):
    """extra: modules beyond what brings an image in; secret: bytes that one of them holds."""
    modules = sources.agent(kit.PICO_W, lambda: b"")
    chosen = {
        path: text
        for path, text in modules.items()
        if path.startswith(tuple("/uward/" + part for part in PARTS))
        and not path.startswith(tuple("/uward/" + part for part in LEFT_OUT if part not in extra))
    }
    chosen["/uward/update/secret.py"] = b"SECRET = %r\n" % secret
    chosen["/uward/lazy.py"] = modules["/uward/lazy.py"]
    chosen["/uward/warm.py"] = WARM
    return kit.image(APP, version=version, board=kit.PICO_W, **chosen)


def flash(folder, left=None):
    """-> 2 MB of a locked board that runs 1.1 and will bring 1.2 in.

    left: blocks of the payload that are still to come, when a download was under way.
    """
    return _flash(folder, kit.Fleet(folder), image("1"), image("2"), left)


def sealed_flash(folder):
    """The same with a payload that is encrypted. -> 2 MB, the image in clear, its payload."""
    fleet = kit.Fleet(folder)
    first, new = image("1", SEALED), image("2", SEALED, secret=SECRET)
    data = _flash(folder, fleet, first, new, encrypt=(fleet.kek.kid, fleet.kek.key))
    return data, new


def _flash(folder, fleet, first, new, left=None, encrypt=None):
    envelope, payload = fleet.release(new, 2, 2, encrypt=encrypt)
    files = kit.factory(fleet, first, first, kit.PICO_W)
    change = None
    if left is not None:
        files["/slot/dl.suit"] = envelope
        files["/slot/b.img"] = payload[: (len(payload) // BLOCK + 1 - left) * BLOCK]
    files = kit.enrolled(files, fleet, change=change)
    own = {1: kit.DEVICE, 2: PAIRING, 3: PAIRING, 4: b"", 5: b""}
    net = {1: "w", 2: "s", 3: "h", 4: 8883, 5: "b", 6: dict([encrypt] if encrypt else [])}
    (folder / "id").mkdir()
    for name, value in (("dev", own), ("net", net), ("clock", {1: kit.NOW, 2: kit.NOW})):
        sealed.write(kit.ROOT_SECRET, "/id/" + name, cbor2.dumps(value), str(folder))
        files["/id/" + name] = (folder / "id" / name).read_bytes()
    files["/offered"] = envelope
    files["/payload"] = payload
    return flash_of(files)


def record(data):
    """-> the boot record in 2 MB of flash, and what /slot holds."""
    from uward.boot import record as records
    from uward.vault import keys

    files = lfs.read(kit.PICO_W, lfs.area(kit.PICO_W, data))
    copies = [files.get("/rec/0", b""), files.get("/rec/1", b"")]
    return records.choose(copies, keys.record_key(kit.ROOT_SECRET)), files


def verify(data, _):
    """After a cut: the next boots bring the update to its end. -> "" or what is wrong."""
    from host_tools.targets.emulator.board import Board

    board = Board(data, seed=3)
    board.run(emulated_s=SECONDS)
    found, files = record(board.flash_bytes())
    if board.connections:
        return "a console opened"
    if found.active != 1 or found.confirmed != [True, True] or found.floor != 2:
        return f"active {found.active}, {found.owned}, {found.confirmed}, floor {found.floor}"
    if found.failed[0] != bytes(8) or "/slot/dl.suit" in files:
        return "a failure is remembered, or something is left over"
    return ""


def idle(board):
    """Whether an uncut board has had the time for everything."""
    return board.seconds >= SECONDS
