"""Key rotation on the emulated Pico W, over its own flash: the raw dump before and after."""

import re

import pytest

from host_tools.image import compile as mpy
from host_tools.image import sources
from tests.board.conftest import PICO_W

ROOT = bytes((i * 37 + 11) & 0xFF for i in range(32))
WIFI = b"correct horse battery staple"
FREE = 32  # blocks: what the vault and littlefs' folders take, and as few more, each of which
# costs the emulator 0.1 s
READY = """
import os
from uward.boot import record, store
from uward.vault import keys, sealed
from uward.vault.store import Store
ROOT = bytes.fromhex("%s")
for name in ("id", "rec", "vault"):
    os.mkdir(name)
with open("/id/root", "wb") as f:
    f.write(ROOT)
made = record.Record(record.LOCKED, 1, bytes(32))
made.owned[0] = made.confirmed[0] = True
store.create(made, keys.record_key(ROOT))
sealed.write(ROOT, "/id/net", %r)
box = Store("/vault/settings", keys.vault_key(ROOT, "settings"), "settings", create=True)
for n in range(30):
    box.set("n%%d" %% (n %% 6), bytes(120) + bytes((n,)))
with open("/id/rotate", "wb") as f:
    f.write(b"\\x01")
""" % (ROOT.hex(), WIFI)
ROTATE = """
import gc, time
gc.collect()
before = time.ticks_ms()
from uward.vault import rotate
rotate.resume(gc.collect)
print("took", time.ticks_diff(time.ticks_ms(), before))
root = keys.root()
held = Store("/vault/settings", keys.vault_key(root, "settings"), "settings")
print(sealed.read(root, "/id/net"), len(dict(held.items())), held.verify(), root != ROOT)
print(store.load(keys.record_key(root)).state, os.listdir("/id"))
"""


@pytest.fixture(scope="module")
def files():
    wanted = {p: t for p, t in sources.agent(PICO_W, lambda: b"").items() if "/port/" not in p}
    compiled = mpy.compile_all(wanted, PICO_W.mpy_arch)
    block = PICO_W.flash.fs_block
    used = sum(-(-len(data) // block) for data in compiled.values())
    return {**compiled, "/full": bytes((PICO_W.flash.fs_blocks - used - FREE) * block)}


def test_the_old_root_is_not_in_the_dump_any_more(board, files):
    pico = board(files)
    output, error = pico.execute(READY, wall_s=100)
    assert not error, error
    assert ROOT in pico.flash_bytes() and WIFI not in pico.flash_bytes()
    output, error = pico.execute(ROTATE, wall_s=100)
    assert not error, error
    lines = output.splitlines()
    assert lines[1:] == ["b'%s' 6 True True" % WIFI.decode(), "2 ['net', 'root']"]
    assert ROOT not in pico.flash_bytes()
    took = int(re.search(r"\d+", lines[0])[0])
    assert took < 30_000  # emulated, flash busy time counted: a fixed figure, no wall clock
