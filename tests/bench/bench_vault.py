"""The vault against plain littlefs, flash busy time counted (S21): time, erases, heap, mount."""

import sys

import pytest

from tests.bench.harness import Bench, Row, agent
from tests.conftest import FIRMWARE
from tests.device.memory_files import MemoryFiles

sys.path.insert(0, str(FIRMWARE))

from uward.vault import journal, mount, queue, segment, store

RECORDS = 240
KEY = bytes(range(32))
MOUNT_MS = 1000
HEAP_BYTES = 6144
MANY = 10_000

SETUP = """
import os
from uward.vault import journal, queue, store
KEY = bytes(range(32))
class Client:
    def snapshot(self): return b""
    def restore(self, snapshot): pass
    def replay(self, index, kind, payload): pass
def fresh(name):
    j = journal.Journal(name, KEY, "bench", Client())
    j.mount(True)
    return j
def sealed(j, size, n):
    d = bytes(size)
    for _ in range(n): j.append(2, d)
def plain(f, size, n):
    d = bytes(size)
    for _ in range(n): f.write(d); f.flush()
def remove(path):
    if os.stat(path)[0] & 0x4000:
        for name in os.listdir(path): remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)
def rewritten(n):
    import json
    d = {"name%d" % i: "x" * 40 for i in range(20)}
    for i in range(n):
        d["name%d" % (i % 20)] = "y" * 40
        with open("/x.tmp", "w") as f: json.dump(d, f)
        os.rename("/x.tmp", "/x.json")
def settings(s, n):
    for i in range(n): s.set("name%d" % (i % 20), "y" * 40)
def read(j, n):
    i = 0
    for index, kind, payload in j.records():
        i += 1
        if i == n: break
def heap():
    gc.collect()
    return gc.mem_alloc()
"""


def rows():
    yield from appends()
    yield from settings()
    yield from mounts()


def needed(path):
    """The vault stands alone: the rest of the agent is left out, which leaves more flash."""
    parts = ("/vault/", "/crypto/aead", "/crypto/_aead", "/crypto/hash", "/crypto/rng")
    parts += ("_primitives", "/cbor", "/errors", "/limits", "/compat", "__init__", "/files")
    return any(part in path for part in parts)


class Vault(Bench):
    """A board that also counts what its flash was told to do."""

    def __init__(self, files=None):
        super().__init__(files, without=tuple(path[4:] for path in agent() if not needed(path)))
        self.run(SETUP)

    def each(self, statement, count, setup="pass"):
        """(ms, erases) of one of the `count` records that `statement` writes."""
        self.run(setup)
        erases = sum(self.board.flash.erases.values())
        ms = self.ms(statement, runs=1)
        return ms / count, (sum(self.board.flash.erases.values()) - erases) / count


def appends():
    bench = Vault()
    for size, most, faster in ((64, 20, 1 / 3), (256, 34, 1 / 2), (4096, 204, 2)):
        count = RECORDS if size < 4096 else 24
        plain = bench.each(f"plain(f, {size}, {count})", count, f"f = open('/plain{size}', 'ab')")
        ours = bench.each(f"sealed(j, {size}, {count})", count, f"j = fresh('/v{size}')")
        what = f"sealed append of {size} B; floor: plain, as durable"
        yield Row(what, ours[0], floor=plain[0], limit=most, goal=plain[0] * faster)
        erases = {64: 0.2, 256: 0.5 * plain[1]}.get(size)
        yield Row(what, ours[1], "erases", floor=plain[1], limit=erases)
        bench.run(f"f.close(); remove('/plain{size}'); remove('/v{size}')")
    ms = bench.each("read(j, 200)", 200, "j = fresh('/r'); sealed(j, 64, 200)")[0]
    yield Row("sealed read of 64 B, in order", ms)


def settings():
    bench = Vault()
    peer = bench.each("rewritten(60)", 60)
    bench.run("w = store.Store('/w', KEY, create=True); w.set('n', 1); w = store.Store('/w', KEY)")
    bench.run("w.get('n'); w = None; b = heap(); s = store.Store('/s', KEY, create=True)")
    ours = bench.each("settings(s, 200)", 200)
    what = "store: set one of 20 values; floor: JSON rewritten"
    yield Row(what, ours[0], floor=peer[0], limit=peer[0])
    yield Row(what, ours[1], "erases", floor=peer[1], limit=peer[1])
    yield Row("store: get", bench.ms("s.get('name7')", runs=9))
    used = int(bench.run("print(heap() - b)"))
    yield Row("heap of an open store, 20 names", used, "B", limit=HEAP_BYTES)
    bench.run("for i in range(236): s.set('more%d' % i, i)")
    bench.run("s = None; b = heap(); s = store.Store('/s', KEY)")
    used = int(bench.run("print(heap() - b)"))
    yield Row("heap of an open store, 256 names", used, "B", limit=HEAP_BYTES)
    yield Row("mount of it", bench.ms("s = store.Store('/s', KEY)", runs=1), limit=MOUNT_MS)


def mounts():
    files = built()
    bench = Vault(files)
    setup = "import uward.vault.journal as journal; q = None"
    ms = bench.ms("q = queue.Queue('/q', KEY)", setup)
    yield Row("mount an outbox of 10,000 packs", ms, limit=MOUNT_MS)
    assert int(bench.run("print(q.pending())")) == MANY
    yield Row("first pack of it", bench.ms("q.batch(1)", runs=1))
    ms = bench.ms("s = store.Store('/s', KEY)")
    yield Row("mount a store after 10,000 sets", ms, limit=MOUNT_MS)
    assert int(bench.run("print(len(s))")) == 100
    size = sum(len(data) for path, data in files.items() if path.startswith("/q/"))
    yield Row("flash of a pack with a body of 16 B", size / MANY, "B")


def built():
    """The files of an outbox and of a store with many records, made by the device's own code."""
    disk = MemoryFiles()
    with pytest.MonkeyPatch.context() as patch:
        disk.put_under(patch, journal, mount, segment)
        packs = queue.Queue("/q", KEY, create=True, capacity=1 << 20)
        for i in range(MANY):
            packs.append("tele", i, bytes(16))
        names = store.Store("/s", KEY, create=True)
        for i in range(MANY):
            names.set(f"name{i % 100}", i)
    return disk.files
