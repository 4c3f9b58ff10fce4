"""The vault where flash ends: run on MicroPython over its own VfsLfs2, in the sizes of a board.

Each function raises when something that was taken is lost; what it returns is JSON.
"""

import os

import faults
import vfs
from uward.errors import LimitError, VaultFull
from uward.vault.audit import Audit
from uward.vault.journal import Journal
from uward.vault.queue import Queue
from uward.vault.store import Store

KEY = bytes(range(32))
AT = "/board"
BOARD = 212  # blocks of a Pico W's file system
RECORD = 4096  # limits.VAULT_RECORD: the largest record
ENOSPC = 28


def need(condition, what):
    if not condition:
        raise ValueError("lost: " + what)


class Memory:
    """Flash without cuts: what `faults.Flash` is, and fast."""

    def __init__(self, blocks):
        self.data = bytearray(b"\xff" * (blocks * faults.BLOCK))

    def readblocks(self, number, buffer, offset=0):
        start = number * faults.BLOCK + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        start = number * faults.BLOCK + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // faults.BLOCK
        return faults.BLOCK if operation == 5 else 0


def on_flash(blocks, scenario, *arguments):
    """scenario(...) with a blank littlefs of that many blocks at AT -> what it returns."""
    return mounted(Memory(blocks), scenario, *arguments)


def mounted(flash, scenario, *arguments):
    """The same on a flash that is at hand."""
    vfs.VfsLfs2.mkfs(flash, readsize=32, progsize=256, lookahead=32)
    vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=256, lookahead=32), AT)
    try:
        return scenario(*arguments)
    finally:
        vfs.umount(AT)


class Told:
    """Collects reports: {event: how many records it was about}."""

    def __init__(self):
        self.events = {}

    def __call__(self, event, index, lost, reason):
        self.events[event] = self.events.get(event, 0) + lost


def refusal(call, *arguments):
    """-> the class and text of what `call` is refused with, or what it returned."""
    try:
        return call(*arguments)
    except (LimitError, VaultFull) as e:
        return [type(e).__name__, str(e)]


def blocks_free():
    return os.statvfs(AT)[3]


def fill(left):
    """Strangers take the flash until `left` blocks are free."""
    with open(AT + "/stranger", "wb") as f:
        try:
            while blocks_free() > left:
                f.write(bytes(1024))
                f.flush()
        except OSError as e:
            need(e.args[0] == ENOSPC, "nothing but space")


# 50,000 tiny records


def tiny_sets(count):
    """Sets of a store on a board's flash. -> [names, segments]"""
    told = Told()
    store = Store(AT + "/s", KEY, report=told, create=True)
    model = {}
    for i in range(count):
        name = "n%d" % (i * 7 % 100)
        store.set(name, i & 255)
        model[name] = i & 255
    store = Store(AT + "/s", KEY, report=told)
    need(dict(store.items()) == model, "values")
    need(store.verify() and not told.events, "nothing is reported")
    return [len(store), store._journal.segments]


def tiny_packs(count):
    """Packs go through an outbox, whose numbers come in order, each once. -> [sent, dropped]"""
    queue = Queue(AT + "/q", KEY, create=True)
    sent = taken = 0
    while sent < count:
        for _ in range(40):
            if taken < count:
                queue.append("t", taken, b"")
                taken += 1
        for _ in range(5):
            sent = send(queue, sent)
        if taken % 10_000 == 0:
            queue = Queue(AT + "/q", KEY)
    need(queue.pending() == 0, "what waits")
    return [sent, queue.dropped]


def send(queue, sent):
    """Seal and acknowledge a batch, whose first pack is number `sent` + 1. -> the last number."""
    for entry in queue.batch(8):
        need((entry.sequence, entry.when) == (sent + 1, sent), "order at %d" % sent)
        if entry.sealed is None:
            queue.seal(entry, b"s")
        sent += 1
    queue.acknowledge(sent)
    return sent


def tiny_records(count):
    """The journal alone, that gives nothing up, until the flash is full. -> [kept, refusal]"""
    journal = Journal(AT + "/j", KEY, "log", Nobody())
    journal.mount(True)
    refused = None
    for i in range(count):
        refused = refusal(journal.append, 2, i.to_bytes(2, "big"))
        if type(refused) is list:
            break
    kept = journal.index
    journal = Journal(AT + "/j", KEY, "log", Nobody())
    journal.mount()
    need(journal.index == kept, "the index")
    i = 0
    for _, _, payload in journal.records():
        need(payload == i.to_bytes(2, "big"), "record %d" % i)
        i += 1
    return [i, refused]


class Nobody:
    """A journal's client that keeps nothing."""

    def snapshot(self):
        return b""

    def restore(self, snapshot):
        pass

    def replay(self, index, kind, payload):
        pass


