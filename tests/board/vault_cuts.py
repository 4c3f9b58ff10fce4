"""Power cuts of store, outbox and audit log on the emulated Pico W, judged without device code.

The board says what it was told is durable; the flash that a cut leaves is read by the host's own
decoder. Segments are small, so that rotation and cleaning happen within a short program.
"""

import re
from collections import Counter

import cbor2

from host_tools.errors import Refused
from host_tools.image import full, lfs, uf2
from host_tools.vault import audit, journal
from tests.bench import harness
from tests.bench.bench_vault import needed
from tests.powerfail import leaks

KEY = bytes(range(32))
CANARY = b"SpO2 97 of a patient in ward 3"  # what the vaults keep; main.py has it masked
HEAD = b"""
import sys
sys.path.append("/")
from uward import limits
limits.VAULT_SEGMENT = 2000
limits.VAULT_TAILS = 4
limits.STORE_SEGMENTS = 2
canary = bytes(c ^ 85 for c in %r)
from uward.vault.%s import %s
"""
STORE = b"""
vault = Store("/v", bytes(range(32)), create=True)
print("READY")
for i in range(%d):
    vault.set("name%%d" %% (i %% 7), canary + bytes((i,)))
    print("SET", i)
print("DONE")
"""
OUTBOX = b"""
vault = Queue("/v", bytes(range(32)), "outbox", create=True, capacity=8000)
print("READY")
for i in range(%d):
    vault.append("tele", i, canary * 3)
    print("TOOK", i)
    if i %% 3 == 2:
        for entry in vault.batch(8):
            if entry.sealed is None:
                vault.seal(entry, b"sealed %%d" %% entry.when)
                print("SEALED", entry.sequence, entry.when)
    if i %% 6 == 5:
        number = vault.sent - 2
        vault.acknowledge(number)
        print("ACKNOWLEDGED", number)
print("DONE")
"""
AUDIT = b"""
vault = Audit("/v", bytes(range(32)), bytes, create=True)
print("READY")
for i in range(%d):
    vault.append([canary, i])
    print("KEPT", i)
print("DONE")
"""
PROGRAMS = {"store": ("Store", STORE), "outbox": ("Queue", OUTBOX), "audit": ("Audit", AUDIT)}
MODULES = {"store": b"store", "outbox": b"queue", "audit": b"audit"}


def sweep(kind, records, modes, every, wall_s=500):
    """Run a program of so many records, cut at each `every`th flash operation. -> Result"""
    from host_tools.targets.emulator import board, sweep

    files = {path: code for path, code in harness.agent().items() if needed(path)}
    name, program = PROGRAMS[kind]
    masked = bytes(c ^ 85 for c in CANARY)
    main = HEAD % (masked, MODULES[kind], name.encode()) + program % records
    image = full.build(harness.PICO_W, {**files, "/main.py": main})
    made = board.Board(uf2.to_flash(image, harness.PICO_W.flash.size), seed=7)
    judge = JUDGES[kind]
    return sweep.sweep(
        made,
        b"DONE",
        lambda flash, output: look(kind, judge, flash, output),
        modes=modes,
        every=every,
        wall_s=wall_s,
    )


def look(kind, judge, flash, output):
    """-> "" or what is wrong with the flash, given what the board said."""
    if b"READY" not in output:
        return ""
    if b"Traceback" in output:
        return output[-300:].decode("utf-8", "replace")
    files = {
        path.removeprefix("/v/"): data
        for path, data in lfs.read(harness.PICO_W, lfs.area(harness.PICO_W, flash)).items()
        if path.startswith("/v/")
    }
    found = journal.read(files, journal.Sealed(KEY, kind))
    if found.damages:
        return f"{found.damages}"
    if leaks.leaked(flash, {"canary": CANARY, "key": KEY}):
        return "plaintext in the raw flash"
    return judge(found.records, output)


def numbers(word, output):
    """[(numbers after the word, ...)] of each line that begins with it."""
    return [
        tuple(map(int, line.split()))
        for line in re.findall(rb"(?m)^" + word + rb"((?: \d+)+)\r$", output)
    ]


def judge_store(records, output):
    """The newest record of each name: the values before or after the set under way."""
    done = len(numbers(b"SET", output))
    kept = {}
    for record in records:
        if record.kind == 2:
            count = record.payload[0]
            values = cbor2.loads(record.payload[1 + 4 * count :])
            kept.update(zip(values[::2], values[1::2], strict=True))
    models = []
    for sets in (done, done + 1):
        models.append({f"name{i % 7}": CANARY + bytes((i,)) for i in range(sets)})
    return "" if kept in models else f"after {done} sets: {kept}"


def judge_outbox(records, output):
    """Each pack that was taken waits, or its sealed bytes do, until it is acknowledged."""
    acknowledged = max((n for (n,) in numbers(b"ACKNOWLEDGED", output)), default=0)
    waiting, sealed = Counter(), {}
    for record in records:
        fields = cbor2.loads(record.payload) if record.kind in (2, 3, 5) else None
        if record.kind == 2:
            waiting[fields[1]] += 1
        elif record.kind == 3 and sealed.setdefault(fields[0], fields[4]) != fields[4]:
            return f"number {fields[0]} has two contents"
    for sequence, when in numbers(b"SEALED", output):
        if sequence > acknowledged and sealed.get(sequence) != b"sealed %d" % when:
            return f"sealed bytes of number {sequence}: {sealed.get(sequence)}"
    times = {when for _, when in numbers(b"SEALED", output)}
    for (when,) in numbers(b"TOOK", output):
        if when not in times and waiting[when] != 1:
            return f"pack {when} is there {waiting[when]} times"
    return ""


def judge_audit(records, output):
    """The log verifies, and has what was kept, and at most the event under way."""
    done = len(numbers(b"KEPT", output))
    kept = [record for record in records if record.kind in (2, 3)]
    entries = ((i + 1, kept[i].kind, kept[i].payload) for i in range(len(kept)))
    try:
        events, _ = audit.verify(entries, bytes)
    except Refused as error:
        return str(error)
    expected = [[CANARY, i] for i in range(done + 1)]
    found = [cbor2.loads(event) for event in events]
    return "" if found in (expected[:-1], expected) else f"after {done} events: {len(found)}"


JUDGES = {"store": judge_store, "outbox": judge_outbox, "audit": judge_audit}
