"""How long the flash lasts under the vault, and what an open vault takes of heap and flash.

Lifetime: littlefs spreads its erases over the blocks that are free, so `FREE` blocks of `CYCLES`
erases each are shared by all writes.
"""

from tests.bench.bench_vault import HEAP_BYTES, Vault
from tests.bench.harness import Row

FREE = 100  # of the Pico W's 212 blocks: the rest are slots, stage 0, recovery (S21)
CYCLES = 100_000  # erases a block of a W25Q16JV stands
EVERY_S = 10
YEARS = 10
PACK_YEARS = 7  # a pack is three records: itself, its sealed bytes, their acknowledgement
YEAR_S = 365.25 * 86_400
RECORDS = 300  # through a rotation: a segment holds some 140 of 64 B
SETUP = """
from uward.vault.audit import Audit
def sent(q, n):
    for i in range(n):
        q.append("tele", i, bytes(64))
        if i % 8 == 7:
            for e in q.batch(8):
                q.seal(e, bytes(80))
            q.acknowledge(q.sent)
def events(a, n):
    for i in range(n): a.append(["tls.reject", "the peer's certificate is not valid yet"])
    a.witness(a.count, a.head)
"""


def rows():
    yield from lifetimes()
    yield from heaps()
    yield from reads()


def years(erases):
    """Years at one record every EVERY_S seconds that costs so many erases."""
    return FREE * CYCLES / erases * EVERY_S / YEAR_S


def lifetimes():
    bench = Vault()
    bench.run(SETUP)
    queued = "v = queue.Queue('/q', KEY, create=True)"
    ways = (
        ("record of 64 B", "sealed(v, 64, %d)", "v = fresh('/j')", YEARS),
        ("set of 20 values", "settings(v, %d)", "v = store.Store('/s', KEY, create=True)", YEARS),
        ("pack that is sent and committed", "sent(v, %d)", queued, PACK_YEARS),
        ("event", "events(v, %d)", "v = Audit('/a', KEY, bytes, create=True)", YEARS),
    )
    for what, statement, setup, least in ways:
        ms, erases = bench.each(statement % RECORDS, RECORDS, setup)
        yield Row(f"{what}, durable", ms)
        yield Row(f"{what}, durable", erases, "erases")
        what = f"lifetime at one {what} in {EVERY_S} s"
        yield Row(what, years(erases), "years", limit=least, goal=YEARS, more=True)
    plain = bench.each(f"plain(f, 64, {RECORDS})", RECORDS, "f = open('/plain', 'ab')")[1]
    yield Row(f"lifetime at one plain append in {EVERY_S} s", years(plain), "years")


def heaps():
    """Of open vaults, when the code that works on them is loaded."""
    opened = (
        ("store of 20 names", "store.Store('/s', KEY)"),
        ("outbox of 40 packs", "queue.Queue('/q', KEY)"),
        ("audit log of 100 events", "Audit('/a', KEY, bytes)"),
    )
    bench = Vault()
    bench.run(
        SETUP + "settings(store.Store('/s', KEY, create=True), 60)\n"
        "q = queue.Queue('/q', KEY, create=True)\n"
        "for i in range(40): q.append('tele', i, bytes(64))\n"
        "events(Audit('/a', KEY, bytes, create=True), 100)\n"
        "q = None\n"
    )
    for what, call in opened:
        bench.run(f"v = {call}; v = None; b = heap(); v = {call}")
        used = int(bench.run("print(heap() - b)"))
        yield Row(f"heap of an open {what}", used, "B", limit=HEAP_BYTES)


def reads():
    bench = Vault()
    for size, count in ((256, 80), (4096, 8)):
        setup = f"j = fresh('/r{size}'); sealed(j, {size}, {count})"
        ms = bench.each(f"read(j, {count})", count, setup)[0]
        yield Row(f"sealed read of {size} B, in order", ms)