# Records of 4 KB


def large_values(count):
    """-> [values, the refusal of one byte more, the refusal of one value more]"""
    store = Store(AT + "/s", KEY, create=True)
    room = RECORD - 1 - 4 - 1 - 3 - 3  # places; list of name and bytes
    more = refusal(store.set, "n0", bytes(room + 1))
    model = {}
    for i in range(count):
        model["n%d" % (i % 5)] = bytes((i,)) * room
        store.set("n%d" % (i % 5), model["n%d" % (i % 5)])
    names = 5
    full = None
    while full is None:
        name = "m%d" % names
        full = refusal(store.set, name, bytes(room))
        if full is None:
            model[name] = bytes(room)
            names += 1
    need(dict(Store(AT + "/s", KEY).items()) == model, "values")
    return [len(model), more, full]


def large_packs(count, critical):
    """Packs of 4 KB overflow an outbox; every `critical`th stays. -> [sent, dropped, reported]"""
    told = Told()
    queue = Queue(AT + "/q", KEY, report=told, create=True)
    for i in range(count):
        queue.append("t", i, bytes(4000), i % critical == 0)
    queue = Queue(AT + "/q", KEY, report=told)
    sent = []
    while queue.pending():
        for entry in queue.batch(4):
            sent.append(entry.when)
            queue.seal(entry, entry.body)
        queue.acknowledge(len(sent))
    need(all(i in sent for i in range(0, count, critical)), "a critical pack")
    need(len(set(sent)) == len(sent), "no pack twice")
    need(sent[-1] == count - 1, "the newest pack")
    return [len(sent), queue.dropped, told.events]


# Flash that others have taken


def full_outbox(left):
    """An outbox on flash with `left` free blocks. -> [taken, refused, reported, taken again]"""
    told = Told()
    queue = Queue(AT + "/q", KEY, report=told, create=True)
    queue.append("t", 0, b"first")
    fill(left)
    taken, refused = [0], 0
    for i in range(1, 400):
        if queue.append("t", i, bytes(100)):
            taken.append(i)
        else:
            refused += 1
    queue = Queue(AT + "/q", KEY, report=told)
    need(queue.pending() == len(taken), "what waits")
    os.remove(AT + "/stranger")
    again = queue.append("t", 400, b"last")
    taken.append(400)
    sent = []
    while queue.pending():
        for entry in queue.batch(8):
            sent.append(entry.when)
            queue.seal(entry, b"s")
        queue.acknowledge(len(sent))
    need(sent == taken, "packs in order")
    need(queue.verify(), "verify")
    return [len(taken) - 2, refused, told.events, again]


def drained_while_full(left):
    """What waits can be sealed and acknowledged on a full flash: so it empties. -> sent"""
    queue = Queue(AT + "/q", KEY, create=True)
    for i in range(60):
        queue.append("t", i, bytes(100))
    fill(left)
    sent = 0
    while queue.pending():
        sent = send(queue, sent)
    need(Queue(AT + "/q", KEY).acknowledged == sent, "the acknowledgement")
    return sent


def full_log(left):
    """An audit log on flash with `left` free blocks. -> [kept, refusal, kept after room]"""
    log = Audit(AT + "/a", KEY, bytes, create=True)
    log.append(["first"])
    fill(left)
    refused = None
    for i in range(400):
        refused = refusal(log.append, ["event", i])
        if type(refused) is list:
            break
    kept, head = log.count, log.head
    log = Audit(AT + "/a", KEY, bytes)
    need((log.count, log.head) == (kept, head), "events")
    os.remove(AT + "/stranger")
    log.append(["last"])
    need(log.verify(), "verify")
    need(len(list(log.entries())) == log.count, "entries")
    return [kept, refused, log.count]


# Strangers' files


def among_strangers(files):
    """The folder of a store, and that of its tails, full of strangers' files; some are named as
    segments are. -> events"""
    told = Told()
    store = Store(AT + "/s", KEY, report=told, create=True)
    for i in range(files):
        for path in ("%s/s/x%d" % (AT, i), "%s/s/t/x%d" % (AT, i)):
            with open(path, "wb") as f:
                f.write(bytes(100))
    for number in (3, 900, 123_456_789):
        with open("%s/s/%d" % (AT, number), "wb") as f:
            f.write(b"\xff\xff\x00\x01" * 300)
    model = {}
    for turn in range(900):
        model["n%d" % (turn % 20)] = turn
        store.set("n%d" % (turn % 20), turn)
        if turn % 300 == 150:
            store = Store(AT + "/s", KEY, report=told)
    need(dict(Store(AT + "/s", KEY).items()) == model, "values")
    need(len(os.listdir(AT + "/s")) >= files + 4, "the strangers' files")
    return [store._journal.last > 3, sorted(told.events)]
