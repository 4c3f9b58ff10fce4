"""What else keeps values on a board, beside the vault, on one emulated Pico W in one run.

`chumicro-kvstore` is fetched from the package index and runs as published: a dict in RAM, written
whole as MessagePack to a temporary file that is then renamed. `btree` is looked for where we run.
Nothing of these is encrypted or authenticated, which is measured too.
"""

import io
import tempfile
import zipfile

from tests.bench import peers
from tests.bench.bench_vault import Vault
from tests.bench.harness import Row
from tests.conftest import run_unix

WHEELS = (  # project, file, its SHA-256
    (
        "chumicro-kvstore",
        "chumicro_kvstore-0.3.6-py3-none-any.whl",
        "864a1e1c98603662a6b0489dc9e3d27d4bd2c16bd6aa8b006157016c111532d5",
    ),
    (
        "chumicro-msgpack",
        "chumicro_msgpack-0.2.7-py3-none-any.whl",
        "da2daa6110ffcc5bfb1f21918d285c85e69335f3a2ea093b424dd307d5e7f790",
    ),
)
SETS = 100
FEW, MANY = 20, 256
VALUE = "y" * 40
SETUP = """
def kept(k, n):
    for i in range(n):
        k["name%d" % (i % 20)] = "y" * 40
        k.commit_if_changed()
def one_by_one(k, n):
    for i in range(n):
        k["name%d" % (i % 20)] = i
        k.commit_if_changed()
def sets(s, n):
    for i in range(n): s.set("name%d" % (i % 20), i)
def rewritten(n):
    d = {"name%d" % i: "x" * 40 for i in range(20)}
    for i in range(n):
        d["name%d" % (i % 20)] = i
        with open("/x.tmp", "w") as f: json.dump(d, f)
        os.rename("/x.tmp", "/x.json")
import json
"""


def rows():
    bench = Vault(library())
    bench.run(SETUP)
    yield from times(bench)
    yield from secrecy(bench)
    yield Row("btree: ports of 2 here that have it", btrees(bench), "(rp2, Unix)")


def library():
    """The published modules, as files of the board."""
    files = {}
    for project, file, digest in WHEELS:
        with zipfile.ZipFile(io.BytesIO(peers.download(project, file, digest))) as wheel:
            for name in wheel.namelist():
                if name.endswith(".py"):
                    files["/lib/" + name] = wheel.read(name)
    return files


def times(bench):
    """Time and erases of one durable set, heap of what is open."""
    ways = (
        ("store", f"sets(s, {SETS})", "s = store.Store('/s', KEY, create=True); kept_by(s.set)"),
        ("chumicro-kvstore", f"one_by_one(k, {SETS})", "k = KVStore(); kept_by(k.__setitem__)"),
        ("JSON file rewritten", f"rewritten({SETS})", "pass"),
    )
    bench.run(
        "from chumicro_kvstore import KVStore\n"
        "def kept_by(put):\n"
        f" for i in range({FEW}): put('name%d' % i, {VALUE!r})\n"
    )
    for what, statement, setup in ways:
        ms, erases = bench.each(statement, SETS, setup)
        yield Row(f"{what}: set one of {FEW} values, durably", ms)
        yield Row(f"{what}: set one of {FEW} values, durably", erases, "erases")
    for what, again in (("store", "store.Store('/s', KEY)"), ("chumicro-kvstore", "KVStore()")):
        name = "s" if what == "store" else "k"
        put = "s.set" if name == "s" else "k.__setitem__"
        bench.run(f"for i in range({MANY - FEW}): {put}('more%d' % i, {VALUE!r})")
        bench.run("k.commit()" if name == "k" else "pass")
        bench.run(f"{name} = {put.partition('.')[0]} = None; b = heap(); {name} = {again}")
        used = int(bench.run("print(heap() - b)"))
        yield Row(f"{what}: heap of {MANY} values of 40 B", used, "B")


def secrecy(bench):
    """What a flash dump shows, and what a changed byte does."""
    bench.run(
        "with open('/_chu_kv.msgpack', 'rb') as f: d = bytearray(f.read())\n"
        f"at = d.find({VALUE.encode()!r}); d[at] ^= 1\n"
        "with open('/_chu_kv.msgpack', 'wb') as f: f.write(d)\n"
        "c = KVStore()\n"
    )
    changed = bench.run("print(not c.is_corrupt and any(v != k.get(n) for n, v in c.items()))")
    yield Row("chumicro-kvstore: takes a value changed in flash", int("True" in changed), "of 1")
    readable = int(VALUE.encode() in bench.board.flash_bytes())
    yield Row("chumicro-kvstore: values readable in a flash dump", readable, "of 1")


def btrees(bench):
    """How many of the ports at hand have the module."""
    looked = "try:\n import btree\n print('has it')\nexcept ImportError:\n print('none')\n"
    return sum("has it" in out for out in (bench.run(looked), on_unix(looked)))


def on_unix(code):
    with tempfile.TemporaryDirectory() as folder:
        return run_unix(code, folder)
