"""How long the one window of boot.py is, and what an attestation takes."""

from tests.bench.harness import Bench, Row
from tests.device import boot_kit as kit

WINDOW = "compile(open('/stage.py').read(), 'boot.py', 'exec')"
ATTEST = """
import os
from uward.boot import handover, record, store
from uward.codec import cbor
from uward.crypto import p256
from uward.vault import keys, sealed
root = bytes(range(32))
os.mkdir("/id"); os.mkdir("/rec"); os.mkdir("/s0")
with open("/id/root", "wb") as f:
    f.write(root)
own = {1: "abcdefgh12345678", 2: bytes(range(1, 33)), 3: root, 4: bytes(500), 5: bytes(64)}
sealed.write(root, "/id/dev", cbor.encode(own))
store.create(record.Record(2, 1, bytes(32)), keys.record_key(root))
info = {"board": "rpi_pico_w", "version": "1.0.0", "sequence": 1, "security": 1, "slot": "a",
    "trial": False, "state": 2, "manifest": bytes(32), "vendor": bytes(16), "class": bytes(16)}
for name, size in (("image", 2200), ("stage0", 38800), ("pins", 140)):
    with open("/s0/" + name + ("" if name == "pins" else ".mpy"), "wb") as f:
        f.write(bytes(size))
from uward import lazy
lazy.spare()
def attest():
    made = lazy.use("guard.attest").token(bytes(32), info, {"uptime": 1, "console": 1})
    lazy.spare()
    return made
attest()
"""
HEAP = """
import gc
gc.collect(); a = gc.mem_free()
from uward import lazy
%s
gc.collect(); b = gc.mem_free()
print(a - b)
"""
MODULES = "held = [lazy.use(name) for name in (%s)]"


def rows():
    bench = Bench({"/stage.py": kit.layout.loose()["/boot.py"]})
    yield Row("window of boot.py on a board with UART", bench.ms(WINDOW), "ms", limit=20)
    yield Row("attest, code loaded for it", bench.ms("attest()", ATTEST), limit=1000)
    for what, names in (
        ("heap of attestation while it runs", "'guard.attest', 'codec.cose', 'crypto.p256'"),
        ("heap of the open console", "'guard.console',"),
        ("heap of what looks at the strap", "'guard.strap',"),
    ):
        bench = Bench()
        bench.run("from uward import lazy\nlazy.use('warm').run()")
        used = int(bench.run(HEAP % (MODULES % names)).split()[-1])
        yield Row(what, used / 1024, "KB", limit=40)
