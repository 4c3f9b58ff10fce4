"""The boot record on the device: what `choose` makes of two copies."""

from uward.boot import record, slots, store
from uward.errors import BootRefused


def sample(generation=1, floor=0):
    made = record.Record(record.LOCKED, 3, bytes(range(32)))
    made.generation = generation
    made.floor = floor
    made.sequence = 7
    made.active = 1
    made.tries = 2
    made.owned = [True, True]
    made.confirmed = [True, False]
    made.slots = [(bytes(16), bytes(16), 1, bytes(16)), (b"\1" * 16, b"\2" * 16, 3, b"\3" * 16)]
    made.failed = [b"12345678", bytes(8), bytes(8)]
    return made


def packed(generation, floor, key):
    return record.pack(sample(generation, floor), bytes.fromhex(key)).hex()


def choose(copies, key):
    """-> [generation, floor, copy, rest as text], or [message]."""
    try:
        best = record.choose([bytes.fromhex(copy) for copy in copies], bytes.fromhex(key))
    except BootRefused as e:
        return [str(e)]
    rest = [best.state, best.active, best.tries, best.owned, best.confirmed, best.sequence]
    rest += [best.trust_version, best.slots[1][2], best.failed[0].decode(), slots.on_trial(best)]
    return [best.generation, best.floor, best.copy, rest]


def saved(folder, key, times):
    """Create, then save; -> [generation, copy] after each load."""
    key = bytes.fromhex(key)
    store.create(sample(0), key, folder)
    out = []
    for _ in range(times):
        found = store.load(key, folder)
        out.append([found.generation, found.copy])
        store.save(found, key, folder)
    return out
